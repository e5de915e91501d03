// Store+Records: what each record leaves in the tables; those of the fleet are Store+Monitor's. Not which records are drawn together
// (FoldedGroup), and not the transaction around them (Store). An ended task never changes, but for its sequence: the statements see to
// it.
//
// Cost: a prepared statement is 2 to 5 µs. A task that came and ended within the group is two; one that ends in a later group is two and
// then four; a row is one, and the first of its task two more.
import Base
import Domain

extension Store {
    /// A group on its way into the tables.
    private struct Writing {
        enum Presence {
            case unknown
            case missing
            /// The number of the task's row.
            case found(Int64)
            /// The same, and its sequence is as high as the group tells.
            case raised(Int64)
        }

        let group: FoldedGroup
        var presence: [Presence]

        init(_ group: FoldedGroup) {
            self.group = group
            presence = Array(repeating: .unknown, count: group.lives.count)
        }
    }

    func write(_ group: FoldedGroup) throws(StorageError) {
        try change { database throws(StorageError) in
            var writing = Writing(group)
            for step in group.steps { try write(step, &writing, &database) }
        }
    }

    private func write(_ step: FoldedGroup.Step, _ writing: inout Writing, _ database: inout Database) throws(StorageError) {
        switch step {
        case .nothing: break
        case .other(let place): try write(writing.group[place], &database)
        case .insert(let life):
            guard case .submitted(let image) = writing.group.lives[life].origin else { return }
            // Also where the task is gone by the group's end: it took the letter's place while it was there.
            if let letter = writing.group.images[image].replayOf { try database.run(.removeLetter) { $0.add(letter) } }
            guard writing.group.lives[life].isWritten else { return }
            writing.presence[life] = .raised(try submit(writing.group.images[image], &database))
        case .assign(let place, let life):
            guard writing.group.lives[life].isWritten, case .assigned(let assignment) = writing.group[place] else { return }
            guard let number = try find(assignment.id, life, &writing, &database) else { return }
            try database.run(.assignTask) {
                $0.add(number)
                $0.add(assignment)
            }
        case .requeue(let place, let life):
            guard writing.group.lives[life].isWritten, case .requeued(let requeue) = writing.group[place] else { return }
            guard let number = try find(requeue.id, life, &writing, &database) else { return }
            try database.run(.requeueTask) {
                $0.add(number)
                $0.add(requeue.retriesLeft)
                $0.add(requeue.retryAt)
                $0.add(sequence: requeue.sequence)
            }
        case .end(let place, let began, let life):
            guard writing.group.lives[life].isWritten, case .ended(let ending) = writing.group[place] else { return }
            guard let number = try find(ending.id, life, &writing, &database) else { return }
            var assignment: TaskAssignment?
            if let began, case .assigned(let found) = writing.group[began] { assignment = found }
            let sequence = max(ending.sequence, writing.group.lives[life].sequence)
            if try end(ending, number, assignment, sequence, &database) { writing.presence[life] = .raised(number) }
        case .raise(let place, let life):
            guard writing.group.lives[life].isWritten, case .resumed(let id, _) = writing.group[place] else { return }
            _ = try raise(id, life, &writing, &database)
        case .row(let place, let life): try write(row: writing.group[place], life, &writing, &database)
        }
    }

    /// What needs to know nothing of the rest of the group.
    private func write(_ record: Record, _ database: inout Database) throws(StorageError) {
        switch record {
        case .submitted, .assigned, .requeued, .ended, .resumed, .happened, .logged, .progressed:
            preconditionFailure("\(record) is no step by itself")
        case .removed(let id):
            try remove(id, &database)
            try database.run(.removeProgress) { $0.add(id) }
        case .progressCleared(let id): try database.run(.removeProgress) { $0.add(id) }
        case .letterKept(let letter): try keep(letter, &database)
        case .letterRemoved(let id): try database.run(.removeLetter) { $0.add(id) }
        case .sessionOpened(let row): try open(row, &database)
        case .sessionTouched(let touch): try database.run(.touchSession) { $0.add(touch) }
        case .sessionClosed(let touch): try database.run(.closeSession) { $0.add(touch) }
        case .activityNoted(let activity): try note(activity, &database)
        case .alertChanged(let alert): try change(alert, &database)
        case .deploymentChanged(let deployment): try change(deployment, &database)
        case .deploymentRemoved(let id): try database.run(.removeDeployment) { $0.add(text: id) }
        case .revoked(let revocation): try keep(revocation, &database)
        case .revocationRemoved(let user): try database.run(.removeRevocation) { $0.add(text: user) }
        }
    }

