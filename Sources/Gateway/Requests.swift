// Requests: what each route does. A head is judged before its content comes; a whole request is answered, given to the pool to be read, or
// kept until its task ends. Knows the status of every answer, and no byte of HTTP's syntax.
//
// Cost: a submission whose head and body came in one read is neither copied nor allocated for, but for what the domain keeps of it.
internal import Base
internal import Clients
internal import Dialects
internal import Domain
internal import HTTP1
internal import JSON

final class Requests {
    private let context: Context
    private let responses: Responses
    private let upgrades: Upgrades
    private let watching: WatchRequests
    private let users: UserRequests
    private let producers: ProducerService
    private let hub: HubRequests
    private let letters: LetterRequests
    private let revocations: RevocationRequests
    private let monitor: MonitorRequests
    private let eventStreams: EventStreamService
    private let completions: CompletionService
    private let sockets: SocketService
    private var hasWarnedOfEndlessTokens = false

    private static let notStored: StaticString = "Task could not be stored"

    init(
        _ context: Context, responses: Responses, upgrades: Upgrades, producers: ProducerService, hubClients: HubService,
        eventStreams: EventStreamService, completions: CompletionService, sockets: SocketService
    ) {
        self.context = context
        self.responses = responses
        self.upgrades = upgrades
        watching = WatchRequests(context, responses: responses)
        users = UserRequests(context, responses: responses)
        self.producers = producers
        hub = HubRequests(context, responses: responses, clients: hubClients)
        monitor = MonitorRequests(context, responses: responses)
        letters = LetterRequests(context, responses: responses)
        revocations = RevocationRequests(
            context, responses: responses, eventStreams: eventStreams, completions: completions, hubClients: hubClients,
            sockets: sockets)
        self.eventStreams = eventStreams
        self.completions = completions
        self.sockets = sockets
    }

    // MARK: Heads

    /// Acts upon a head: what is refused is refused now, before its body comes.
    func begin(
        _ conversation: HTTPConversation, _ head: borrowing RequestHead, _ bytes: Span<UInt8>, at now: Instant
    ) -> Opening? {
        context.metrics.requests += 1
        let route = Routes.find(
            head, bytes, echoPath: context.settings.echoPath, isTestMode: context.settings.sockets.isTestMode, scratch: &context.scratch)
        conversation.request = .none
        conversation.reader = CrossOrigin(head, bytes, allowed: context.settings.origins)
        conversation.speaksOpenAI = bytes.extracting(head.target.path).hasPrefix("/v1/")
        if context.exchanges.isOpen, route.isNoted { conversation.note = context.exchanges.begin(head, bytes, at: context.moment(now)) }
        if context.watermark.isShort, !route.isSpared(newcomer: conversation.isSpared) {
            context.metrics.bounds.count(conversation.isSpared ? .memoryConnections : .memoryTasks)
            responses.turnAway(conversation, Server.shortOfMemory, at: now)
            return nil
        }
        if case .engine(let door, let query) = route {
            conversation.reader = .nobody(isAsked: false)
            return engage(conversation, door, query, head, bytes, at: now)
        }
        if let origin = head.value(.origin), route.asksWhosePage(head) {
            let authority = bytes.extracting(head.authority ?? 0..<0)
            guard Origin.isAllowed(bytes.extracting(origin), authority: authority, allowed: context.settings.origins) else {
                responses.fail(conversation, .forbidden, "Origin not allowed", at: now)
                return nil
            }
        }
        let principal: Principal
        switch admission(of: conversation, to: route.surface, head, bytes, at: now) {
        case .admitted(let admitted): principal = route.surface == .hub ? reader(admitted, head, bytes) : admitted
        case .refused(let refusal):
            context.log.debug("request refused", ("reason", refusal.reason), ("peer", conversation.peer))
            // A browser can read a close code, but not the status of a refused handshake: documents G and N ask for 4003.
            if route.isPageSocket {
                return upgrades.refuse(conversation, refusal == .token(.revoked) ? .revoked : .unauthenticated, head, bytes, at: now)
            }
            refuse(conversation, route, refusal, at: now)
            return nil
        }
        if let words = route.contentProblem(head, bytes) {
            if route.surface == .producer {
                users.refuse(conversation, .unsupportedMediaType, words, extra: Route.acceptedCodings, at: now)
            } else {
                responses.fail(conversation, .unsupportedMediaType, words, extra: Route.acceptedCodings, at: now)
            }
            return nil
        }
        switch route {
        case .notFound:
            responses.fail(conversation, .notFound, "Not found", at: now)
        case .unknownTask(let surface): refuseTask(conversation, on: surface, at: now)
        case .methodNotAllowed(let allow):
            responses.fail(conversation, .methodNotAllowed, "Method not allowed", allow: allow, at: now)
        case .options(let allow):
            responses.respond(conversation, .noContent, allow: allow, fields: conversation.reader.permission(of: allow), at: now)
        case .workerSocket, .echoSocket, .taskSocket, .userSocket, .producerSocket, .hubSocket, .dashboard(.socket):
            return upgrades.begin(conversation, route, principal, head, bytes, at: now)
        case .submit, .task, .cancel, .letters, .letter, .removeLetter, .replayLetter, .replayLetters, .gpuTask, .gpuConnections,
            .gpuStatistics, .userTask, .userTasks, .removeTask, .report, .reports, .progress, .history, .storedHistory, .clearHistory,
            .subscribe, .unsubscribe, .progressStatistics, .activeClients, .hubStatistics, .eventStream, .deployments, .createDeployment,
            .deployment, .updateDeployment, .removeDeployment, .actOnDeployment, .activities, .postActivity, .alerts, .fleet,
            .dashboard(.drain), .revocations, .health, .readiness, .metrics, .asset, .models, .model:
            let key = head.value(.idempotencyKey).map { SharedBytes(copying: bytes.extracting($0)) }
            conversation.request = .reading(route, key: key, principal)
            askForBody(conversation)
        case .engine: preconditionFailure("a request of Engine.IO is judged before")
        }
        return nil
    }

