// Desk: texts read and answers written as the gateway does it, over a broker with one worker and a clock that stands.
import Base
import Domain
import JSON
import Testing

@testable import Dialects

/// Reads the body of a submission.
func readOrder(_ body: String, key: String? = nil, _ limits: Limits = Limits()) throws -> Order {
    let bytes = SharedBytes(body)
    let index = try JSONIndex(of: bytes)
    var scratch = ByteWriter()
    scratch.append("before")
    defer { #expect(scratch.count == 6, "the scratch is left as it was") }
    return try DispatchAPI.readOrder(bytes.span, index, key: key.map { SharedBytes($0) }, limits: limits, scratch: &scratch)
}

/// Reads a worker's message.
func readMessage(_ text: String, _ limits: Limits = Limits()) throws -> WorkerMessage {
    let bytes = SharedBytes(text)
    let index = try JSONIndex(of: bytes)
    var scratch = ByteWriter()
    scratch.append("before")
    defer { #expect(scratch.count == 6, "the scratch is left as it was") }
    return try WorkerDialect.read(bytes.span, index, limits: limits, scratch: &scratch)
}

/// The sentence that answers a text which is refused; nil where it is taken.
func problem<Value>(_ read: () throws -> Value) -> String? {
    do {
        _ = try read()
        return nil
    } catch {
        return (error as? RequestProblem)?.sentence ?? "\(error)"
    }
}

/// What a writer leaves, without and with the user's value in its place; it must be valid JSON with it.
func written(_ write: (inout ByteWriter) -> Splice?) throws -> String {
    var writer = ByteWriter()
    // A writer may hold other bytes already; a splice counts from the start of the text.
    let splice = write(&writer)
    let text = writer.take()
    var whole = ByteWriter()
    whole.append(text[0..<(splice?.offset ?? 0)])
    if let splice { whole.append(splice.value) }
    whole.append(text[(splice?.offset ?? 0)..<text.count])
    let message = whole.take()
    _ = try JSONIndex(of: message)
    return message.description
}

/// As above, for writers that splice nothing.
func written(_ write: (inout ByteWriter) -> Void) throws -> String {
    try written { writer in
        write(&writer)
        return nil
    }
}

/// One worker and whoever submits to it.
final class Desk {
    let broker = Broker(limits: Limits(), random: Randomness(seed: 11))
    let worker: Worker
    private(set) var now = Moment(instant: Instant(nanoseconds: 0), wall: WallTime(milliseconds: 1_700_000_000_000))

    init(isReady: Bool = true) {
        worker = broker.workerConnected(
            group: Broker.defaultGroup, connection: ConnectionID(slot: 0, generation: 1), isExplicit: true, at: now)
        if isReady { broker.workerReady(worker, concurrency: nil, models: nil, at: now) }
    }

    func submit(_ body: String = #"{"data":{}}"#) throws -> TaskRecord {
        try broker.submit(try readOrder(body).submission, for: .nobody, at: now)
    }

    /// The clock goes on by so many milliseconds.
    func pass(_ milliseconds: Int64) {
        let wall = WallTime(milliseconds: now.wall.milliseconds + milliseconds)
        now = Moment(instant: now.instant + .milliseconds(milliseconds), wall: wall)
        broker.advance(to: now)
    }

    func complete(_ task: TaskRecord, _ result: String) throws {
        try broker.complete(task.id, by: worker, TaskEvent.Completion(result: SharedBytes(result)), at: now)
    }

    func fail(_ task: TaskRecord, _ words: String) throws {
        try broker.fail(task.id, by: worker, TaskEvent.Fault(error: .raw(SharedBytes(words))), at: now)
    }

    func cancel(_ task: TaskRecord) { _ = broker.cancel(task.id, at: now) }
    func gone() { broker.workerGone(worker, at: now) }
}
