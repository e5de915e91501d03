// UserRequests: document N over HTTP, for those who poll: one task, a user's tasks page by page, the end of a record. What the asker may
// not see is answered as what does not exist.
internal import Base
internal import Dialects
internal import Domain
internal import HTTP1

final class UserRequests {
    private let context: Context
    private let responses: Responses

    init(_ context: Context, responses: Responses) {
        self.context = context
        self.responses = responses
    }

    // MARK: One task

    func answerTask(_ conversation: HTTPConversation, _ id: TaskID, to principal: Principal, at now: Instant) {
        context.text.removeAll()
        guard let task = context.broker.task(id), principal.maySee(taskOwner: task.user, taskID: id) else {
            return refuseTask(conversation, at: now)
        }
        UserTaskAPI.writeTask(TaskDetails(of: task), to: &context.text)
        responses.respond(conversation, .ok, at: now)
    }

    func removeTask(_ conversation: HTTPConversation, _ id: TaskID, for principal: Principal, at now: Instant) {
        context.text.removeAll()
        let isTheirs = context.broker.task(id).map { principal.mayActFor($0.user) } ?? false
        switch isTheirs ? context.broker.remove(id, at: context.moment(now)) : .unknownTask {
        case .removed:
            conversation.request = .storing(.removed(id))
            context.recorder.request(.receipt(conversation.exchangeID))
        case .active: respond(conversation, UserTaskAPI.writeNotEnded(to: &context.text), at: now)
        case .unknownTask: refuseTask(conversation, at: now)
        }
    }

    /// The record's end is written down.
    func answerRemoved(_ conversation: HTTPConversation, _ id: TaskID, at now: Instant) {
        context.text.removeAll()
        UserTaskAPI.writeRemoved(id, to: &context.text)
        responses.respond(conversation, .ok, at: now)
    }

    // MARK: All tasks of a user

    func answerTasks(_ conversation: HTTPConversation, _ text: QueryText, to principal: Principal, at now: Instant) {
        context.text.removeAll()
        do throws(HTTPError) {
            let named = try text.value(of: "user_id").flatMap { $0.isEmpty ? nil : $0 }
            guard let user = named ?? principal.user else {
                return respond(conversation, UserTaskAPI.write(.missing(member: "user_id"), to: &context.text), at: now)
            }
            // Whether there is such a user is not told either.
            guard principal.mayActFor(user) else {
                return refuse(conversation, .forbidden, "These are another user's tasks", at: now)
            }
            let (status, limit, cursor) = (try text.value(of: "status"), try text.value(of: "limit"), try text.value(of: "cursor"))
            do throws(RequestProblem) {
                answer(conversation, try UserTaskAPI.readQuery(status: status, limit: limit, cursor: cursor), of: user, at: now)
            } catch {
                respond(conversation, UserTaskAPI.write(error, to: &context.text), at: now)
            }
        } catch {
            refuse(conversation, error.status, error.sentence, at: now)
        }
    }

    private func answer(_ conversation: HTTPConversation, _ query: UserTaskQuery, of user: SharedBytes, at now: Instant) {
        let place = query.cursor.map { (createdAt: $0.createdAt, id: $0.id) }
        let (found, hasMore) = context.broker.tasks(of: user, in: query.state, after: place, limit: query.limit)
        let page = found.page(query.limit)
        let next = hasMore || page.count < found.count ? page.last.map { UserTaskCursor(createdAt: $0.createdAt, id: $0.id) } : nil
        UserTaskAPI.writeTasks(page.lazy.map { TaskDetails(of: $0) }, next: next, to: &context.text)
        responses.respond(conversation, .ok, at: now)
    }

    // MARK: Refusals

    /// Refuses a request in the words of this document.
    ///
    /// - Parameter extra: further fields of the answer.
    func refuse(
        _ conversation: HTTPConversation, _ status: HTTPStatus, _ words: StaticString, extra: StaticString = "", at now: Instant
    ) {
        context.text.removeAll()
        UserTaskAPI.writeRefusal(words.description, to: &context.text)
        responses.respond(conversation, status, extra: extra, at: now)
    }

    func refuseTask(_ conversation: HTTPConversation, at now: Instant) {
        context.text.removeAll()
        respond(conversation, UserTaskAPI.writeUnknownTask(to: &context.text), at: now)
    }

    private func respond(_ conversation: HTTPConversation, _ status: Int, at now: Instant) {
        responses.respond(conversation, HTTPStatus(rawValue: UInt16(status)) ?? .internalServerError, at: now)
    }
}

extension Sequence<TaskRecord> {
    /// The first of the tasks, as many as make one message.
    func page(_ countMax: Int) -> [TaskRecord] {
        var page: [TaskRecord] = []
        var bytes = 0
        for task in self {
            bytes += task.listedBytes
            guard page.isEmpty || page.count < countMax && bytes <= TaskRecord.listedBytesMax else { break }
            page.append(task)
        }
        return page
    }
}

extension TaskRecord {
    /// What users gave of the tasks that one message lists, in bytes. One task is listed whatever it holds.
    fileprivate static let listedBytesMax = 4 << 20

    /// What users gave of the task that is told in a list.
    fileprivate var listedBytes: Int {
        let report = report.map { TaskEvent.progress($0).byteCount } ?? 0
        return (metadata?.count ?? 0) + report + (ending?.byteCount ?? 0)
    }
}
