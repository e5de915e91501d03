// FoldedGroup: the records of one transaction, with those of one task drawn together: a task that begins and ends within the group is
// written once, as it ended. Pure: knows no database, and the order of a task's rows stays. What it leaves in the tables is, by
// "Durability" of the plan, what the records leave one by one.
//
// Cost: a look-up and a step of 40 bytes a record, 0.1 µs; what is drawn together is remembered by its places and copied once, when it is
// written. The statements that it saves cost 2 to 5 µs each.
import Base
import Domain

/// A group of batches, as it is written.
struct FoldedGroup {
    /// Where a record stands.
    struct Place: Equatable {
        let batch: Int
        let entry: Int
    }

    /// What is written, in the order of the records.
    enum Step: Equatable {
        /// The task that the life begins with, as the group leaves it: ``image(of:)``.
        case insert(life: Int)
        /// A worker began with a stored task.
        case assign(Place, life: Int)
        case requeue(Place, life: Int)
        /// A stored task's end; with it, where the group has it, what was to be written when somebody began with the task.
        case end(Place, assignment: Place?, life: Int)
        /// A stored task's sequence goes on.
        case raise(Place, life: Int)
        /// An event, a line of a log or a progress row.
        case row(Place, life: Int)
        /// What concerns no task that is folded.
        case other(Place)
        /// A later step has taken it up.
        case nothing
    }

    /// A task's name between two moments at which everything about it goes.
    struct Life: Equatable {
        enum Origin: Equatable {
            /// It was there before the group, or nowhere.
            case stored
            /// The group takes it in.
            case submitted(Place)
        }

        enum Fate: Equatable {
            case stands
            /// A task of the same name is taken in later in the group. Progress rows belong to the name and stay.
            case replaced
            /// The task is removed later in the group, with its progress rows.
            case removed
        }

        let origin: Origin
        fileprivate(set) var fate = Fate.stands
        /// The highest that its records tell.
        fileprivate(set) var sequence: UInt64 = 0
        /// Of a stored task: whether a step raises the sequence.
        fileprivate var isRaised = false
        /// Of a stored task: the last step of somebody who began with it.
        fileprivate var assignment: Int?
        /// Of a task that the group takes in.
        fileprivate var draft = Draft()

        /// Whether what is said of the task is still there at the group's end.
        var isWritten: Bool { fate == .stands }
    }

    /// What became of a task that the group takes in, by where it says so. A task that has ended never changes, but for its sequence.
    fileprivate struct Draft: Equatable {
        var assignment: Place?
        var requeue: Place?
        /// Whether the requeue is the newer of the two.
        var isWaiting = false
        var ending: Place?
    }

    private let group: [[RecordEntry]]
    private(set) var steps: [Step] = []
    private(set) var lives: [Life] = []
    /// The life of each name that the group has mentioned, as it goes on.
    private var current: [TaskID: Int] = [:]

    init(_ group: [[RecordEntry]]) {
        self.group = group
        let count = group.reduce(0) { $0 + $1.count }
        steps.reserveCapacity(count)
        lives.reserveCapacity(count / 2)
        current.reserveCapacity(count / 2)
        for batch in group.indices {
            for entry in group[batch].indices { fold(group[batch][entry].record, at: Place(batch: batch, entry: entry)) }
        }
        current = [:]
    }

    subscript(place: Place) -> Record { group[place.batch][place.entry].record }

    private mutating func fold(_ record: Record, at place: Place) {
        switch record {
        case .submitted(let image): submit(image, place)
        case .assigned(let assignment): assign(assignment, place)
        case .requeued(let requeue):
            let life = life(of: requeue.id)
            guard case .submitted = lives[life].origin else { return steps.append(.requeue(place, life: life)) }
            draw(life, requeue.sequence) {
                $0.requeue = place
                $0.isWaiting = true
            }
        case .ended(let ending): end(ending, place)
        case .resumed(let id, let sequence):
            let life = life(of: id)
            if !raise(sequence, life) { steps.append(.raise(place, life: life)) }
        case .happened(let row): self.row(place, of: row.taskID, row.sequence)
        case .logged(let row): self.row(place, of: row.taskID, row.sequence)
        case .progressed(let row): self.row(place, of: row.taskID, row.sequence)
        case .removed(let id):
            if let life = current.removeValue(forKey: id) { lives[life].fate = .removed }
            // Also where the group took the task in: an older one of the name would have made way for it.
            steps.append(.other(place))
        case .letterKept, .letterRemoved, .progressCleared, .sessionOpened, .sessionTouched, .sessionClosed, .activityNoted, .alertChanged,
            .deploymentChanged, .deploymentRemoved, .revoked, .revocationRemoved:
            steps.append(.other(place))
        }
    }

