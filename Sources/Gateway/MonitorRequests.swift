// MonitorRequests: document E over HTTP: the registry of deployments, the activities and alerts of the past, the fleet. What changes the
// registry is answered once it is written down. Who is let in may do what there is to do; activities of others are as if there were none.
internal import Base
internal import Dialects
internal import Domain
internal import HTTP1
internal import JSON

/// What somebody has a deployment do.
enum DeploymentVerb: CaseIterable {
    case start, stop, restart
}

final class MonitorRequests {
    private let context: Context
    private let responses: Responses

    /// Bytes of a body that is read: more than the largest activity has, every letter of its message escaped.
    private static let bodyBytesMax = 128 << 10

    init(_ context: Context, responses: Responses) {
        self.context = context
        self.responses = responses
    }

    // MARK: The registry, read

    func answerDeployments(_ conversation: HTTPConversation, at now: Instant) {
        context.text.removeAll()
        DeploymentAPI.write(context.monitor.deployments, at: context.moment(now).wall, to: &context.text)
        responses.respond(conversation, .ok, at: now)
    }

    func answerDeployment(_ conversation: HTTPConversation, _ id: SharedBytes, at now: Instant) {
        guard let deployment = context.monitor.deployment(id) else { return refuse(conversation, .unknown, at: now) }
        answer(conversation, .ok, deployment, at: now)
    }

    // MARK: The registry, changed

    func createDeployment(_ conversation: HTTPConversation, _ body: Span<UInt8>, for principal: Principal, at now: Instant) {
        guard hasRoom(conversation, at: now) else { return }
        let order = read(conversation, body, at: now) { body, index, scratch throws(RequestProblem) in
            try DeploymentAPI.readOrder(body, index, limits: context.limits, scratch: &scratch)
        }
        guard let order else { return }
        change(conversation, at: now) { moment throws(DeploymentRefusal) in
            let deployment = try context.monitor.register(
                order.form, id: order.id, starts: order.starts, by: principal.user, at: moment)
            return .deployment(deployment, .created)
        }
    }

    func updateDeployment(
        _ conversation: HTTPConversation, _ id: SharedBytes, _ body: Span<UInt8>, for principal: Principal, at now: Instant
    ) {
        guard hasRoom(conversation, at: now) else { return }
        guard let deployment = context.monitor.deployment(id) else { return refuse(conversation, .unknown, at: now) }
        let form = read(conversation, body, at: now) { body, index, scratch throws(RequestProblem) in
            try DeploymentAPI.readChange(of: deployment.form, body, index, limits: context.limits, scratch: &scratch)
        }
        guard let form else { return }
        change(conversation, at: now) { moment throws(DeploymentRefusal) in
            .deployment(try context.monitor.update(id, form, by: principal.user, at: moment), .ok)
        }
    }

    func act(
        _ conversation: HTTPConversation, _ verb: DeploymentVerb, on id: SharedBytes, for principal: Principal, at now: Instant
    ) {
        guard hasRoom(conversation, at: now) else { return }
        let monitor = context.monitor
        change(conversation, at: now) { moment throws(DeploymentRefusal) in
            switch verb {
            case .start: .deployment(try monitor.start(id, by: principal.user, at: moment), .ok)
            case .stop: .deployment(try monitor.stop(id, by: principal.user, at: moment), .ok)
            case .restart: .deployment(try monitor.restart(id, by: principal.user, at: moment), .ok)
            }
        }
    }

    func removeDeployment(_ conversation: HTTPConversation, _ id: SharedBytes, for principal: Principal, at now: Instant) {
        guard hasRoom(conversation, at: now) else { return }
        change(conversation, at: now) { moment throws(DeploymentRefusal) in
            try context.monitor.remove(id, by: principal.user, at: moment)
            return .deploymentRemoved(id)
        }
    }

    /// The change is written down.
    func answerStored(_ conversation: HTTPConversation, _ deployment: Deployment, _ status: HTTPStatus, at now: Instant) {
        answer(conversation, status, deployment, at: now)
    }

    /// The deployment's end is written down.
    func answerRemoved(_ conversation: HTTPConversation, _ id: SharedBytes, at now: Instant) {
        context.text.removeAll()
        DeploymentAPI.writeRemoved(id, to: &context.text)
        responses.respond(conversation, .ok, at: now)
    }

    /// Whether there is room for what would have to be written; where there is none, the request is refused.
    private func hasRoom(_ conversation: HTTPConversation, at now: Instant) -> Bool {
        guard context.isDiskOverfull else { return true }
        responses.fail(conversation, .serviceUnavailable, "Deployment could not be stored", at: now)
        return false
    }

    /// Changes the registry, and answers behind the disk.
    private func change(
        _ conversation: HTTPConversation, at now: Instant, _ body: (Moment) throws(DeploymentRefusal) -> Receipt
    ) {
        do throws(DeploymentRefusal) {
            conversation.request = .storing(try body(context.moment(now)))
            context.recorder.request(.receipt(conversation.exchangeID))
        } catch {
            refuse(conversation, error, at: now)
        }
    }

    private func answer(_ conversation: HTTPConversation, _ status: HTTPStatus, _ deployment: Deployment, at now: Instant) {
        context.text.removeAll()
        DeploymentAPI.write(deployment, at: context.moment(now).wall, to: &context.text)
        responses.respond(conversation, status, at: now)
    }

    private func refuse(_ conversation: HTTPConversation, _ refusal: DeploymentRefusal, at now: Instant) {
        context.text.removeAll()
        let status = DeploymentAPI.write(refusal, to: &context.text)
        responses.respond(conversation, HTTPStatus(rawValue: UInt16(status)) ?? .internalServerError, at: now)
    }

