// SessionRowTests: what is kept of a client's words.
import Base
import Testing

@testable import Domain

struct SessionRowTests {
    @Test(
        "a long text is cut between two characters",
        arguments: [("abcdef", "abcd"), ("abc", "abc"), ("abcé", "abc"), ("abé", "abé"), ("ab\u{20ac}", "ab"), ("\u{1f600}x", "\u{1f600}")])
    func cut(_ given: String, _ kept: String) {
        #expect(SessionRow.cut(SharedBytes(given), to: 4) == SharedBytes(kept))
    }

    @Test("bytes without a beginning of a character are cut to nothing, not further")
    func continuations() {
        #expect(SessionRow.cut(SharedBytes([UInt8](repeating: 0x80, count: 9)), to: 4).isEmpty)
    }

    @Test("an address and an agent fit their columns")
    func columns() {
        let long = SharedBytes(String(repeating: "x", count: 1_000))
        let row = SessionRow(
            opening: SharedBytes("c"), userID: SharedBytes("u"), projectID: .empty, ipAddress: long, userAgent: long,
            at: WallTime(milliseconds: 1_000))
        #expect(row.ipAddress.count == 50 && row.userAgent.count == 500)
        #expect(row.connectedAt == row.lastActiveAt && row.messageCount == 0 && row.disconnectedAt == nil)
    }
}