    /// A request of a session of Engine.IO, which has its own rules of whose page may ask, and its own words.
    private func engage(
        _ conversation: HTTPConversation, _ door: SocketDoor, _ query: QueryText, _ head: borrowing RequestHead, _ bytes: Span<UInt8>,
        at now: Instant
    ) -> Opening? {
        switch sockets.begin(conversation, door, query, head, bytes, at: now) {
        case .taken:
            if case .engaging = conversation.request { askForBody(conversation) }
            return nil
        case .webSocket(let entry): return upgrades.begin(conversation, entry, head, bytes, at: now)
        }
    }

    /// Who speaks, where the one may.
    private func admission(
        of conversation: HTTPConversation, to surface: Surface?, _ head: borrowing RequestHead, _ bytes: Span<UInt8>, at now: Instant
    ) -> Authentication.Admission {
        guard let surface else { return .admitted(.anonymous) }
        let authentication = context.settings.authentication
        let wall = context.moment(now).wall
        var identity = authentication.identify(head, bytes, at: wall, scratch: &context.scratch)
        if identity == .anonymous { identity = authentication.identify(conversation.certificate, at: wall, to: surface) }
        identity = context.screen(identity)
        let admission = authentication.admit(identity, to: surface)
        if case .admitted(let principal) = admission, principal.neverExpires, !hasWarnedOfEndlessTokens {
            hasWarnedOfEndlessTokens = true
            context.log.warning("a token without an end is used", ("user", principal.user))
        }
        return admission
    }

    /// Who reads over the hub's routes: on an open surface whoever it says, as on the hub's socket. Only a token lets anybody change what
    /// is somebody's.
    private func reader(_ principal: Principal, _ head: borrowing RequestHead, _ bytes: Span<UInt8>) -> Principal {
        guard principal == .anonymous, head.method == .get || head.method == .head, head.target.query != nil,
            let user = try? QueryText(of: head.target, in: bytes).value(of: "user_id"), TaskID(user.span) != nil
        else { return principal }
        return .named(user)
    }

    private func refuse(_ conversation: HTTPConversation, _ route: Route, _ refusal: Refusal, at now: Instant) {
        if route.surface == .user || route.surface == .producer {
            users.refuse(conversation, refusal.status, refusal.words, extra: refusal.fields, at: now)
        } else {
            responses.fail(conversation, refusal.status, refusal.words, extra: refusal.fields, at: now)
        }
    }

    /// There is no such task, and cannot be: answered as everywhere where there is none.
    private func refuseTask(_ conversation: HTTPConversation, on surface: Surface, at now: Instant) {
        switch surface {
        case .user: users.refuseTask(conversation, at: now)
        case .producer: producers.answer(conversation, Judgement(.refused(.unknownTask)), at: now)
        case .hub: hub.refuseTask(conversation, at: now)
        case .dispatch, .letters, .task, .worker, .monitor, .registry, .account, .revocations, .operations, .dashboard:
            responses.fail(conversation, .notFound, DispatchAPI.unknownTask, at: now)
        }
    }

