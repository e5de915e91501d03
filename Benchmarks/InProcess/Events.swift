// Events: who hears, who works, and how an event is put into words: the hub, the broker and the dialects, without a connection.
import Base
import Dialects
import Domain
import Glibc

enum Events {
    static func operations() -> [Operation] {
        [publishing(listeners: 1), publishing(listeners: 1000), dispatching()] + encoders() + [fanning()]
    }

    private static let wall = WallTime(milliseconds: 1_700_000_000_000)
    private static let event = TaskEvent.progress(
        TaskEvent.Progress(reported: 50, message: SharedBytes(Codecs.words(180)), step: SharedBytes("sampling")))

    // MARK: the hub

    private static func publishing(listeners: Int) -> Operation {
        let hub = Hub(subscribersMax: 2000, subscriptionsMax: 128, historyLengthMax: 100, historyBytesMax: 64 << 20)
        let task = TaskID(high: 1, low: 2)
        var streams = StreamSource(epoch: 1)
        let stream = Held(streams.open(task: task, user: nil, project: nil))
        for listener in 0..<listeners {
            guard let subscriber = hub.enter(.task, target: UInt64(listener)) else { fail("the hub is full") }
            do throws(SubscriptionRefusal) { _ = try hub.subscribe(subscriber, to: .task(task)) } catch {
                fail("the hub refuses: \(error)")
            }
        }
        let name = listeners == 1 ? "a publication to one" : "a publication to \(listeners), by the recipient"
        return Operation("Hub", name, parts: listeners) { count in
            for _ in 0..<count {
                let publication = hub.publish(event, state: .executing, progress: 50, on: &stream.value, at: wall)
                hub.deliver(publication) { _, recipients in consume(recipients.count) }
            }
        }
    }

    /// Something that cannot be copied, where closures can share it.
    private final class Held<Value: ~Copyable> {
        var value: Value
        init(_ value: consuming Value) { self.value = value }
    }

    // MARK: the broker

    private static func dispatching() -> Operation {
        let broker = Broker(limits: Limits(), random: Randomness(seed: 1))
        var milliseconds = 1
        var effects: [Effect] = []
        func now() -> Moment {
            Moment(
                instant: Instant(nanoseconds: 1_000_000 * Int64(milliseconds)),
                wall: WallTime(milliseconds: wall.milliseconds + Int64(milliseconds)))
        }
        let worker = broker.workerConnected(
            group: SharedBytes("default"), connection: ConnectionID(slot: 1, generation: 1), isExplicit: true, at: now())
        broker.workerReady(worker, concurrency: 1, models: nil, at: now())
        let payload = SharedBytes(#"{"data":{"n":1}}"#)
        let result = TaskEvent.Completion(result: SharedBytes(#"{"ok":true}"#))
        let exchange = Requester.ended(ExchangeID(connection: ConnectionID(slot: 2, generation: 1), number: 1))
        return Operation("Broker", "submit, assign, complete") { count in
            for _ in 0..<count {
                milliseconds += 1
                let moment = now()
                do throws(SubmissionRefusal) {
                    let task = try broker.submit(Submission(payload: payload), for: exchange, at: moment)
                    do throws(ReportRefusal) {
                        try broker.complete(task.id, by: worker, result, at: moment)
                    } catch { fail("the broker refuses a result: \(error)") }
                } catch { fail("the broker refuses a task: \(error)") }
                broker.advance(to: moment)
                broker.takeEffects(into: &effects)
            }
        }
    }

    // MARK: the dialects

    private static func encoders() -> [Operation] {
        let origin = StreamOrigin(task: TaskID(high: 1, low: 2), user: SharedBytes("42"), project: nil, epoch: 1)
        let publication = Publication(
            number: 9, origin: origin, sequence: 7, at: wall, event: event, state: .executing, progress: 50)
        let activity = MonitorEvent.activity(
            Activity(
                id: SharedBytes("a1"), kind: .userOperation, message: SharedBytes(Codecs.words(180)), severity: .info, createdAt: wall))
        return [
            writing("progress for a task's socket (G)") { TaskDialect.write(publication, to: &$0) },
            writing("progress for a user's socket (N)") { UserDialect.write(publication, to: &$0) },
            writing("progress for the hub (P)") { HubDialect.write(publication, to: &$0) },
            writing("an activity for Socket.IO (E)") { MonitorDialect.write(activity, at: wall, to: &$0) },
        ]
    }

    private static func writing(_ name: String, _ write: @escaping (inout ByteWriter) -> Void) -> Operation {
        var writer = ByteWriter(capacity: 4096)
        return Operation("Dialects", name) { count in
            for _ in 0..<count {
                writer.removeAll()
                write(&writer)
            }
        }
    }

    // MARK: the write queues

    private static func fanning() -> Operation {
        let receivers = 1000
        let outbox = Outbox()
        let ids = (0..<receivers).map { ConnectionID(slot: UInt32($0), generation: 1) }
        for id in ids { outbox.open(id) }
        let block = SharedBytes(Codecs.words(300))
        var dirty: [ConnectionID] = []
        var slices = unsafe [iovec](repeating: iovec(), count: 16)
        return Operation("Outbox", "a block shared with \(receivers), gathered and gone, by the receiver", parts: receivers) { count in
            for _ in 0..<count {
                for id in ids { outbox.append(block, to: id) }
                outbox.takeDirty(into: &dirty)
                for id in dirty {
                    let waiting = outbox.queuedBytes(id)
                    unsafe slices.withUnsafeMutableBufferPointer { consume(unsafe outbox.gather(id, into: $0, bytesMax: waiting)) }
                    outbox.consume(id, waiting)
                }
                outbox.endTurn()
            }
        }
    }
}