    private mutating func submit(_ image: borrowing TaskImage, _ place: Place) {
        if let life = current.updateValue(lives.count, forKey: image.id) { lives[life].fate = .replaced }
        steps.append(.insert(life: lives.count))
        lives.append(Life(origin: .submitted(place), sequence: image.sequence))
    }

    private mutating func assign(_ assignment: borrowing TaskAssignment, _ place: Place) {
        let life = life(of: assignment.id)
        if case .submitted = lives[life].origin {
            return draw(life, assignment.sequence) {
                $0.assignment = place
                $0.isWaiting = false
            }
        }
        lives[life].assignment = steps.count
        steps.append(.assign(place, life: life))
    }

    /// Notes what becomes of a task that the group takes in, unless it has ended.
    private mutating func draw(_ life: Int, _ sequence: UInt64, _ change: (inout Draft) -> Void) {
        guard lives[life].draft.ending == nil else { return }
        change(&lives[life].draft)
        lives[life].sequence = max(lives[life].sequence, sequence)
    }

    private mutating func end(_ ending: borrowing TaskEnding, _ place: Place) {
        let life = life(of: ending.id)
        if case .submitted = lives[life].origin { return draw(life, ending.sequence) { $0.ending = place } }
        var assignment: Place?
        // Whatever stands between the two changes other columns.
        if let step = lives[life].assignment, case .assign(let place, _) = steps[step] {
            assignment = place
            steps[step] = .nothing
        }
        lives[life].assignment = nil
        steps.append(.end(place, assignment: assignment, life: life))
    }

    private mutating func row(_ place: Place, of id: TaskID, _ sequence: UInt64) {
        let life = life(of: id)
        _ = raise(sequence, life)
        steps.append(.row(place, life: life))
    }

    /// - Returns: whether a step before this one writes it.
    private mutating func raise(_ sequence: UInt64, _ life: Int) -> Bool {
        lives[life].sequence = max(lives[life].sequence, sequence)
        if case .submitted = lives[life].origin { return true }
        defer { lives[life].isRaised = true }
        return lives[life].isRaised
    }

    private mutating func life(of id: TaskID) -> Int {
        if let life = current[id] { return life }
        current[id] = lives.count
        lives.append(Life(origin: .stored))
        return lives.count - 1
    }

    // MARK: Drawn together

    /// The task that the group takes in, as it leaves it; nil for a life of another sort.
    func image(of life: Int) -> TaskImage? {
        let life = lives[life]
        guard case .submitted(let place) = life.origin, case .submitted(var image) = self[place] else { return nil }
        let draft = life.draft
        if let place = draft.assignment, case .assigned(let assignment) = self[place] { image.apply(assignment) }
        if let place = draft.requeue, case .requeued(let requeue) = self[place] { image.apply(requeue, isLast: draft.isWaiting) }
        // Its end is a record of its own.
        image.ending = nil
        if let place = draft.ending, case .ended(let ending) = self[place] {
            image.state = ending.state
            image.payload = .empty
            image.ending = ending
        }
        image.sequence = life.sequence
        return image
    }
}

/// As the statements of the same records do it.
extension TaskImage {
    fileprivate mutating func apply(_ assignment: TaskAssignment) {
        state = .executing
        worker = assignment.worker
        startedAt = assignment.startedAt
        attempts = assignment.attempts
        lease = assignment.sequence
    }

    fileprivate mutating func apply(_ requeue: TaskRequeue, isLast: Bool) {
        if isLast { state = .queued }
        retriesLeft = requeue.retriesLeft
        retryAt = requeue.retryAt
    }
}
