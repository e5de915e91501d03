// Broker+Letters: dead letters: which failed tasks become one, and how one becomes a task again. A letter is kept of a task that was
// promised (given in without waiting, or under a key) and that failed, for whatever reason: its worker vanished and no retry was left, its
// time was up, or its worker said so. Whoever waited for another task was told, and knows what he wants done about it.
public import Base

extension Broker {
    // MARK: In

    /// Keeps what is needed to try a failed task again.
    func keepLetter(of task: TaskRecord, _ failure: FailureKind, at now: Moment) {
        guard task.origin == .dispatched, task.isPromised, let group = task.group else { return }
        var submission = Submission(
            payload: task.payload, group: group.name, model: task.model, priority: task.priority, timeout: task.timeout,
            retries: task.retries, idempotencyKey: task.idempotencyKey)
        (submission.user, submission.project) = (task.user, task.project)
        (submission.provider, submission.type) = (task.provider, task.type)
        var words: SharedBytes?
        if case .failed(.reported(let reported)) = task.outcome { words = reported.bytes }
        let letter = DeadLetter(
            number: letters.nextNumber, id: task.id, submission: submission, attempts: task.attempts, createdAt: task.createdAt,
            failedAt: now.wall, failure: failure, words: words)
        // A damaged file may have had a letter of a task that lived: the one that is kept stays.
        guard letters[task.id] == nil, letters.hasRoom(for: letter) else { return statistics.lettersDropped += 1 }
        letters.append(letter, expiry: now.instant + limits.deadLetterTime)
        statistics.lettersKept += 1
        effects.append(.record(.letterKept(letter)))
        expireLetters(at: now.instant)
    }

    /// Takes up again the letters that an earlier process kept.
    ///
    /// - Parameter letters: in the order of their numbers.
    /// - Precondition: nothing has failed yet.
    public func restore(letters kept: [DeadLetter], at now: Moment) {
        for letter in kept {
            letters.append(letter, expiry: min(now.instant(of: letter.failedAt), now.instant) + limits.deadLetterTime)
        }
        expireLetters(at: now.instant)
    }

    func expireLetters(at now: Instant) {
        for id in letters.expire(at: now) {
            statistics.lettersDropped += 1
            effects.append(.record(.letterRemoved(id)))
        }
    }

    // MARK: Looked at

    public var letterCount: Int { letters.count }
    public var letterBytes: Int { letters.bytes }

    public func letter(_ id: TaskID) -> DeadLetter? { letters[id]?.letter }

    /// Some of the letters, newest first.
    ///
    /// - Parameters:
    ///   - number: only letters before this one; nil for a first page.
    ///   - group: only letters of that group; nil for all.
    ///   - wordsBytesMax: the page ends behind the letter whose words reach it.
    ///   - isVisible: whether the one who asks may know of the letter.
    public func letters(
        before number: UInt64?, in group: SharedBytes?, limit: Int, wordsBytesMax: Int = .max, where isVisible: (DeadLetter) -> Bool
    ) -> (letters: [DeadLetter], hasMore: Bool) {
        var page: [DeadLetter] = []
        var bytes = 0
        let end = number.map { letters.place(of: $0) } ?? letters.count
        for entry in letters.entries[..<end].reversed() {
            guard group == nil || entry.letter.group == group, isVisible(entry.letter) else { continue }
            if page.count == limit || bytes >= wordsBytesMax { return (page, true) }
            page.append(entry.letter)
            bytes += entry.letter.words?.count ?? 0
        }
        return (page, false)
    }

    // MARK: Out

    /// Has a failed task tried again: as a new task of the same submission and owner. The letter goes once that one is written down.
    ///
    /// - Returns: the new task; when it is written down, or never will be, `replaySettled` is to be called.
    public func replay(_ id: TaskID, at now: Moment) throws(LetterRefusal) -> TaskRecord {
        guard let entry = letters[id] else { throw .unknownLetter }
        guard entry.standing == .waiting else { throw .underWay }
        do throws(SubmissionRefusal) {
            return try replay(entry, at: now)
        } catch {
            throw .notTaken(error)
        }
    }

    private func replay(_ entry: DeadLetters.Entry, at now: Moment) throws(SubmissionRefusal) -> TaskRecord {
        var submission = entry.letter.submission
        // The key now names the new task, so that whoever comes back with it finds that one; but not where it has another already.
        if let key = submission.idempotencyKey, let known = tasks.task(withKey: key), known.id != entry.letter.id {
            submission.idempotencyKey = nil
        }
        let task = try admit(submission, for: .nobody, replaying: entry.letter.id, at: now)
        entry.standing = .replayed(by: task.id)
        statistics.lettersReplayed += 1
        return task
    }

    /// Has those letters tried again that wait, oldest first, as far as their groups take tasks in.
    ///
    /// - Parameters:
    ///   - group: only letters of that group; nil for all.
    ///   - max: how many at most.
    ///   - isTheirs: whether the one who asks may have the letter replayed.
    public func replayAll(in group: SharedBytes?, max: Int, where isTheirs: (DeadLetter) -> Bool, at now: Moment) -> Replays {
        var replays = Replays()
        var fullGroups: Set<SharedBytes> = []
        for entry in letters.entries {
            guard group == nil || entry.letter.group == group, entry.standing == .waiting, isTheirs(entry.letter) else { continue }
            if replays.tasks.count < max, !fullGroups.contains(entry.letter.group) {
                do throws(SubmissionRefusal) {
                    replays.tasks.append((entry.letter.id, try replay(entry, at: now)))
                    continue
                } catch {
                    fullGroups.insert(entry.letter.group)
                }
            }
            replays.remaining += 1
            if fullGroups.contains(entry.letter.group) { replays.refused += 1 }
        }
        return replays
    }

    /// The task that takes a letter's place is written down, or it was told that it cannot be (`recordFailed`).
    public func replaySettled(of letter: TaskID, by task: TaskID) {
        guard let entry = letters[letter], entry.standing == .replayed(by: task) else { return }
        _ = letters.remove(letter)
    }

    /// Nobody wants the task tried again.
    public func removeLetter(_ id: TaskID) throws(LetterRefusal) {
        guard let entry = letters[id] else { throw .unknownLetter }
        guard entry.standing == .waiting else { throw .underWay }
        forgetLetter(of: id)
    }

    /// Forgets the letter of a task, where there is one.
    func forgetLetter(of id: TaskID) {
        guard letters.remove(id) != nil else { return }
        effects.append(.record(.letterRemoved(id)))
    }
}