    /// A client that waits to be asked for its body is asked (RFC 9110 §10.1.1).
    private func askForBody(_ conversation: HTTPConversation) {
        guard conversation.exchange.expectsContinue else { return }
        context.outbox.write(to: conversation.id) { ResponseWriter.continued(into: &$0) }
        conversation.exchange.continued()
    }

    // MARK: Whole requests

    func finish(_ conversation: HTTPConversation, whole body: inout ByteWriter, at now: Instant) {
        guard body.count > context.limits.inlineWorkBytes, !isRevoked(conversation) else { return finish(conversation, body.span, at: now) }
        if case .reading(.submit(let form), let key, let principal) = conversation.request {
            review(conversation, body.take(), form, key: key, of: principal)
        } else if case .reading(.report(let verb, let id), _, _) = conversation.request {
            hear(conversation, .readReport(body.take(), verb, id))
        } else if case .reading(.reports, _, _) = conversation.request {
            hear(conversation, .readReports(body.take(), .batch))
        } else {
            finish(conversation, body.span, at: now)
        }
    }

    func finish(_ conversation: HTTPConversation, _ body: Span<UInt8>, at now: Instant) {
        if case .engaging(let request) = conversation.request {
            conversation.request = .none
            return sockets.finish(conversation, request, body, at: now)
        }
        guard case .reading(let route, let key, let principal) = conversation.request else { return }
        conversation.request = .none
        guard !context.revocations.covers(principal) else { return refuse(conversation, route, .token(.revoked), at: now) }
        switch route {
        case .submit(let form):
            guard body.count <= context.limits.inlineWorkBytes else {
                return review(conversation, SharedBytes(copying: body), form, key: key, of: principal)
            }
            submit(conversation, read(body, form, key: key), form, of: principal, at: now)
        case .gpuTask(let id): watching.answerTask(conversation, id, to: principal, at: now)
        case .gpuConnections(let id): watching.answerConnections(conversation, of: id, to: principal, at: now)
        case .gpuStatistics: watching.answerStatistics(conversation, to: principal, at: now)
        case .models: completions.answerModels(conversation, at: now)
        case .model(let name): completions.answerModel(conversation, name, at: now)
        case .task(let id): answerTask(conversation, id, to: principal, at: now)
        case .cancel(let id, let form): cancel(conversation, id, form, for: principal, at: now)
        case .letters(let query): letters.answerLetters(conversation, query, to: principal, at: now)
        case .letter(let id): letters.answerLetter(conversation, id, to: principal, at: now)
        case .removeLetter(let id): letters.removeLetter(conversation, id, for: principal, at: now)
        case .replayLetter(let id): letters.replay(conversation, id, for: principal, at: now)
        case .replayLetters: letters.replayAll(conversation, body, for: principal, at: now)
        case .userTask(let id): users.answerTask(conversation, id, to: principal, at: now)
        case .userTasks(let query): users.answerTasks(conversation, query, to: principal, at: now)
        case .removeTask(let id): users.removeTask(conversation, id, for: principal, at: now)
        case .report(let verb, let id):
            guard body.count <= context.limits.inlineWorkBytes else {
                return hear(conversation, .readReport(SharedBytes(copying: body), verb, id))
            }
            producers.report(conversation, verb, id, body, at: now)
        case .reports:
            guard body.count <= context.limits.inlineWorkBytes else {
                return hear(conversation, .readReports(SharedBytes(copying: body), .batch))
            }
            producers.reportAll(conversation, body, at: now)
        case .progress(let id): hub.answerProgress(conversation, id, to: principal, at: now)
        case .history(let id, let query): hub.answerHistory(conversation, id, query, to: principal, at: now)
        case .storedHistory(let id, let query): hub.answerStoredHistory(conversation, id, query, to: principal, at: now)
        case .clearHistory(let id): hub.clearHistory(conversation, id, for: principal, at: now)
        case .subscribe(let id, let query): hub.subscribe(conversation, id, query, for: principal, at: now)
        case .unsubscribe(let id, let query): hub.unsubscribe(conversation, id, query, for: principal, at: now)
        case .progressStatistics: hub.answerStatistics(conversation, at: now)
        case .activeClients: hub.answerActive(conversation, to: principal, at: now)
        case .hubStatistics: hub.answerSockets(conversation, to: principal, at: now)
        case .eventStream(let id, let query, let last): stream(conversation, id, query, lastEventID: last, to: principal, at: now)
        case .deployments: monitor.answerDeployments(conversation, at: now)
        case .createDeployment: monitor.createDeployment(conversation, body, for: principal, at: now)
        case .deployment(let id): monitor.answerDeployment(conversation, id, at: now)
        case .updateDeployment(let id): monitor.updateDeployment(conversation, id, body, for: principal, at: now)
        case .removeDeployment(let id): monitor.removeDeployment(conversation, id, for: principal, at: now)
        case .actOnDeployment(let id, let action): monitor.act(conversation, action, on: id, for: principal, at: now)
        case .activities(let query): monitor.answerActivities(conversation, query, to: principal, at: now)
        case .postActivity: monitor.postActivity(conversation, body, for: principal, at: now)
        case .alerts(let query): monitor.answerAlerts(conversation, query, at: now)
        case .fleet: monitor.answerFleet(conversation, at: now)
        case .dashboard(.drain(let id)): monitor.drain(conversation, id, at: now)
        case .revocations(let route): revocations.answer(conversation, route, body, to: principal, at: now)
        case .health: responses.respond(conversation, .ok, text: "{\"status\":\"ok\"}", at: now)
        case .readiness:
            if context.isDraining {
                responses.respond(conversation, .serviceUnavailable, text: "{\"status\":\"draining\"}", at: now)
            } else if context.watermark.isShort {
                responses.respond(conversation, .serviceUnavailable, text: "{\"status\":\"short of memory\"}", at: now)
            } else {
                responses.respond(conversation, .ok, text: "{\"status\":\"ready\"}", at: now)
            }
        case .metrics: answerMetrics(conversation, at: now)
        case .asset(let asset): answer(conversation, asset, at: now)
        case .workerSocket, .echoSocket, .taskSocket, .userSocket, .producerSocket, .hubSocket, .dashboard(.socket), .engine, .options,
            .methodNotAllowed, .notFound, .unknownTask:
            preconditionFailure("a request of this route was answered by its head")
        }
    }

