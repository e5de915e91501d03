// Machines: whole turns of `Server`, without the kernel: what a message, a task, a publication or a connection costs from the bytes that
// come to the bytes that leave.
import Base
import Domain
import Gateway
import LoadSupport
import WebSockets

enum Machines {
    static func operations() -> [Operation] {
        [echo(64), echo(16_384), lane(), dispatch(), publishing(watchers: 1000), opening()]
    }

    private static func driver(_ deflate: DeflatePolicy = .off) -> ServerDriver {
        ServerDriver(Settings(echoPath: SharedBytes("/echo"), deflate: deflate, authentication: Authentication(mode: .off)))
    }

    static func frame(_ opcode: ClientFrame.Opcode, _ text: [UInt8], isCompressed: Bool = false) -> [UInt8] {
        var writer = ByteWriter(capacity: text.count + 16)
        ClientFrame.append(opcode, text.span, isCompressed: isCompressed, to: &writer)
        return writer.withSpan { span in (0..<span.count).map { span[$0] } }
    }

    private static func echo(_ size: Int) -> Operation {
        let driver = driver()
        driver.connect(0)
        driver.receive(0, ServerDriver.upgrade("/echo"))
        var bytes = frame(.binary, Array(Codecs.words(size).utf8))
        return Operation("Server", "echo of \(size) B") { count in
            // Unmasked in place, and masked by the next turn: its letters differ, its length does not.
            for _ in 0..<count { driver.receive(0, &bytes) }
        }
    }

    /// A message that is compressed by the pool keeps its place in the connection's lane; the pool is this thread.
    private static func lane() -> Operation {
        let driver = driver(DeflatePolicy(level: 1))
        driver.connect(0)
        driver.receive(0, ServerDriver.upgrade("/echo", "Sec-WebSocket-Extensions: \(MessageDeflate.offer)\r\n"))
        var bytes = frame(.binary, Array(Codecs.words(128 << 10).utf8))
        return Operation("Server", "echo of 128 KiB, deflated by way of a lane") { count in
            for _ in 0..<count { driver.receive(0, &bytes) }
        }
    }

    private static func dispatch() -> Operation {
        let driver = driver()
        driver.connect(0)
        driver.receive(0, ServerDriver.upgrade("/ws"))
        driver.receive(0, frame(.text, Array(#"{"type":"ready"}"#.utf8)))
        driver.connect(1)
        let request = ServerDriver.post("/api/openai", #"{"data":{"n":1}}"#)
        driver.heardSlot = 0
        return Operation("Server", "a task: POST, worker, response") { count in
            for _ in 0..<count {
                driver.answer.removeAll(keepingCapacity: true)
                driver.receive(1, request)
                let task = driver.answer
                guard let name = TaskMessage.taskIdentifier(in: task.span) else { fail("the worker got no task") }
                let completion = Array(#"{"type":"task_complete","result":{"ok":true},"taskId":""#.utf8) + task[name] + Array(#""}"#.utf8)
                driver.receive(0, frame(.text, completion))
            }
        }
    }

    private static func publishing(watchers: Int) -> Operation {
        let driver = driver()
        let report = watch(driver, watchers: watchers)
        return Operation("Server", "a progress to \(watchers) watchers, by the delivery", parts: watchers) { count in
            for _ in 0..<count { driver.receive(0, report) }
        }
    }

    /// A worker with one task, and watchers of it from the third slot on; what the worker says to be heard by all.
    static func watch(_ driver: ServerDriver, watchers: Int) -> [UInt8] {
        driver.connect(0)
        driver.receive(0, ServerDriver.upgrade("/ws"))
        driver.receive(0, frame(.text, Array(#"{"type":"ready"}"#.utf8)))
        driver.connect(1)
        driver.heardSlot = 0
        driver.receive(1, ServerDriver.post("/api/openai", #"{"data":{"n":1},"async":true,"timeout":600000}"#))
        let task = driver.answer
        guard let range = TaskMessage.taskIdentifier(in: task.span) else { fail("the worker got no task") }
        let name = String(decoding: task[range], as: UTF8.self)
        driver.heardSlot = nil
        driver.answer = []
        let upgrade = ServerDriver.upgrade("/api/gpu/tasks/\(name)/ws")
        for watcher in 0..<watchers {
            driver.connect(2 + watcher)
            driver.receive(2 + watcher, upgrade)
        }
        let before = driver.output
        let report = frame(
            .text, Array(#"{"type":"task_progress","taskId":"\#(name)","progress":50,"message":"\#(Codecs.words(180))"}"#.utf8))
        driver.receive(0, report)
        guard driver.output - before > watchers * 180 else { fail("the watchers hear nothing") }
        return report
    }

    private static func opening() -> Operation {
        let driver = driver()
        let upgrade = ServerDriver.upgrade("/echo")
        return Operation("Server", "a connection: opened, upgraded, closed") { count in
            for _ in 0..<count {
                driver.connect(0)
                driver.receive(0, upgrade)
                driver.disconnect(0)
            }
        }
    }
}