    // MARK: Tasks

    /// - Returns: the number of the task's row.
    private func submit(_ image: TaskImage, _ database: inout Database) throws(StorageError) -> Int64 {
        if try insert(image, &database) == 0 {
            // A name that a client chose and that nobody but the database remembers begins a new life.
            try remove(image.id, &database)
            try insert(image, &database)
        }
        counts.add(1, to: image.state)
        let number = database.lastInserted
        // Alone: what binds the arguments would hold a copy of the whole image.
        let payload = image.payload
        if !payload.isEmpty {
            try database.run(.insertPayload) {
                $0.add(number)
                $0.add(blob: payload)
            }
        }
        if let metadata = image.metadata {
            try database.run(.insertMetadata) {
                $0.add(number)
                $0.add(blob: metadata)
            }
        }
        if let ending = image.ending { try insert(ending, number, &database) }
        return number
    }

    @discardableResult
    private func insert(_ image: TaskImage, _ database: inout Database) throws(StorageError) -> Int {
        try database.run(.insertTask) {
            $0.add(image.id)
            $0.add(text: image.userID)
            $0.add(text: image.projectID)
            $0.add(text: image.group)
            $0.add(text: image.model)
            $0.add(text: image.type)
            $0.add(image.priority.rawValue)
            $0.add(text: image.provider)
            $0.add(image.origin.rawValue)
            $0.add(image.isDetached)
            $0.add(image.timeout.milliseconds)
            $0.add(image.retriesLeft)
            $0.add(image.attempts)
            $0.add(text: image.idempotencyKey)
            $0.add(image.createdAt)
            $0.add(image.enqueuedAt)
            $0.add(image.deadline)
            $0.add(image.state.rawValue)
            $0.add(sequence: image.sequence)
            $0.add(text: image.worker)
            $0.add(image.startedAt)
            $0.add(image.ending?.endedAt)
            $0.add(image.ending?.failure)
            $0.add(image.retries)
            $0.add(sequence: image.lease)
            $0.add(image.retryAt)
        }
    }

    /// Ends a stored task.
    ///
    /// - Parameters:
    ///   - assignment: what is to be written as well of somebody who began with it.
    ///   - sequence: the highest that the group tells.
    /// - Returns: whether it had not ended before.
    private func end(
        _ ending: TaskEnding, _ number: Int64, _ assignment: TaskAssignment?, _ sequence: UInt64, _ database: inout Database
    ) throws(StorageError) -> Bool {
        let changed = try database.run(assignment == nil ? .endTask : .endAssignedTask) {
            $0.add(number)
            $0.add(ending.state.rawValue)
            $0.add(ending.failure)
            $0.add(ending.endedAt)
            $0.add(sequence: sequence)
            if let assignment { $0.add(assignment) }
        }
        guard changed > 0 else { return false }
        counts.add(-1, to: .executing)
        counts.add(1, to: ending.state)
        try database.run(.removePayload) { $0.add(number) }
        try insert(ending, number, &database)
        return true
    }

    private func insert(_ ending: TaskEnding, _ number: Int64, _ database: inout Database) throws(StorageError) {
        guard ending.saysMore else { return }
        try database.run(.insertOutcome) {
            $0.add(number)
            $0.add(blob: ending.content)
            $0.add(text: ending.code)
            $0.add(text: ending.type)
            $0.add(blob: ending.details)
            $0.add(text: ending.step)
            $0.add(text: ending.reason)
            $0.add(ending.executionTime)
            $0.add(ending.cost)
        }
    }

    // MARK: Rows

