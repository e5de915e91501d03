// TaskEventTests: what kinds of events there are to the hub, and that each stays small however much it says.
import Base
import Testing
import TestSupport

@testable import Domain

struct TaskEventTests {
    private struct Row: Sendable, CustomTestStringConvertible {
        let name: String
        let event: TaskEvent
        let isTransient: Bool
        let isTerminal: Bool
        var testDescription: String { name }
    }

    private static let text = SharedBytes(String(repeating: "x", count: 1_000))
    private static let rows = [
        Row(name: "queued", event: .queued, isTransient: false, isTerminal: false),
        Row(name: "started", event: .started(.init(startedAt: WallTime(milliseconds: 5))), isTransient: false, isTerminal: false),
        Row(name: "progress", event: .progress(.init(reported: 50, stepInfo: text)), isTransient: false, isTerminal: false),
        Row(name: "log", event: .log(.init(logs: text)), isTransient: false, isTerminal: false),
        Row(name: "chunk", event: .chunk(text), isTransient: true, isTerminal: false),
        Row(name: "failed", event: .failed(.init(error: .raw(text))), isTransient: false, isTerminal: true),
        Row(name: "completed", event: .completed(.init(result: text)), isTransient: false, isTerminal: true),
        Row(name: "cancelled", event: .cancelled(reason: text), isTransient: false, isTerminal: true),
    ]

    @Test("only a chunk is transient, only the three ends are terminal", arguments: rows)
    private func kinds(_ row: Row) {
        #expect(row.event.isTransient == row.isTransient && row.event.isTerminal == row.isTerminal)
    }

    @Test("what users gave is counted", arguments: rows)
    private func bytes(_ row: Row) {
        switch row.event {
        case .queued: #expect(row.event.byteCount == 0)
        case .started: #expect(row.event.byteCount < 100)
        case .progress, .log, .chunk, .failed, .completed, .cancelled: #expect((1_000..<1_300).contains(row.event.byteCount))
        }
    }

    @Test("every field of an event is counted")
    func fields() {
        let text = TaskEventTests.text
        let progress = TaskEvent.progress(.init(message: text, step: text, stepInfo: text, currentStep: text))
        #expect((4_000..<4_500).contains(progress.byteCount))
        #expect((3_000..<3_300).contains(TaskEvent.log(.init(logs: text, level: text, source: text)).byteCount))
        let fault = TaskEvent.failed(.init(error: .plain(text), code: text, type: text, details: text, step: text, cost: .raw(text)))
        #expect((6_000..<6_300).contains(fault.byteCount))
        #expect(
            (2_000..<2_300).contains(
                TaskEvent.completed(.init(result: text, cost: .metered(Rate(perHour: 1, currency: text), .zero))).byteCount))
        #expect(TaskEvent.Words.raw(text).bytes == text && TaskEvent.Words.plain(text).bytes == text)
    }

    @Test("an event is two words and a mark")
    func size() {
        #expect(MemoryLayout<TaskEvent>.size <= 17)
    }
}
