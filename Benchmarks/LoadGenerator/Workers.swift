// Workers: the worker's side of a run: greets the server, says how many tasks it takes at once, answers pings, and hands each task on.
// What becomes of a task is the run's affair. A run's workers are its first links.

import Base
import LoadSupport

final class Workers {
    let count: Int
    private let concurrency: Int
    private var streams: [MessageStream]
    private var output = ByteWriter(capacity: 65_536)
    private var message = ByteWriter(capacity: 1024)
    /// Workers of which the server knows that they are ready.
    private(set) var ready = 0
    /// Tasks that came.
    private(set) var tasks = 0
    private(set) var unreadable = 0
    private(set) var others = 0

    /// A server that greets no worker within this time is not one.
    private static let greeting: UInt64 = 5_000_000_000

    /// - Parameter concurrency: Tasks that each takes at once.
    init(count: Int, concurrency: Int) {
        self.count = count
        self.concurrency = concurrency
        streams = Array(repeating: MessageStream(), count: count)
    }

    /// Turns the run until the server has read of each that it is ready.
    func greet(_ links: Links, turn: () -> Void) throws(RunError) {
        let start = Clock.now()
        while ready < count, links.failures == 0 {
            guard Clock.now() - start < Self.greeting else { throw RunError("\(ready) of \(count) workers were greeted") }
            turn()
        }
    }

    /// Takes what a worker was sent. What `work` writes is sent back, as a message.
    /// - Parameter work: Is given the task's identifier and the client's number.
    func hear(_ bytes: Span<UInt8>, _ worker: Int, _ links: Links, _ work: (Span<UInt8>, Int, inout ByteWriter) -> Void) {
        output.removeAll()
        streams[worker].receive(bytes) { item, payload in
            switch item {
            case .message: take(payload, work)
            case .ping: ClientFrame.append(.pong, payload, to: &output)
            case .close: links.fail(worker, "the server sent a worker a close frame")
            case .broken: links.fail(worker, "the server sent a worker a broken frame")
            }
        }
        links.send(output, on: worker)
    }

    private func take(_ payload: Span<UInt8>, _ work: (Span<UInt8>, Int, inout ByteWriter) -> Void) {
        message.removeAll()
        switch TaskMessage.read(payload) {
        case .connected:
            TaskMessage.appendReady(concurrency: concurrency, to: &message)
            ClientFrame.append(.text, message, to: &output)
            message.removeAll()
            TaskMessage.appendPing(to: &message)
        case .pong: ready += 1
        case .task(let identifier, let number):
            tasks += 1
            work(payload.extracting(identifier), number, &message)
        case .unreadable: unreadable += 1
        case .other: others += 1
        }
        if message.count > 0 { ClientFrame.append(.text, message, to: &output) }
    }
}