    private func write(row record: Record, _ life: Int, _ writing: inout Writing, _ database: inout Database) throws(StorageError) {
        let fate = writing.group.lives[life].fate
        switch record {
        case .happened(let row):
            guard fate == .stands, let number = try raise(row.taskID, life, &writing, &database) else { return }
            try database.run(.insertEvent) {
                $0.add(number)
                $0.add(sequence: row.sequence)
                $0.add(row.kind)
                $0.add(row.at)
                $0.add(blob: row.bytes)
            }
        case .logged(let row):
            guard fate == .stands, let number = try raise(row.taskID, life, &writing, &database) else { return }
            try database.run(.insertLog) {
                $0.add(number)
                $0.add(sequence: row.sequence)
                $0.add(text: row.level)
                $0.add(text: row.source)
                $0.add(text: row.text)
                $0.add(row.createdAt)
            }
        case .progressed(let row):
            guard fate != .removed else { return }
            if fate == .stands { _ = try raise(row.taskID, life, &writing, &database) }
            try insert(row, &database)
        case .submitted, .assigned, .requeued, .resumed, .ended, .removed, .letterKept, .letterRemoved, .progressCleared, .sessionOpened,
            .sessionTouched, .sessionClosed, .activityNoted, .alertChanged, .deploymentChanged, .deploymentRemoved, .revoked,
            .revocationRemoved:
            preconditionFailure("\(record) is no row of a task")
        }
    }

    private func insert(_ row: ProgressRow, _ database: inout Database) throws(StorageError) {
        try database.run(.insertProgress) {
            $0.add(row.taskID)
            $0.add(row.progress)
            $0.add(text: row.currentStep)
            $0.add(row.totalSteps)
            $0.add(row.completedSteps)
            $0.add(text: row.message)
            $0.add(text: row.status)
            $0.add(text: row.metadata)
            $0.add(row.createdAt)
            $0.add(sequence: row.sequence)
        }
    }

    /// Finds the task's row, once a group.
    ///
    /// - Returns: the row's number; nil where the task is not stored, because its submission failed or it was removed.
    private func find(_ id: TaskID, _ life: Int, _ writing: inout Writing, _ database: inout Database) throws(StorageError) -> Int64? {
        switch writing.presence[life] {
        case .found(let number), .raised(let number): return number
        case .missing: return nil
        case .unknown: break
        }
        var found: Int64?
        try database.rows(.findTask, { $0.add(id) }) { row throws(StorageError) in
            found = row.number()
            return false
        }
        writing.presence[life] = if let found { .found(found) } else { .missing }
        return found
    }

    /// Finds the task's row, and notes there, once a group, how far its events have come.
    ///
    /// - Returns: as `find`.
    private func raise(_ id: TaskID, _ life: Int, _ writing: inout Writing, _ database: inout Database) throws(StorageError) -> Int64? {
        guard let number = try find(id, life, &writing, &database) else { return nil }
        if case .raised = writing.presence[life] { return number }
        try database.run(.raiseSequence) {
            $0.add(number)
            $0.add(sequence: writing.group.lives[life].sequence)
        }
        writing.presence[life] = .raised(number)
        return number
    }

    // MARK: Sessions

    private func open(_ row: SessionRow, _ database: inout Database) throws(StorageError) {
        try database.run(.openSession) {
            $0.add(text: row.clientID)
            $0.add(text: row.userID)
            $0.add(text: row.projectID)
            $0.add(row.connectedAt)
            $0.add(row.disconnectedAt)
            $0.add(row.lastActiveAt)
            $0.add(row.messageCount)
            $0.add(text: row.ipAddress)
            $0.add(text: row.userAgent)
            $0.add(row.createdAt)
            $0.add(row.updatedAt)
        }
    }
}

extension TaskEnding {
    /// Whether there is more than the task's own row has room for.
    fileprivate var saysMore: Bool {
        if content != nil || executionTime != nil || cost != nil { return true }
        return code != nil || type != nil || details != nil || step != nil || reason != nil
    }
}

extension Arguments {
    /// Four arguments.
    fileprivate mutating func add(_ assignment: TaskAssignment) {
        add(text: assignment.worker)
        add(assignment.startedAt)
        add(assignment.attempts)
        add(sequence: assignment.sequence)
    }

    mutating func add(_ failure: FailureKind?) { if let failure { add(failure.rawValue) } else { addNull() } }

    /// Four arguments.
    fileprivate mutating func add(_ cost: Cost?) {
        var raw: SharedBytes?
        var rate: Rate?
        var time: TimeSpan?
        switch cost {
        case .raw(let bytes): raw = bytes
        case .metered(let perHour, let span): (rate, time) = (perHour, span)
        case nil: break
        }
        add(blob: raw)
        add(rate?.perHour)
        add(text: rate?.currency)
        add(time)
    }

    /// Three arguments.
    fileprivate mutating func add(_ touch: SessionTouch) {
        add(text: touch.clientID)
        add(touch.at)
        add(touch.messageCount)
    }
}
