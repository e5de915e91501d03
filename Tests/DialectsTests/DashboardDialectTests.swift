// DashboardDialectTests: what the page may say, what a message is made of, and excerpts that never end within a character.
import Base
import Domain
import JSON
import Testing

@testable import Dialects

@Suite("The dashboard's messages")
struct DashboardDialectTests {
    private func read(_ text: String) throws -> DashboardMessage {
        let bytes = Array(text.utf8)
        var index = JSONIndex(limits: JSONLimits(depthMax: 8, bytesMax: 1 << 10))
        try index.build(from: bytes.span)
        var scratch = ByteWriter()
        return try DashboardDialect.read(bytes.span, index, scratch: &scratch)
    }

    private func problem(_ text: String) -> String {
        do {
            return "none: \(try read(text))"
        } catch let problem as RequestProblem {
            return problem.sentence
        } catch {
            return "\(error)"
        }
    }

    @Test("a page asks for little, and anything else is named")
    func messages() throws {
        #expect(try read(#"{"type":"ping"}"#) == .ping)
        guard case .task(let id) = try read(#"{"type":"task","task_id":"a\/b"}"#) else { return #expect(Bool(false), "no task") }
        #expect(id.name == SharedBytes("a/b"))
        #expect(problem(#"{"type":"task"}"#) == RequestProblem.missing(member: "task_id").sentence)
        #expect(problem(#"{"type":"picture"}"#) == RequestProblem.unknownType("picture").sentence)
        #expect(problem("[]") == RequestProblem.notAnObject.sentence)
    }

    @Test("a message holds the sections that are told, and the requests since")
    func sections() {
        let line = ExchangeLine(
            number: 7, at: WallTime(milliseconds: 5), method: "POST", path: SharedBytes("/a"), status: 200, elapsed: .milliseconds(2),
            request: SharedBytes("\"<b>"), response: SharedBytes([0xff]), requestBytes: 4, responseBytes: 1)
        var writer = ByteWriter()
        DashboardDialect.write(
            isWhole: false, version: "1", [(.letters, SharedBytes("[]"))], [line], leftOut: 3, at: WallTime(milliseconds: 9), to: &writer)
        #expect(
            writer.seal().description == """
                {"type":"change","at":9,"letters":[],"log":[{"number":7,"at":5,"method":"POST","path":"/a","status":200,"ms":2,\
                "request":"\\"<b>","response":null,"request_bytes":4,"response_bytes":1}],"log_left_out":3}
                """)
    }

    @Test("an excerpt ends behind a whole character", arguments: 0...9)
    func excerpts(_ bytesMax: Int) {
        let text = SharedBytes("a\u{e9}\u{20ac}\u{1f6a6}")
        let end = Excerpt.end(of: text.span, bytesMax: bytesMax)
        #expect(end == [0, 1, 3, 6].last { $0 <= bytesMax })
        let whole = Excerpt.end(of: text.span, bytesMax: 10)
        #expect(whole == 10)
    }
}