    /// Whether the token of a request was revoked while its content came.
    private func isRevoked(_ conversation: HTTPConversation) -> Bool {
        if case .reading(_, _, let principal) = conversation.request { context.revocations.covers(principal) } else { false }
    }

    /// Lets the pool read a large body.
    private func review(
        _ conversation: HTTPConversation, _ body: SharedBytes, _ form: OrderForm, key: SharedBytes?, of principal: Principal
    ) {
        conversation.request = .reviewing(form, principal)
        context.jobs.append(Job(
            ticket: .request(conversation.id, number: conversation.number), work: .readOrder(body, form, key: key)))
    }

    /// Lets the pool read a large report.
    private func hear(_ conversation: HTTPConversation, _ work: Job.Work) {
        conversation.request = .hearing
        context.jobs.append(Job(ticket: .request(conversation.id, number: conversation.number), work: work))
    }

    private func read(_ body: Span<UInt8>, _ form: OrderForm, key: SharedBytes?) -> Result<Order, RequestProblem> {
        guard !body.isEmpty else { return .failure(.nothingToDo) }
        do throws(JSONError) {
            try context.index.build(from: body)
        } catch {
            return .failure(.malformed(error))
        }
        do throws(RequestProblem) {
            return .success(
                try form.read(body, context.index, key: key, limits: context.limits, scratch: &context.scratch))
        } catch {
            return .failure(error)
        }
    }

    /// The pool has read a body.
    func reviewed(_ conversation: HTTPConversation, number: UInt32, _ order: Result<Order, RequestProblem>, at now: Instant) {
        guard conversation.number == number, case .reviewing(let form, let principal) = conversation.request else { return }
        conversation.request = .none
        guard !context.revocations.covers(principal) else { return responses.refuseRevoked(conversation, at: now) }
        submit(conversation, order, form, of: principal, at: now)
    }

    func reviewed(_ conversation: HTTPConversation, number: UInt32, _ event: Result<ProducerEvent, RequestProblem>, at now: Instant) {
        guard conversation.number == number, case .hearing = conversation.request else { return }
        producers.heard(conversation, one: event, at: now)
    }

