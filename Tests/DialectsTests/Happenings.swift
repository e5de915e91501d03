// Happenings: publications and standings of one task, as the hub and the broker would hand them over, for the dialects of watchers.
import Base
import Dialects

@testable import Domain

/// One task of user 42 in project-001, and what happens to it.
enum Happenings {
    static let id = text("interview_123").task
    /// 2026-01-20T10:30:00.987Z
    static let at = WallTime(milliseconds: 1_768_905_000_987)

    static func text(_ text: String) -> SharedBytes { SharedBytes(text) }

    static func publication(
        _ event: TaskEvent, _ state: TaskState, progress: Double = 0, sequence: UInt64 = 7, task: TaskID = id
    ) -> Publication {
        let stream = TaskStream(task: task, user: text("42"), project: text("project-001"), epoch: 1, sequence: sequence)
        return Publication(
            number: 99, origin: stream.origin, sequence: sequence, at: at, event: event, state: state, progress: progress)
    }

    static let queued = publication(.queued, .queued, progress: 5, sequence: 1)
    static let started = publication(.started(TaskEvent.Start(startedAt: at)), .executing, progress: 10, sequence: 2)

    static func progress(
        _ figure: Double = 50, reported: Double? = 50, message: String? = nil, step: String? = nil, info: String? = nil,
        currentStep: String? = nil, of total: Int? = nil, done: Int? = nil, _ state: TaskState = .executing
    ) -> Publication {
        publication(
            .progress(report(reported, message: message, step: step, info: info, currentStep: currentStep, of: total, done: done)), state,
            progress: figure)
    }

    static func report(
        _ reported: Double? = 50, message: String? = nil, step: String? = nil, info: String? = nil, currentStep: String? = nil,
        of total: Int? = nil, done: Int? = nil
    ) -> TaskEvent.Progress {
        TaskEvent.Progress(
            reported: reported, message: message.map(text), step: step.map(text), stepInfo: info.map(text),
            currentStep: currentStep.map(text), totalSteps: total, completedSteps: done)
    }

    static func completed(_ result: String) -> TaskEvent { .completed(TaskEvent.Completion(result: text(result))) }

    static func failed(
        _ error: TaskEvent.Words, code: String? = nil, type: String? = nil, details: String? = nil, step: String? = nil
    ) -> TaskEvent {
        .failed(
            TaskEvent.Fault(error: error, code: code.map(text), type: type.map(text), details: details.map(text), step: step.map(text)))
    }

    static let log = publication(.log(TaskEvent.Log(logs: text("line"))), .executing)
    static let chunk = publication(.chunk(text("{}")), .executing)

    /// How a task stands, with everything that is known of one, or nothing of it.
    static func details(
        _ state: TaskState, progress: Double = 50, report: TaskEvent.Progress? = nil, ending: TaskEvent? = nil, isFull: Bool = false,
        task: TaskID = id
    ) -> TaskDetails {
        let snapshot = TaskSnapshot(
            id: task, state: state, progress: progress, sequence: 7, createdAt: WallTime(milliseconds: at.milliseconds - 60_000),
            startedAt: isFull ? WallTime(milliseconds: at.milliseconds - 30_000) : nil)
        return TaskDetails(
            snapshot, user: isFull ? text("42") : nil, project: isFull ? text("project-001") : nil, type: isFull ? text("interview") : nil,
            metadata: isFull ? text(#"{"interview_id": 123.0}"#) : nil, endedAt: state.isTerminal ? at : nil, updatedAt: at, report: report,
            ending: ending)
    }
}

extension SharedBytes {
    /// The name as a task's.
    var task: TaskID { TaskID(span) ?? TaskID(high: 0, low: 0) }
}
