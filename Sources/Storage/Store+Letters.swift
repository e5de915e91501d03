// Store+Letters: what the records of dead letters leave in the tables, and how all of them are read at the start: their number and their
// bytes are bounded by whoever keeps them. Not the transaction around them (Store).
//
// Cost: one prepared statement each, and the payload once more: tasks that fail are few.
import Base
import Domain

extension Store {
    func keep(_ letter: DeadLetter, _ database: inout Database) throws(StorageError) {
        try database.run(.keepLetter) {
            let submission = letter.submission
            $0.add(sequence: letter.number)
            $0.add(letter.id)
            $0.add(text: submission.user)
            $0.add(text: submission.project)
            $0.add(text: letter.group)
            $0.add(text: submission.model)
            $0.add(text: submission.type)
            $0.add(submission.priority.rawValue)
            $0.add(text: submission.provider)
            $0.add(submission.timeout?.milliseconds ?? 0)
            $0.add(submission.retries)
            $0.add(letter.attempts)
            $0.add(text: submission.idempotencyKey)
            $0.add(letter.createdAt)
            $0.add(letter.failedAt)
            $0.add(letter.failure)
            $0.add(blob: letter.words)
            $0.add(blob: submission.payload)
        }
    }

    func letters() throws(StorageError) -> [DeadLetter] {
        var letters: [DeadLetter] = []
        try database.rows(.readLetters) { row throws(StorageError) in
            letters.append(try row.letter())
            return true
        }
        var names = Set<TaskID>(minimumCapacity: letters.count)
        var last: UInt64 = 0
        for letter in letters {
            guard letter.number > last, names.insert(letter.id).inserted else { throw .corrupt("a dead letter in the place of another") }
            last = letter.number
        }
        return letters
    }
}

extension Row {
    fileprivate mutating func letter() throws(StorageError) -> DeadLetter {
        let (number, id) = (try place(), try taskID())
        var submission = Submission(payload: .empty)
        (submission.user, submission.project) = (optionalBytes(), optionalBytes())
        (submission.group, submission.model, submission.type) = (bytes(), optionalBytes(), optionalBytes())
        (submission.priority, submission.provider) = (try value(Priority.self), optionalBytes())
        (submission.timeout, submission.retries) = (.milliseconds(self.number()), try count())
        let attempts = try count()
        submission.idempotencyKey = optionalBytes()
        let (createdAt, failedAt) = (time(), time())
        let failure = try FailureKind(written: self.number())
        let words = optionalBytes()
        submission.payload = bytes()
        return DeadLetter(
            number: number, id: id, submission: submission, attempts: attempts, createdAt: createdAt, failedAt: failedAt,
            failure: failure, words: words)
    }
}
