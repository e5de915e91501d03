// RevocationAPITests: whose tokens may be revoked up to when, and how that is told.
import Base
import Domain
import JSON
import Testing

@testable import Dialects

struct RevocationAPITests {
    private static let now = WallTime(milliseconds: 1_700_000_000_900)

    private func order(_ body: String) throws -> RevocationAPI.Order {
        let bytes = SharedBytes(body)
        let index = try JSONIndex(of: bytes)
        var scratch = ByteWriter()
        return try RevocationAPI.readOrder(bytes.span, index, at: Self.now, scratch: &scratch)
    }

    @Test("a user, by text or whole number, and a second that has come, for clocks that differ")
    func orders() throws {
        #expect(try order(#"{"user_id":"a\u006cice"}"#) == RevocationAPI.Order(user: SharedBytes("alice")))
        #expect(try order(#"{"user_id":7,"before":null,"x":1}"#) == RevocationAPI.Order(user: SharedBytes("7")))
        for before in [0, 1_699_999_999, 1_700_000_060] as [Int64] {
            #expect(try order(#"{"user_id":"u","before":\#(before)}"#) == RevocationAPI.Order(user: SharedBytes("u"), before: before))
        }
        for text in ["1700000061", "1700000000000", "-1", "1.5", #""1""#, "true", "1e30"] {
            #expect(
                problem { try order(#"{"user_id":"u","before":\#(text)}"#) }
                    == "Invalid request: before must be a whole number of seconds since 1970, and not in the future", "\(text)")
        }
        for (body, words) in [
            ("{}", "user_id required"), (#"{"user_id":null}"#, "user_id required"), ("[]", "a JSON object is expected"),
            (#"{"user_id":1.5}"#, "user_id must be a text or a whole number"),
            (#"{"user_id":""}"#, "user_id must be 1 to 200 bytes of printable text"),
            (#"{"user_id":"\u0000"}"#, "user_id must be 1 to 200 bytes of printable text"),
            (#"{"user_id":"\#(String(repeating: "x", count: 201))"}"#, "user_id must be at most 200 bytes long"),
        ] {
            #expect(problem { try order(body) } == "Invalid request: \(words)", "\(body)")
        }
    }

    @Test("a page is asked for by the number that the one before ended with")
    func questions() throws {
        func question(_ limit: String?, _ cursor: String?) throws -> [UInt64?] {
            let (limit, before) = try RevocationAPI.readQuestion(
                limit: limit.map { SharedBytes($0) }, cursor: cursor.map { SharedBytes($0) })
            return [UInt64(limit), before]
        }
        #expect(try question(nil, nil) == [50, nil] && question("", "") == [50, nil])
        #expect(try question("999", "18446744073709551615") == [500, .max])
        #expect(problem { try question(nil, "x") } == "Invalid request: cursor must be the next_cursor of an earlier answer")
        #expect(problem { try question("0", nil) } == "Invalid request: limit must be a whole number from 1 to 500")
    }

    @Test("a revocation, what it closed, pages and refusals")
    func answers() throws {
        func revocation(_ by: String?) -> Revocation {
            Revocation(
                number: 7, user: SharedBytes("a\"b"), before: 1_699_999_999, revokedAt: Self.now, revokedBy: by.map { SharedBytes($0) })
        }
        let fields = #""user_id":"a\"b","before":1699999999,"revoked_at":1700000000,"revoked_by":"#
        #expect(try written { RevocationAPI.write(revocation("root"), closed: 3, to: &$0) } == #"{\#(fields)"root","closed":3}"#)
        #expect(
            try written { RevocationAPI.write([revocation(nil)], hasMore: true, to: &$0) }
                == #"{"revocations":[{\#(fields)null}],"count":1,"next_cursor":"7"}"#)
        #expect(try written { RevocationAPI.write([], hasMore: false, to: &$0) } == #"{"revocations":[],"count":0,"next_cursor":null}"#)
        #expect(try written { RevocationAPI.writeRemoved(SharedBytes("u"), to: &$0) } == #"{"user_id":"u","removed":true}"#)
        var writer = ByteWriter()
        #expect(RevocationAPI.write(.tooMany, to: &writer) == 503 && RevocationAPI.write(.unknown, to: &writer) == 404)
    }
}
