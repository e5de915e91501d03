// WorkerTongueTests: a worker's side of document D, and what a command says on its standard error.
import Base
import JSON
import Testing

@testable import Dialects
@testable import Domain

struct WorkerTongueTests {
    private static let id = TaskID(SharedBytes("t-1").span)

    private func read(_ text: String) -> WorkerOrder? {
        var index = JSONIndex()
        return WorkerTongue.read(SharedBytes(text).span, &index)
    }

    private func line(_ text: String) -> CommandNote {
        var index = JSONIndex()
        return WorkerTongue.read(line: SharedBytes(text).span, &index)
    }

    private func text(_ write: (inout ByteWriter) -> Void) -> String {
        var writer = ByteWriter()
        write(&writer)
        return writer.seal().description
    }

    private func result(_ output: [UInt8]) -> String {
        var index = JSONIndex()
        return text { WorkerTongue.writeResult(output.span, &index, to: &$0) }
    }

    @Test("what the server says")
    func orders() throws {
        let id = try #require(Self.id)
        let name = SharedBytes("W1-0a")
        #expect(read(#"{"type":"connected","workerId":"W1-0a","message":"x"}"#) == .connected(name, messageBytesMax: nil))
        for (said, heard) in [("65536", 65_536), ("0", nil), ("-1", nil), ("\"1\"", nil), ("1e99", nil)] as [(String, Int?)] {
            let greeting = #"{"type":"connected","workerId":"W1-0a","maxMessageBytes":\#(said)}"#
            #expect(read(greeting) == .connected(name, messageBytesMax: heard), "\(said)")
        }
        #expect(
            read(#"{"type":"task","taskId":"t-1","lease":3,"payload":{"n": 1.0}}"#)
                == .task(id, lease: 3, payload: SharedBytes(#"{"n": 1.0}"#)))
        #expect(read(#"{"type":"task","taskId":"t-1","payload":5}"#) == .task(id, lease: nil, payload: SharedBytes("5")))
        #expect(read(#"{"type":"cancel","taskId":"t-1"}"#) == .cancel(id))
        #expect(read(#"{"type":"task_ack","taskId":"t-1"}"#) == .acknowledged(id))
        #expect(read(#"{"type":"drain"}"#) == .drain)
        #expect(read(#"{"type":"error","error":"no","taskId":"t-1"}"#) == .error(SharedBytes("no"), id))
        #expect(read(#"{"type":"error","error":"no"}"#) == .error(SharedBytes("no"), nil))
        for other in [#"{"type":"pong"}"#, #"{"type":"task"}"#, #"{"type":"cancel","taskId":""}"#, #"{"type":5}"#] {
            #expect(read(other) == .other)
        }
        for nothing in ["", "[]", "{}", #"{"type":"#] { #expect(read(nothing) == nil) }
    }

    @Test(
        "what a command says",
        arguments: [
            ("progress 40 words and more", .progress(40, SharedBytes("words and more"))), ("progress 40", .progress(40, nil)),
            ("progress 12.5%  half", .progress(12.5, SharedBytes("half"))), (#"{"progress": 7}"#, .progress(7, nil)),
            (#"{"progress": 7.5, "message": "m\u00e4h"}"#, .progress(7.5, SharedBytes("mäh"))),
            (#"{"chunk": {"n": 1.0}}"#, .chunk(SharedBytes(#"{"n": 1.0}"#))), ("progress is slow", .log), ("progress", .log), ("", .log),
            ("progress nan", .log), ("progress inf", .log), (#"{"message": "m"}"#, .log), ("{not JSON", .log), ("Progress 4", .log),
        ] as [(String, CommandNote)])
    func lines(_ text: String, _ expected: CommandNote) {
        #expect(line(text) == expected)
    }

    @Test("a command's output is JSON as it stands, else a text")
    func results() {
        #expect(result(Array(" {\"n\": 1.0}\n".utf8)) == #"{"n": 1.0}"#)
        #expect(result(Array("two words\n".utf8)) == #""two words""#)
        #expect(result(Array("one\ntwo".utf8)) == #""one\ntwo""#)
        #expect(result([]) == #""""#)
        #expect(result([0xff, 0x0a]) == "\"\u{fffd}\"")
    }

    @Test("what a worker says is what the server reads")
    func words() throws {
        let id = try #require(Self.id)
        func heard(_ write: (inout ByteWriter) -> Void) throws -> WorkerMessage {
            let bytes = SharedBytes(text(write))
            var scratch = ByteWriter()
            return try WorkerDialect.read(bytes.span, try JSONIndex(of: bytes), limits: Limits(), scratch: &scratch)
        }
        let uuid = TaskID(high: 1, low: 2)
        guard
            case .ready(3, let models, nil, let held) = try heard({
                WorkerTongue.writeReady(concurrency: 3, models: ["a\"b"], held: [id, uuid], to: &$0)
            })
        else { return #expect(Bool(false), "no ready") }
        #expect(models == [SharedBytes(#"a"b"#)] && held == [id, uuid])
        guard
            case .complete(let about, let completion) = try heard({
                WorkerTongue.writeComplete(id, 9, result: SharedBytes("[1.0]").span, milliseconds: 1_500, to: &$0)
            })
        else { return #expect(Bool(false), "no result") }
        #expect(
            about == Assignment(id, lease: 9) && completion.result == SharedBytes("[1.0]")
                && completion.executionTime == .milliseconds(1_500))
        guard
            case .failed(_, let fault) = try heard({
                WorkerTongue.writeFailed(id, nil, error: [0xff, 0x61].span, code: 3, milliseconds: 0, to: &$0)
            })
        else { return #expect(Bool(false), "no failure") }
        #expect(fault.error.bytes == SharedBytes("\"\u{fffd}a\"") && fault.code == SharedBytes("3"))
        guard
            case .progress(_, let progress) = try heard({ WorkerTongue.writeProgress(id, 1, 40, SharedBytes("m"), to: &$0) }),
            case .logs(_, let log) = try heard({ WorkerTongue.writeLog(id, 1, SharedBytes("l").span, to: &$0) }),
            case .chunk(_, let chunk) = try heard({ WorkerTongue.writeChunk(id, 1, SharedBytes("{}"), to: &$0) }),
            case .drain = try heard({ WorkerTongue.writeDrain(to: &$0) })
        else { return #expect(Bool(false), "something on the way is not heard") }
        #expect(progress.reported == 40 && progress.message == SharedBytes("m"))
        #expect(log.logs == SharedBytes("l") && log.source == SharedBytes("stderr") && chunk == SharedBytes("{}"))
    }
}