    func reviewed(_ conversation: HTTPConversation, number: UInt32, _ words: Result<[ProducerWord], RequestProblem>, at now: Instant) {
        guard conversation.number == number, case .hearing = conversation.request else { return }
        producers.heard(conversation, all: words, at: now)
    }

    private func submit(
        _ conversation: HTTPConversation, _ order: consuming Result<Order, RequestProblem>, _ form: OrderForm, of principal: Principal,
        at now: Instant
    ) {
        switch consume order {
        case .failure(let problem):
            responses.fail(conversation, .badRequest, problem, at: now)
        case .success(var order):
            guard order.submission.idempotencyKey?.count ?? 0 <= context.limits.idempotencyKeyBytesMax else {
                return responses.fail(conversation, .badRequest, .outOfRange(
                    member: "Idempotency-Key", expected: "at most \(context.limits.idempotencyKeyBytesMax) bytes long"), at: now)
            }
            order.submission.idempotencyKey = order.submission.idempotencyKey.map { principal.own($0) }
            order.submission.user = principal.user
            if case .completion(let endpoint, _) = form { return completions.submit(conversation, order, endpoint, of: principal, at: now) }
            accept(conversation, order, form, of: principal, at: now)
        }
    }

    private func accept(_ conversation: HTTPConversation, _ order: Order, _ form: OrderForm, of principal: Principal, at now: Instant) {
        guard !order.isAsync || !context.isDiskOverfull else {
            return responses.fail(conversation, .serviceUnavailable, Requests.notStored, at: now)
        }
        context.text.removeAll()
        do throws(SubmissionRefusal) {
            let exchange = conversation.exchangeID
            let task = try context.broker.submit(
                order.submission, for: order.isAsync ? .accepted(exchange) : .ended(exchange), at: context.moment(now))
            if order.isAsync {
                conversation.request = .storing(.accepted(form, task, TaskSnapshot(of: task)))
            } else if task.outcome != nil {
                answerOutcome(conversation, task, at: now)
            } else {
                conversation.request = .waiting(task, principal)
            }
        } catch {
            let status = DispatchAPI.write(error, to: &context.text)
            responses.respond(conversation, HTTPStatus(rawValue: UInt16(status)) ?? .serviceUnavailable, at: now)
        }
    }

    // MARK: What was waited for

    /// What the request asked for is written down, or never will be.
    func stored(_ conversation: HTTPConversation, number: UInt32, at now: Instant) {
        guard conversation.number == number, case .storing(let receipt) = conversation.request else { return }
        context.text.removeAll()
        switch receipt {
        case .accepted(let form, let task, let snapshot):
            guard task.isRecorded else {
                responses.fail(conversation, .serviceUnavailable, Requests.notStored, at: now)
                break
            }
            form.writeAccepted(snapshot, to: &context.text)
            responses.respond(conversation, .ok, at: now)
        case .verdict(let judgement): producers.answer(conversation, judgement, at: now)
        case .verdicts(let judgements): producers.answer(conversation, judgements, at: now)
        case .removed(let id): users.answerRemoved(conversation, id, at: now)
        case .cancelled(let form, let task): respond(conversation, form, .cancelled(task), at: now)
        case .deployment(let deployment, let status): monitor.answerStored(conversation, deployment, status, at: now)
        case .deploymentRemoved(let id): monitor.answerRemoved(conversation, id, at: now)
        case .replayed(let task, let letter, let state): letters.answerReplay(conversation, of: letter, by: task, state, at: now)
        case .replays(let tasks, let refused, let remaining):
            letters.answerReplays(conversation, tasks, refused: refused, remaining: remaining, at: now)
        case .letterRemoved(let id): letters.answerRemoved(conversation, id, at: now)
        case .revoked(let revocation, let closed): revocations.answerRevoked(conversation, revocation, closed: closed, at: now)
        case .revocationRemoved(let user): revocations.answerRemoved(conversation, user, at: now)
        }
        context.resumable.append(conversation.id)
    }

    /// The journal has answered what the request asked it for.
    func found(_ conversation: HTTPConversation, number: UInt32, _ content: Finding.Content, at now: Instant) {
        guard conversation.number == number, case .inquiring(let inquirer) = conversation.request else { return }
        switch inquirer {
        case .storedHistory(let id): hub.answerStoredHistory(conversation, id, content, at: now)
        case .missedEvents: preconditionFailure("what a stream missed is found by its watcher's number")
        case .activities: monitor.answerActivities(conversation, content, at: now)
        case .alerts: monitor.answerAlerts(conversation, content, at: now)
        }
        context.resumable.append(conversation.id)
    }

