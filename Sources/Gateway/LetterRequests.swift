// LetterRequests: the dead letters over HTTP: listed, read, replayed, removed. Who may act for the task's user may do all of it; to others
// a letter is as if it were not there. One that has no owner is only found by its name: a list shows a user's own, and an admin all. What
// makes a task, or forgets a letter, is answered once it is written down.
internal import Base
internal import Dialects
internal import Domain
internal import HTTP1
internal import JSON

final class LetterRequests {
    private let context: Context
    private let responses: Responses

    /// Bytes of a body that is read: more than any group's name has, every letter escaped.
    private static let bodyBytesMax = 4 << 10
    private static let notStored: StaticString = "Task could not be stored"

    init(_ context: Context, responses: Responses) {
        self.context = context
        self.responses = responses
    }

    // MARK: Read

    func answerLetters(_ conversation: HTTPConversation, _ query: QueryText, to principal: Principal, at now: Instant) {
        do throws(HTTPError) {
            let (limit, cursor, group) = (
                try query.value(of: "limit"), try query.value(of: "cursor"), try query.value(of: "group"))
            do throws(RequestProblem) {
                let question = try DeadLetterAPI.readQuestion(limit: limit, cursor: cursor, group: group)
                let (letters, hasMore) = context.broker.letters(
                    before: question.before, in: question.group, limit: question.limit, wordsBytesMax: DeadLetterAPI.wordsBytesMax,
                    where: { principal.lists($0) })
                context.text.removeAll()
                DeadLetterAPI.write(letters, hasMore: hasMore, to: &context.text)
                responses.respond(conversation, .ok, at: now)
            } catch {
                responses.fail(conversation, .badRequest, error, at: now)
            }
        } catch {
            responses.fail(conversation, error.status, error.sentence, at: now)
        }
    }

    /// - Parameter id: nil for a name that no task can have.
    func answerLetter(_ conversation: HTTPConversation, _ id: TaskID?, to principal: Principal, at now: Instant) {
        guard let letter = letter(id, of: principal) else { return refuse(conversation, .unknownLetter, at: now) }
        context.text.removeAll()
        let splice = DeadLetterAPI.write(letter, to: &context.text)
        responses.respond(conversation, .ok, splice: splice, at: now)
    }

    private func letter(_ id: TaskID?, of principal: Principal) -> DeadLetter? {
        guard let letter = id.flatMap({ context.broker.letter($0) }), principal.owns(letter) else { return nil }
        return letter
    }

    // MARK: Replayed

    func replay(_ conversation: HTTPConversation, _ id: TaskID?, for principal: Principal, at now: Instant) {
        guard let letter = letter(id, of: principal) else { return refuse(conversation, .unknownLetter, at: now) }
        guard !context.isDiskOverfull else {
            return responses.fail(conversation, .serviceUnavailable, LetterRequests.notStored, at: now)
        }
        do throws(LetterRefusal) {
            let task = try context.broker.replay(letter.id, at: context.moment(now))
            context.log.info("dead letter replayed", ("letter", letter.id), ("task", task.id))
            store(conversation, .replayed(task, of: letter.id, task.state), [Replay(letter: letter.id, task: task.id)])
        } catch {
            refuse(conversation, error, at: now)
        }
    }

    /// Replays all letters of a group, or of all groups, as many as one request may.
    func replayAll(_ conversation: HTTPConversation, _ body: Span<UInt8>, for principal: Principal, at now: Instant) {
        guard body.count <= LetterRequests.bodyBytesMax else {
            return responses.fail(conversation, .contentTooLarge, "The body is too large", at: now)
        }
        do throws(RequestProblem) {
            let group = try readGroup(body)
            guard !context.isDiskOverfull else {
                return responses.fail(conversation, .serviceUnavailable, LetterRequests.notStored, at: now)
            }
            let replays = context.broker.replayAll(
                in: group, max: context.limits.replaysPerRequestMax, where: { principal.lists($0) }, at: context.moment(now))
            guard !replays.tasks.isEmpty else {
                return answer(conversation, replayed: 0, refused: replays.refused, remaining: replays.remaining, at: now)
            }
            context.log.info("dead letters replayed", ("count" as StaticString, replays.tasks.count))
            store(
                conversation, .replays(replays.tasks.map(\.task), refused: replays.refused, remaining: replays.remaining),
                replays.tasks.map { Replay(letter: $0.letter, task: $0.task.id) })
        } catch {
            responses.fail(conversation, .badRequest, error, at: now)
        }
    }

