// IdentifiersTests: which bytes name a task, which names are the same, and how names are written.
import Base
import Testing
import TestSupport

@testable import Domain

struct IdentifiersTests {
    private func id(_ text: String) -> TaskID? { TaskID(SharedBytes(text).span) }
    private func id(_ bytes: [UInt8]) -> TaskID? { TaskID(bytes.span) }

    private static let uuid = "1e9651fd-6aa1-4b2c-9d5e-0123456789ab"

    @Test("a lower-case UUID is the same value as the random name of those bits, and is written as it was read")
    func uuidNormalForm() throws {
        let read = try #require(id(Self.uuid))
        #expect(read == TaskID(high: 0x1e96_51fd_6aa1_4b2c, low: 0x9d5e_0123_4567_89ab))
        #expect(read.name == nil)
        #expect(read.description == Self.uuid)
        #expect(id(TaskID(high: 0, low: 0).description) == TaskID(high: 0, low: 0))
        #expect(id(TaskID(high: .max, low: .max).description) == TaskID(high: .max, low: .max))
    }

    @Test(
        "what is only nearly a lower-case UUID is a name of its own",
        arguments: [
            "1E9651FD-6AA1-4B2C-9D5E-0123456789AB", "1e9651fd-6aa1-4b2c-9d5e-0123456789a", "1e9651fd-6aa1-4b2c-9d5e-0123456789abc",
            "1e9651fd06aa1-4b2c-9d5e-0123456789ab", "1e9651fd-6aa1-4b2c-9d5e-0123456789ag", "1e9651fd-6aa1-4b2c-9d5e0-123456789ab",
            "1e9651fd-6aa1-4b2c-9d5e-0123456789:b", "1e9651fd-6aa1-4b2c-9d5e-0123456789`b",
        ])
    func nearUUID(_ text: String) throws {
        let read = try #require(id(text))
        #expect(read.name == SharedBytes(text))
        #expect(read.description == text)
        #expect(read != id(Self.uuid))
    }

    @Test("random UUIDs survive being written and read")
    func roundTrip() {
        var random = Randomness(seed: 3)
        for _ in 0..<500 {
            let (high, low) = random.nextUUID()
            #expect(id(TaskID(high: high, low: low).description) == TaskID(high: high, low: low))
        }
    }

    @Test("a name is 1 to 200 bytes", arguments: [(0, false), (1, true), (199, true), (200, true), (201, false), (5_000, false)])
    func lengths(_ count: Int, _ isName: Bool) {
        #expect((id([UInt8](repeating: 0x61, count: count)) != nil) == isName)
    }

    @Test("a name's limit counts bytes, not characters")
    func bytesCount() {
        #expect(id(String(repeating: "é", count: 100)) != nil)
        #expect(id(String(repeating: "é", count: 101)) == nil)
    }

    @Test("no control character is in a name: not C0, not DEL, not C1", arguments: Array(0...0x1f) + [0x7f] + Array(0x80...0x9f))
    func controls(_ scalar: UInt32) throws {
        let control = Character(try #require(Unicode.Scalar(scalar)))
        for text in ["\(control)", "a\(control)", "\(control)a", "a\(control)b"] { #expect(id(text) == nil) }
    }

    @Test(
        "every other printable text names a task",
        arguments: [
            " ", "a b", "a/b", "任务-1", "Ünï", "\u{a0}", "💡", "\"quoted\\\"", "%2F", "\u{e0}\u{c2}", "~",
        ])
    func names(_ text: String) throws {
        #expect(try #require(id(text)).description == text)
    }

    @Test(
        "bytes that are no UTF-8 are no text and name nothing",
        arguments: [
            [0xff], [0x61, 0x80], [0xc2], [0xc0, 0xaf], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xe4, 0xbb],
        ] as [[UInt8]])
    func notText(_ bytes: [UInt8]) {
        #expect(id(bytes) == nil)
    }

    @Test("names are equal and hash alike where their bytes are")
    func equality() throws {
        let names = try ["a", "b", "a", Self.uuid, Self.uuid].map { try #require(id($0)) }
        #expect(Set(names).count == 3)
        #expect(names[0] == names[2] && names[0] != names[1] && names[3] == names[4])
    }

    @Test(
        "a worker's name is W, its number, and eight hex digits",
        arguments: [
            (1, 0x1234_abcd, "W1-1234abcd"), (10, 0, "W10-00000000"), (4_294_967_295, 0xffff_ffff, "W4294967295-ffffffff"),
        ] as [(UInt32, UInt32, String)])
    func workerNames(_ number: UInt32, _ suffix: UInt32, _ text: String) {
        #expect(WorkerID(number: number, suffix: suffix).description == text)
        #expect(WorkerID(SharedBytes(text).span) == WorkerID(number: number, suffix: suffix))
        #expect(WorkerID(number: number, suffix: suffix).text == SharedBytes(text))
    }

    @Test(
        "what is written in another form is no worker's name",
        arguments: [
            "", "W", "W1", "W1-", "W-12345678", "W1-1234567", "W1-123456789", "W1-1234ABCD", "W1-1234abcg", "w1-12345678", "W01-12345678",
            "W4294967296-00000000", "W99999999999-00000000", "W1 12345678", "W+1-12345678", "X1-12345678", "W1-12345678 ", " W1-12345678",
            "W18446744073709551617-00000000",
        ])
    func workerForms(_ text: String) {
        #expect(WorkerID(SharedBytes(text).span) == nil)
    }

    @Test("a worker with the number 0 has a name as well")
    func workerZero() {
        #expect(WorkerID(SharedBytes("W0-00000001").span) == WorkerID(number: 0, suffix: 1))
    }

    @Test("names stand in the order of their bytes, chosen ones and UUIDs together")
    func order() {
        var random = Seeded(seed: 4)
        var names: [TaskID] = ["a", "b", "ab", "0", "f", "é", "00000000-0000-0000-0000-00000000000"].compactMap { id($0) }
        for _ in 0..<40 {
            // Few bits, so that the first halves are often equal.
            let high = UInt64.random(in: 0...2, using: &random) << 62
            names.append(TaskID(high: high, low: UInt64.random(in: 0...UInt64.max, using: &random)))
        }
        for left in names {
            for right in names { #expect((left < right) == Array(left.description.utf8).lexicographicallyPrecedes(right.description.utf8)) }
        }
    }
}