    /// A task has ended that a request waited for.
    func taskEnded(_ conversation: HTTPConversation, number: UInt32, _ task: TaskRecord, at now: Instant) {
        guard conversation.number == number else { return }
        if case .completing(let exchange) = conversation.request { return completions.taskEnded(conversation, exchange, task, at: now) }
        guard case .waiting(let awaited, _) = conversation.request, awaited === task else { return }
        answerOutcome(conversation, task, at: now)
        context.resumable.append(conversation.id)
    }

    private func answerOutcome(_ conversation: HTTPConversation, _ task: TaskRecord, at now: Instant) {
        context.text.removeAll()
        let (status, splice) = DispatchAPI.writeOutcome(of: task, to: &context.text)
        responses.respond(conversation, HTTPStatus(rawValue: UInt16(status)) ?? .internalServerError, splice: splice, at: now)
    }

    private func answerTask(_ conversation: HTTPConversation, _ id: TaskID, to principal: Principal, at now: Instant) {
        context.text.removeAll()
        // What the one may not see is answered as what does not exist.
        guard let task = context.broker.task(id), principal.maySee(taskOwner: task.user, taskID: id) else {
            writeError(DispatchAPI.unknownTask, to: &context.text)
            return responses.respond(conversation, .notFound, at: now)
        }
        let splice = DispatchAPI.writeTask(task, position: context.broker.position(of: task), to: &context.text)
        responses.respond(conversation, .ok, splice: splice, at: now)
    }

    private func cancel(_ conversation: HTTPConversation, _ id: TaskID, _ form: OrderForm, for principal: Principal, at now: Instant) {
        context.text.removeAll()
        let isTheirs = context.broker.task(id).map { principal.mayActFor($0.user) } ?? false
        let cancellation = isTheirs ? context.broker.cancel(id, at: context.moment(now)) : .unknownTask
        if case .cancelled(let task) = cancellation {
            conversation.request = .storing(.cancelled(form, task))
            return context.recorder.request(.receipt(conversation.exchangeID))
        }
        respond(conversation, form, cancellation, at: now)
    }

    private func respond(_ conversation: HTTPConversation, _ form: OrderForm, _ cancellation: Cancellation, at now: Instant) {
        let status = form.writeCancellation(cancellation, to: &context.text)
        responses.respond(conversation, HTTPStatus(rawValue: UInt16(status)) ?? .ok, at: now)
    }

    /// Begins a stream of the task's events, from where the client has them.
    private func stream(
        _ conversation: HTTPConversation, _ id: TaskID, _ query: QueryText, lastEventID: SharedBytes?, to principal: Principal,
        at now: Instant
    ) {
        guard let task = context.broker.task(id), principal.maySee(taskOwner: task.user, taskID: id) else {
            return responses.fail(conversation, .notFound, DispatchAPI.unknownTask, at: now)
        }
        do throws(HTTPError) {
            // A browser that reconnects tells by itself what it saw last; the address is still the first one's.
            let last = if let lastEventID { lastEventID } else { try query.value(of: "last_seq") }
            let after = last.flatMap { EventStreamDialect.position($0.span) }
            guard after != nil || last == nil else {
                return responses.fail(conversation, .badRequest, .outOfRange(
                    member: lastEventID == nil ? "last_seq" : "Last-Event-ID", expected: "a whole number"), at: now)
            }
            eventStreams.open(conversation, task, after: after, principal, at: now)
        } catch {
            responses.fail(conversation, error.status, error.sentence, at: now)
        }
    }

    private func answerMetrics(_ conversation: HTTPConversation, at now: Instant) {
        context.text.removeAll()
        context.metrics.inputBytes = context.inputBytes
        context.metrics.memoryBytes = context.watermark.inUse
        context.metrics.memoryHighBytes = context.watermark.highBytes
        context.metrics.write(
            context.broker, context.recorder, queuedBytes: context.outbox.queuedBytes, version: context.settings.version,
            to: &context.text)
        responses.respond(conversation, .ok, contentType: "text/plain; version=0.0.4; charset=utf-8", at: now)
    }

    private func answer(_ conversation: HTTPConversation, _ asset: ClientAsset, at now: Instant) {
        context.text.removeAll()
        context.text.append(asset.content)
        responses.respond(conversation, .ok, contentType: asset.contentType, extra: asset.policy, at: now)
    }
}
