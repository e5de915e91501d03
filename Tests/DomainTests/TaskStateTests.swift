// TaskStateTests: the table of moves, every pair of it, and the order of priorities.
import Testing

@testable import Domain

struct TaskStateTests {
    /// The legal moves, written out.
    private static let moves: [TaskState: Set<TaskState>] = [
        .queued: [.executing, .failed, .cancelled],
        .executing: [.queued, .completed, .failed, .cancelled],
        .completed: [],
        .failed: [],
        .cancelled: [],
    ]

    @Test("every pair of states is a legal move or not, as the table says", arguments: TaskState.allCases, TaskState.allCases)
    func table(_ state: TaskState, _ next: TaskState) {
        #expect(state.mayBecome(next) == Self.moves[state]?.contains(next))
    }

    @Test("a state is terminal where no move leaves it", arguments: TaskState.allCases)
    func terminal(_ state: TaskState) {
        #expect(state.isTerminal == TaskState.allCases.allSatisfy { !state.mayBecome($0) })
    }

    @Test("high goes before normal, and normal before low")
    func priorities() {
        #expect(Priority.allCases.sorted() == [.high, .normal, .low])
    }
}
