// Images and records: a record knows what it weighs and whether it is waited for.
import Base
import Testing

@testable import Domain

struct TaskImageTests {
    private static let id = TaskID(high: 1, low: 2)
    private static let at = WallTime(milliseconds: 5)

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
            (.ended(TaskEnding(id: id, event: .completed(.init(result: ten, cost: .raw(ten))), endedAt: at, sequence: 1)), 20),
            (
                .ended(
                    TaskEnding(
                        id: id, event: .failed(.init(error: .raw(ten), code: ten, type: ten, details: ten, step: ten)), endedAt: at,
                        sequence: 1)), 50
            ),
            (.ended(TaskEnding(id: id, event: .cancelled(reason: ten), endedAt: at, sequence: 1)), 10),
            (.removed(id), 0), (.resumed(id, sequence: 1), 0),
        ]
        for (record, bytes) in records { #expect(record.heldBytes == Record.ownBytes + bytes, "\(record)") }
    }

    @Test("what somebody is told of is a promise, what is only pushed is none")
    func promises() {
        let id = TaskImageTests.id
        let at = TaskImageTests.at
        #expect(Record.submitted(TaskImageTests.image(1)).isPromise && Record.removed(id).isPromise)
        #expect(Record.ended(TaskEnding(id: id, event: .cancelled(reason: nil), endedAt: at, sequence: 1)).isPromise)
        #expect(Record.resumed(id, sequence: 1).isPromise)
        #expect(!Record.progressed(ProgressRow(taskID: id, progress: 1, status: .empty, createdAt: at, sequence: 1)).isPromise)
        #expect(!Record.sessionTouched(SessionTouch(clientID: .empty, at: at, messageCount: 0)).isPromise)
    }
}