    private func readGroup(_ body: Span<UInt8>) throws(RequestProblem) -> SharedBytes? {
        guard !body.isEmpty else { return nil }
        do throws(JSONError) {
            try context.index.build(from: body)
        } catch {
            throw .malformed(error)
        }
        return try DeadLetterAPI.readReplay(body, context.index, limits: context.limits, scratch: &context.scratch)
    }

    /// Answers behind the disk; the letters go right before.
    private func store(_ conversation: HTTPConversation, _ receipt: Receipt, _ replays: [Replay]) {
        conversation.request = .storing(receipt)
        context.recorder.request(.replays(replays))
        context.recorder.request(.receipt(conversation.exchangeID))
    }

    // MARK: Removed

    func removeLetter(_ conversation: HTTPConversation, _ id: TaskID?, for principal: Principal, at now: Instant) {
        guard let letter = letter(id, of: principal) else { return refuse(conversation, .unknownLetter, at: now) }
        do throws(LetterRefusal) {
            try context.broker.removeLetter(letter.id)
            conversation.request = .storing(.letterRemoved(letter.id))
            context.recorder.request(.receipt(conversation.exchangeID))
        } catch {
            refuse(conversation, error, at: now)
        }
    }

    // MARK: What was waited for

    /// The new task is written down, or never will be.
    func answerReplay(_ conversation: HTTPConversation, of letter: TaskID, by task: TaskRecord, _ state: TaskState, at now: Instant) {
        guard task.isRecorded else {
            return responses.fail(conversation, .serviceUnavailable, LetterRequests.notStored, at: now)
        }
        context.text.removeAll()
        DeadLetterAPI.writeReplay(of: letter, by: task.id, state, to: &context.text)
        responses.respond(conversation, .ok, at: now)
    }

    /// The new tasks are written down, as far as they ever will be.
    func answerReplays(_ conversation: HTTPConversation, _ tasks: [TaskRecord], refused: Int, remaining: Int, at now: Instant) {
        let stored = tasks.count(where: \.isRecorded)
        guard stored > 0 else { return responses.fail(conversation, .serviceUnavailable, LetterRequests.notStored, at: now) }
        answer(conversation, replayed: stored, refused: refused, remaining: remaining + tasks.count - stored, at: now)
    }

    private func answer(_ conversation: HTTPConversation, replayed: Int, refused: Int, remaining: Int, at now: Instant) {
        context.text.removeAll()
        DeadLetterAPI.writeReplays(replayed, refused: refused, remaining: remaining, to: &context.text)
        responses.respond(conversation, .ok, at: now)
    }

    /// The letter's end is written down.
    func answerRemoved(_ conversation: HTTPConversation, _ id: TaskID, at now: Instant) {
        context.text.removeAll()
        DeadLetterAPI.writeRemoved(id, to: &context.text)
        responses.respond(conversation, .ok, at: now)
    }

    private func refuse(_ conversation: HTTPConversation, _ refusal: LetterRefusal, at now: Instant) {
        context.text.removeAll()
        let status = DeadLetterAPI.write(refusal, to: &context.text)
        responses.respond(conversation, HTTPStatus(rawValue: UInt16(status)) ?? .internalServerError, at: now)
    }
}

extension Principal {
    /// Whether the one may know of a letter, and have it replayed or removed: who may cancel its task.
    fileprivate func owns(_ letter: DeadLetter) -> Bool { mayActFor(letter.submission.user) }

    /// Whether a list that the one asks for has a letter in it.
    fileprivate func lists(_ letter: DeadLetter) -> Bool {
        maySeeAll || (!isAnonymous && letter.submission.user == user)
    }
}
