// Store+Records: what each record leaves in the tables; those of the fleet are Store+Monitor's. Not which records are drawn together
// (FoldedGroup), and not the transaction around them (Store). An ended task never changes, but for its sequence: only those that live are
// found here.
//
// Cost: a prepared statement is 2 to 5 µs. A task is one when it is taken in and one when it ends, two more where its payload is large,
// and one more where somebody begins with it in another group than that in which it came; a row is one, and the first of its task another.
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
            try moveMark(&database)
        }
    }

    private func write(_ step: FoldedGroup.Step, _ writing: inout Writing, _ database: inout Database) throws(StorageError) {
        switch step {
        case .nothing: break
        case .other(let place): try write(writing.group[place], &database)
        case .insert(let life):
            guard let image = writing.group.image(of: life) else { return }
            // Also where the task is gone by the group's end: it took the letter's place while it was there.
            if let letter = image.replayOf { try database.run(.removeLetter) { $0.add(letter) } }
            guard writing.group.lives[life].isWritten else { return }
            writing.presence[life] = .raised(try submit(image, &database))
        case .assign(let place, let life):
            guard writing.group.lives[life].isWritten, case .assigned(let assignment) = writing.group[place] else { return }
            if let entry = living[assignment.id] { try write(assignment, entry.number, &database) }
        case .requeue(let place, let life):
            guard writing.group.lives[life].isWritten, case .requeued(let requeue) = writing.group[place] else { return }
            guard let number = living[requeue.id]?.number else { return }
            try database.run(.requeueTask) {
                $0.add(number)
                $0.add(requeue.retriesLeft)
                $0.add(requeue.retryAt)
                $0.add(sequence: requeue.sequence)
            }
        case .end(let place, let began, let life):
            guard writing.group.lives[life].isWritten, case .ended(let ending) = writing.group[place] else { return }
            guard let entry = living.remove(ending.id) else { return }
            if let began, case .assigned(let assignment) = writing.group[began] { try write(assignment, entry.number, &database) }
            try end(ending, entry.number, max(ending.sequence, writing.group.lives[life].sequence), &database)
            if entry.hasPayloadBeside { try database.run(.removePayload) { $0.add(entry.number) } }
            try lingerNoMore(entry.number, &database)
            counts.add(-1, to: .executing)
            writing.presence[life] = .raised(entry.number)
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
        guard let number = living.nextNumber() else { throw .corrupt("a task with the last of all numbers") }
        let isBeside = image.payload.count > settings.payloadInRowMax
        if try insert(image, number, isBeside, &database) == 0 {
            // A name that a client chose and that nobody but the database remembers begins a new life.
            try remove(image.id, &database)
            try insert(image, number, isBeside, &database)
        }
        if isBeside {
            try database.run(.insertPayload) {
                $0.add(number)
                $0.add(heldBlob: image.payload)
            }
        }
        if let metadata = image.metadata {
            try database.run(.insertMetadata) {
                $0.add(number)
                $0.add(heldBlob: metadata)
            }
        }
        if let ending = image.ending {
            try end(ending, number, image.sequence, &database)
        } else {
            living.insert(image.id, LivingTasks.Entry(number: number, hasPayloadBeside: isBeside))
            counts.add(1, to: .queued)
        }
        return number
    }

    /// - Returns: 1, or 0 where the name is taken.
    @discardableResult
    private func insert(
        _ image: TaskImage, _ number: Int64, _ isBeside: Bool, _ database: inout Database
    ) throws(StorageError) -> Int {
        nameText.removeAll()
        image.id.write(to: &nameText)
        // The bytes are held by the image, and the image by whoever calls.
        return try database.run(.insertTask) {
            $0.add(number)
            $0.add(heldText: nameText)
            $0.add(heldText: image.userID)
            $0.add(heldText: image.projectID)
            $0.add(heldText: image.group)
            $0.add(heldText: image.model)
            $0.add(heldText: image.type)
            $0.add(image.priority.rawValue)
            $0.add(heldText: image.provider)
            $0.add(image.origin.rawValue)
            $0.add(image.isDetached)
            $0.add(image.timeout.milliseconds)
            $0.add(image.retries)
            $0.add(image.retriesLeft)
            $0.add(image.attempts)
            $0.add(heldText: image.idempotencyKey)
            $0.add(image.createdAt)
            $0.add(image.enqueuedAt)
            $0.add(image.deadline)
            $0.add(image.retryAt)
            // How it ends is told beside it.
            $0.add((image.state == .queued ? TaskState.queued : .executing).rawValue)
            $0.add(sequence: image.sequence)
            $0.add(sequence: image.lease)
            $0.add(heldText: image.worker)
            $0.add(image.startedAt)
            if isBeside || image.payload.isEmpty { $0.addNull() } else { $0.add(heldBlob: image.payload) }
        }
    }

    private func write(_ assignment: TaskAssignment, _ number: Int64, _ database: inout Database) throws(StorageError) {
        try database.run(.assignTask) {
            $0.add(number)
            $0.add(text: assignment.worker)
            $0.add(assignment.startedAt)
            $0.add(assignment.attempts)
            $0.add(sequence: assignment.sequence)
        }
    }

    /// Ends a task that has not ended.
    ///
    /// - Parameter sequence: the highest that the group tells.
    private func end(_ ending: TaskEnding, _ number: Int64, _ sequence: UInt64, _ database: inout Database) throws(StorageError) {
        try database.run(.endTask) {
            $0.add(number)
            $0.add(ending.state.rawValue)
            $0.add(ending.endedAt)
            $0.add(sequence: sequence)
            $0.add(ending.failure)
            $0.add(heldBlob: ending.content)
            $0.add(heldText: ending.code)
            $0.add(heldText: ending.type)
            $0.add(heldBlob: ending.details)
            $0.add(heldText: ending.step)
            $0.add(heldText: ending.reason)
            $0.add(ending.executionTime)
            $0.add(ending.cost)
        }
        counts.add(1, to: ending.state)
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
        var found = living[id]?.number
        if found == nil {
            try database.rows(.findTask, { $0.add(id) }) { row throws(StorageError) in
                found = row.number()
                return false
            }
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

extension Arguments {
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