    // MARK: Activities

    /// Notes an activity. One of a user belongs to the user; one of those who may tell of what is not theirs is everybody's.
    func postActivity(_ conversation: HTTPConversation, _ body: Span<UInt8>, for principal: Principal, at now: Instant) {
        guard !context.isDiskOverfull else {
            return responses.fail(conversation, .serviceUnavailable, "Activity could not be stored", at: now)
        }
        let owner = principal.mayPublish ? nil : principal.user
        let draft = read(conversation, body, at: now) { body, index, scratch throws(RequestProblem) in
            try ActivityAPI.readDraft(body, index, owner: owner, limits: context.limits, scratch: &scratch)
        }
        guard let draft else { return }
        let activity = context.monitor.note(draft, at: context.moment(now))
        context.text.removeAll()
        ActivityAPI.write(activity, to: &context.text)
        responses.respond(conversation, .created, at: now)
    }

    /// Asks the journal.
    func answerActivities(_ conversation: HTTPConversation, _ query: QueryText, to principal: Principal, at now: Instant) {
        let visibility: ActivityQuestion.Visibility = principal.maySeeAll ? .everybodys : .owned(by: principal.user)
        inquire(conversation, .activities, at: now) { () throws(HTTPError) in
            let (limit, cursor) = (try query.value(of: "limit"), try query.value(of: "cursor"))
            let (kind, severity) = (try query.value(of: "activity_type"), try query.value(of: "severity"))
            return Result { () throws(RequestProblem) in
                .activities(try ActivityAPI.readQuestion(
                    limit: limit, cursor: cursor, kind: kind, severity: severity, visibility: visibility))
            }
        }
    }

    /// The journal has answered.
    func answerActivities(_ conversation: HTTPConversation, _ content: Finding.Content, at now: Instant) {
        guard case .activities(let activities, let hasMore) = content else {
            return responses.fail(conversation, .serviceUnavailable, "Activities could not be read", at: now)
        }
        context.text.removeAll()
        ActivityAPI.write(activities, hasMore: hasMore, to: &context.text)
        responses.respond(conversation, .ok, at: now)
    }

    // MARK: Alerts

    /// Asks the journal.
    func answerAlerts(_ conversation: HTTPConversation, _ query: QueryText, at now: Instant) {
        inquire(conversation, .alerts, at: now) { () throws(HTTPError) in
            let (limit, cursor, active) = (
                try query.value(of: "limit"), try query.value(of: "cursor"), try query.value(of: "active"))
            return Result { () throws(RequestProblem) in
                .alerts(try AlertAPI.readQuestion(limit: limit, cursor: cursor, active: active))
            }
        }
    }

    /// The journal has answered.
    func answerAlerts(_ conversation: HTTPConversation, _ content: Finding.Content, at now: Instant) {
        guard case .alerts(let alerts, let hasMore) = content else {
            return responses.fail(conversation, .serviceUnavailable, "Alerts could not be read", at: now)
        }
        context.text.removeAll()
        AlertAPI.write(alerts, active: context.monitor.activeAlerts.count, hasMore: hasMore, to: &context.text)
        responses.respond(conversation, .ok, at: now)
    }

    private func inquire(
        _ conversation: HTTPConversation, _ inquirer: Inquirer, at now: Instant,
        _ read: () throws(HTTPError) -> Result<Inquiry.Question, RequestProblem>
    ) {
        do throws(HTTPError) {
            switch try read() {
            case .success(let question):
                context.inquiries.append(Inquiry(
                    question: question, ticket: .request(conversation.id, number: conversation.number)))
                conversation.request = .inquiring(inquirer)
            case .failure(let problem): responses.fail(conversation, .badRequest, problem, at: now)
            }
        } catch {
            responses.fail(conversation, error.status, error.sentence, at: now)
        }
    }

    // MARK: The fleet

    /// The connected workers, in the order of their coming.
    func answerFleet(_ conversation: HTTPConversation, at now: Instant) {
        let members = context.members(context.broker.allGroups.flatMap(\.allWorkers).sorted { $0.id.number < $1.id.number })
        context.text.removeAll()
        FleetAPI.write(members, to: &context.text)
        responses.respond(conversation, .ok, at: now)
    }

    /// Lets a worker finish what it has, and sends it home.
    func drain(_ conversation: HTTPConversation, _ id: WorkerID?, at now: Instant) {
        guard let worker = id.flatMap({ context.broker.worker($0) }) else {
            return responses.fail(conversation, .notFound, "Worker not found", at: now)
        }
        context.broker.workerDraining(worker, at: context.moment(now))
        context.log.info("worker is drained", ("worker", worker.id), ("group", worker.group.name))
        context.text.removeAll()
        FleetAPI.writeDraining(worker, to: &context.text)
        responses.respond(conversation, .ok, at: now)
    }

    // MARK: Bodies

    /// - Returns: nil where the request was refused.
    private func read<Value>(
        _ conversation: HTTPConversation, _ body: Span<UInt8>, at now: Instant,
        _ reader: (Span<UInt8>, JSONIndex, inout ByteWriter) throws(RequestProblem) -> Value
    ) -> Value? {
        guard body.count <= MonitorRequests.bodyBytesMax else {
            responses.fail(conversation, .contentTooLarge, "The body is too large", at: now)
            return nil
        }
        do throws(JSONError) {
            try context.index.build(from: body)
        } catch {
            responses.fail(conversation, .badRequest, .malformed(error), at: now)
            return nil
        }
        do throws(RequestProblem) {
            return try reader(body, context.index, &context.scratch)
        } catch {
            responses.fail(conversation, .badRequest, error, at: now)
            return nil
        }
    }
}
