// TaskEndingTests: an ending is the event and the outcome that it was made of, whichever they were.
import Base
import Testing

@testable import Domain

struct TaskEndingTests {
    private struct Row: Sendable, CustomTestStringConvertible {
        let name: String
        let event: TaskEvent
        var failure: FailureKind?
        let ending: TaskEnding
        var testDescription: String { name }
    }

    private static let id = TaskID(high: 1, low: 2)
    private static let at = WallTime(milliseconds: 5)
    private static let cost = Cost.metered(Rate(perHour: 2.5, currency: SharedBytes("USD")), .seconds(3))

    private static func ending(
        _ state: TaskState, _ failure: FailureKind? = nil, _ change: (inout TaskEnding) -> Void = { _ in }
    ) -> TaskEnding {
        var ending = TaskEnding(id: id, state: state, failure: failure, endedAt: at, sequence: 9)
        change(&ending)
        return ending
    }

    private static let rows = [
        Row(
            name: "completed", event: .completed(.init(result: SharedBytes("r"), executionTime: .seconds(3), cost: cost)),
            ending: ending(.completed) {
                $0.content = SharedBytes("r"); $0.executionTime = .seconds(3); $0.cost = cost
            }),
        Row(name: "completed, and no more", event: .completed(.init(result: .empty)), ending: ending(.completed) { $0.content = .empty }),
        Row(
            name: "failed",
            event: .failed(
                .init(
                    error: .raw(SharedBytes("\"w\"")), code: SharedBytes("c"), type: SharedBytes("t"), details: SharedBytes("{}"),
                    step: SharedBytes("s"), executionTime: .zero, cost: .raw(SharedBytes("1")))),
            ending: ending(.failed, .reported) {
                $0.content = SharedBytes("\"w\""); $0.code = SharedBytes("c"); $0.type = SharedBytes("t"); $0.details = SharedBytes("{}")
                $0.step = SharedBytes("s"); $0.executionTime = .zero; $0.cost = .raw(SharedBytes("1"))
            }),
        Row(
            name: "failed in plain words", event: .failed(.init(error: .plain(SharedBytes("w")))),
            ending: ending(.failed, .reportedPlainly) { $0.content = SharedBytes("w") }),
        Row(
            name: "timed out", event: Outcome.failed(.timeout).event(step: SharedBytes("s"), executionTime: .seconds(1)), failure: .timeout,
            ending: ending(.failed, .timeout) {
                $0.step = SharedBytes("s"); $0.executionTime = .seconds(1)
            }),
        Row(
            name: "lost its worker", event: Outcome.failed(.workerDisconnected).event(step: nil, executionTime: .zero),
            failure: .workerDisconnected, ending: ending(.failed, .workerDisconnected) { $0.executionTime = .zero }),
        Row(name: "cancelled", event: .cancelled(reason: nil), ending: ending(.cancelled)),
        Row(
            name: "cancelled for a reason", event: .cancelled(reason: SharedBytes("y")),
            ending: ending(.cancelled) { $0.reason = SharedBytes("y") }),
    ]

    @Test("an event becomes an ending of these values, and comes back as itself", arguments: rows)
    private func both(_ row: Row) {
        let ending = TaskEnding(id: Self.id, event: row.event, failure: row.failure, endedAt: Self.at, sequence: 9)
        #expect(ending == row.ending)
        #expect(Self.spelled(ending.event) == Self.spelled(row.event))
        #expect(TaskEnding(id: Self.id, event: ending.event, failure: ending.failure, endedAt: Self.at, sequence: 9) == ending)
    }

    /// Every value of an end.
    static func spelled(_ event: TaskEvent?) -> String {
        switch event {
        case .completed(let end): "\(end.result) \(optional: end.executionTime?.nanoseconds) \(optional: end.cost)"
        case .failed(let end):
            "\(end.error) \(optional: end.code) \(optional: end.type) \(optional: end.details) \(optional: end.step) "
                + "\(optional: end.executionTime?.nanoseconds) \(optional: end.cost)"
        case .cancelled(let reason): "cancelled \(optional: reason)"
        case .queued, .started, .progress, .log, .chunk, nil: "no end"
        }
    }

    @Test(
        "an outcome is the same after it was written down",
        arguments: [
            .completed(result: SharedBytes("r")), .completed(result: .empty), .failed(.reported(.raw(SharedBytes("w")))),
            .failed(.reported(.plain(SharedBytes("w")))), .failed(.timeout), .failed(.workerDisconnected), .cancelled,
        ] as [Outcome])
    func outcomes(_ outcome: Outcome) {
        let failure: FailureKind? = if case .failed(let reason) = outcome { FailureKind(reason) } else { nil }
        let ending = TaskEnding(
            id: Self.id, event: outcome.event(step: nil, executionTime: .zero), failure: failure, endedAt: Self.at, sequence: 3)
        #expect("\(ending.outcome)" == "\(outcome)")
    }
}

extension String.StringInterpolation {
    /// A value, or a dash where there is none.
    fileprivate mutating func appendInterpolation(optional value: (some Any)?) {
        if let value { appendInterpolation(value) } else { appendLiteral("-") }
    }
}
