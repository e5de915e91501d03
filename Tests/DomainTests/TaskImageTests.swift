// Images and records: endings and outcomes are two forms of one thing, and a record knows what it weighs and whether it is waited for.
import Base
import Testing

@testable import Domain

struct TaskImageTests {
    private static let id = TaskID(high: 1, low: 2)
    private static let at = WallTime(milliseconds: 5)

    @Test(
        "an outcome becomes an ending and comes back",
        arguments: [
            (.completed(result: SharedBytes("r")), .completed, "r", nil), (.completed(result: .empty), .completed, "", nil),
            (.failed(.reported(SharedBytes("w"))), .failed, "w", .reported), (.failed(.timeout), .failed, nil, .timeout),
            (.failed(.workerDisconnected), .failed, nil, .workerDisconnected), (.cancelled, .cancelled, nil, nil),
        ] as [(Outcome, TaskState, String?, FailureKind?)])
    func endings(_ outcome: Outcome, _ state: TaskState, _ content: String?, _ failure: FailureKind?) {
        let ending = TaskEnding(id: TaskImageTests.id, outcome: outcome, endedAt: TaskImageTests.at, sequence: 3)
        #expect(ending.state == state && ending.content == content.map { SharedBytes($0) } && ending.failure == failure)
        #expect("\(ending.outcome)" == "\(outcome)")
    }

    private static func image(_ payload: Int) -> TaskImage {
        TaskImage(
            id: id, group: SharedBytes("gggg"), isDetached: true, metadata: SharedBytes("mm"),
            payload: SharedBytes([UInt8](repeating: 0, count: payload)), timeout: .zero, createdAt: at, enqueuedAt: at)
    }

    @Test("a record weighs what users gave and its own")
    func weights() {
        let ten = SharedBytes("0123456789")
        let id = TaskImageTests.id
        let at = TaskImageTests.at
        let records: [(Record, Int)] = [
            (.submitted(TaskImageTests.image(100)), 106),
            (.assigned(TaskAssignment(id: id, worker: ten, startedAt: at, attempts: 1, sequence: 1)), 10),
            (.happened(EventRow(taskID: id, sequence: 1, kind: 1, at: at, bytes: ten)), 10),
            (.logged(LogRow(taskID: id, sequence: 1, level: .empty, source: .empty, text: ten, createdAt: at)), 10),
            (.progressed(ProgressRow(taskID: id, progress: 1, message: ten, status: ten, createdAt: at, sequence: 1)), 20),
            (.ended(TaskEnding(id: id, outcome: .completed(result: ten), details: ten, cost: ten, endedAt: at, sequence: 1)), 30),
            (.removed(id), 0),
        ]
        for (record, bytes) in records { #expect(record.heldBytes == Record.ownBytes + bytes, "\(record)") }
    }

    @Test("what somebody is told of is a promise, what is only pushed is none")
    func promises() {
        let id = TaskImageTests.id
        let at = TaskImageTests.at
        #expect(Record.submitted(TaskImageTests.image(1)).isPromise && Record.removed(id).isPromise)
        #expect(Record.ended(TaskEnding(id: id, outcome: .cancelled, endedAt: at, sequence: 1)).isPromise)
        #expect(!Record.progressed(ProgressRow(taskID: id, progress: 1, status: .empty, createdAt: at, sequence: 1)).isPromise)
        #expect(!Record.sessionTouched(SessionTouch(clientID: .empty, at: at, messageCount: 0)).isPromise)
    }
}
