// ProducerService: document N's service for outside programs that run tasks themselves, over HTTP and over one WebSocket. From an event to
// a call of the broker, and back to a verdict; a verdict is told once what it confirms is written down.
//
// Cost: an event is its call of the broker and a verdict; a message of many holds the loop for as long as ProducerDialect.eventsMax says.
internal import Base
internal import Dialects
internal import Domain
internal import HTTP1
internal import JSON

/// A program on its WebSocket.
final class Producer {
    /// Verdicts that it asked for and has not been told yet.
    var owed = 0
}

final class ProducerService {
    private let context: Context
    private let responses: Responses
    private let sender: WebSocketSender

    /// Verdicts that one program may wait for before it is heard again.
    private static let owedMax = ProducerDialect.eventsMax

    init(_ context: Context, responses: Responses, sender: WebSocketSender) {
        self.context = context
        self.responses = responses
        self.sender = sender
    }

    // MARK: Events

    /// Does what an event says.
    private func judge(_ event: Result<ProducerEvent, RequestProblem>, at now: Moment) -> Judgement {
        let judgement: Judgement
        switch event {
        // The disk has refused more than is kept for it: nothing is taken that could not be written.
        case .success where context.isDiskOverfull: judgement = Judgement(.refused(.notStored))
        case .success(.register(let registration)): judgement = register(registration, at: now)
        case .success(.started(let id)): judgement = report(.started, of: id, at: now)
        case .success(.progress(let id, let progress)): judgement = report(.progress(progress), of: id, at: now)
        case .success(.log(let id, let log)): judgement = report(.log(log), of: id, at: now)
        case .success(.completed(let id, let result)): judgement = report(.completed(result: result), of: id, at: now)
        case .success(.failed(let id, let fault)): judgement = report(.failed(fault), of: id, at: now)
        case .success(.cancelled(let id, let reason)): judgement = report(.cancelled(reason: reason), of: id, at: now)
        case .failure(let problem): judgement = Judgement(.refused(.unreadable(problem)))
        }
        if judgement.isRefused { context.metrics.reportsRefused += 1 } else { context.metrics.reportsAccepted += 1 }
        return judgement
    }

    private func register(_ registration: TaskRegistration, at now: Moment) -> Judgement {
        do throws(RegistrationRefusal) {
            let task = try context.broker.register(registration, at: now)
            return Judgement(.accepted(task.id, sequence: task.sequence), task)
        } catch {
            switch error {
            case .alreadyRegistered: return Judgement(.refused(.alreadyRegistered))
            case .full: return Judgement(.refused(.full))
            case .closing: return Judgement(.refused(.closing))
            }
        }
    }

    private func report(_ report: OutsideReport, of id: TaskID, at now: Moment) -> Judgement {
        do throws(OutsideRefusal) {
            let task = try context.broker.report(report, of: id, at: now)
            return Judgement(.accepted(id, sequence: task.sequence), task)
        } catch {
            switch error {
            case .unknownTask: return Judgement(.refused(.unknownTask))
            case .dispatched: return Judgement(.refused(.dispatched))
            case .ended(let state): return Judgement(.refused(.ended(state)))
            }
        }
    }

    /// Reads the events of a text that was indexed.
    private func words(_ form: ProducerForm, in text: Span<UInt8>) -> Result<[ProducerWord], RequestProblem> {
        do throws(RequestProblem) {
            return .success(
                try ProducerDialect.words(form, in: text, context.index, limits: context.limits, scratch: &context.scratch))
        } catch {
            return .failure(error)
        }
    }

    // MARK: HTTP

    /// One event over HTTP.
    ///
    /// - Parameter id: the task of the path; nil where the body names it.
    func report(_ conversation: HTTPConversation, _ verb: ProducerVerb, _ id: TaskID?, _ body: Span<UInt8>, at now: Instant) {
        if body.isEmpty, let id, let event = ProducerDialect.event(verb, id) {
            return heard(conversation, one: .success(event), at: now)
        }
        do throws(JSONError) {
            try context.index.build(from: body)
        } catch {
            return heard(conversation, one: .failure(.malformed(error)), at: now)
        }
        do throws(RequestProblem) {
            let event = try ProducerDialect.read(
                verb, id, body, context.index, limits: context.limits, scratch: &context.scratch)
            heard(conversation, one: .success(event), at: now)
        } catch {
            heard(conversation, one: .failure(error), at: now)
        }
    }

    /// A batch over HTTP.
    func reportAll(_ conversation: HTTPConversation, _ body: Span<UInt8>, at now: Instant) {
        do throws(JSONError) {
            try context.index.build(from: body)
        } catch {
            return heard(conversation, all: .failure(.malformed(error)), at: now)
        }
        heard(conversation, all: words(.batch, in: body), at: now)
    }

    /// What a request reports is known.
    func heard(_ conversation: HTTPConversation, one event: Result<ProducerEvent, RequestProblem>, at now: Instant) {
        let judgement = judge(event, at: context.moment(now))
        // That a task has ended already, or is there already, confirms what was reported before: it waits for the disk like that.
        guard judgement.isRefused, !judgement.confirms else { return store(conversation, .verdict(judgement)) }
        answer(conversation, judgement, at: now)
    }

    func heard(_ conversation: HTTPConversation, all words: Result<[ProducerWord], RequestProblem>, at now: Instant) {
        switch words {
        case .success(let words):
            let moment = context.moment(now)
            store(conversation, .verdicts(words.map { judge($0.event, at: moment) }))
        case .failure(let problem):
            context.metrics.reportsRefused += 1
            context.text.removeAll()
            respond(conversation, UserTaskAPI.write(problem, to: &context.text), at: now)
        }
    }

    private func store(_ conversation: HTTPConversation, _ receipt: Receipt) {
        conversation.request = .storing(receipt)
        context.recorder.request(.receipt(conversation.exchangeID))
    }

    /// What was reported is written down.
    func answer(_ conversation: HTTPConversation, _ judgement: Judgement, at now: Instant) {
        context.text.removeAll()
        respond(conversation, ProducerDialect.write(judgement.standing, to: &context.text), at: now)
    }

    func answer(_ conversation: HTTPConversation, _ judgements: [Judgement], at now: Instant) {
        context.text.removeAll()
        ProducerDialect.write(judgements.lazy.map(\.standing), to: &context.text)
        responses.respond(conversation, .ok, at: now)
    }

    private func respond(_ conversation: HTTPConversation, _ status: Int, at now: Instant) {
        responses.respond(conversation, HTTPStatus(rawValue: UInt16(status)) ?? .internalServerError, at: now)
    }

    // MARK: WebSocket

    /// A message on the WebSocket.
    func hear(_ text: Span<UInt8>, from producer: Producer, _ conversation: WebSocketConversation, at now: Instant) {
        do throws(JSONError) {
            try context.index.build(from: text)
        } catch {
            return heard(conversation, from: producer, .failure(.malformed(error)), at: now)
        }
        do throws(RequestProblem) {
            if let token = try ProducerDialect.token(in: text, context.index, scratch: &context.scratch) {
                return refresh(conversation, token, at: now)
            }
        } catch {
            return refuse(conversation, error.sentence)
        }
        heard(conversation, from: producer, words(.message, in: text), at: now)
    }

    private func refresh(_ conversation: WebSocketConversation, _ token: SharedBytes, at now: Instant) {
        guard context.renew(conversation, with: token, at: now) else { return refuse(conversation, "Invalid or expired token") }
        guard conversation.principal.mayPublish else { return sender.close(conversation, .unauthenticated) }
        sender.tell(conversation) { ProducerDialect.writeRefreshed(to: &$0) }
    }

    /// What a message reports is known.
    func heard(
        _ conversation: WebSocketConversation, from producer: Producer, _ words: Result<[ProducerWord], RequestProblem>, at now: Instant
    ) {
        switch words {
        case .success(let words): heard(conversation, from: producer, words, at: now)
        case .failure(let problem):
            context.metrics.reportsRefused += 1
            refuse(conversation, problem.sentence)
        }
    }

    private func heard(_ conversation: WebSocketConversation, from producer: Producer, _ words: [ProducerWord], at now: Instant) {
        let moment = context.moment(now)
        var marked: [MarkedVerdict] = []
        for word in words {
            let judgement = judge(word.event, at: moment)
            switch word.mark {
            case .number(let mark): marked.append(MarkedVerdict(mark: mark, judgement: judgement))
            case .unreadable(let problem): refuse(conversation, problem.sentence)
            case .none: break
            }
        }
        guard !marked.isEmpty else { return }
        producer.owed += marked.count
        context.recorder.request(.verdicts(conversation.id, marked))
        // Whoever asks faster than the disk writes waits for it.
        if owesTooMuch(producer) { context.outbox.pauseReading(conversation.id, hearsEnd: false) }
    }

    /// Whether the program has to wait before it is heard again.
    func owesTooMuch(_ producer: Producer) -> Bool { producer.owed > ProducerService.owedMax }

    /// What was reported is written down.
    func answer(_ conversation: WebSocketConversation, _ verdicts: [MarkedVerdict]) {
        guard case .producer(let producer) = conversation.role else { return }
        let hadToWait = owesTooMuch(producer)
        producer.owed -= verdicts.count
        if hadToWait, !owesTooMuch(producer) { context.resumable.append(conversation.id) }
        for verdict in verdicts {
            sender.tell(conversation) { ProducerDialect.writeAcknowledgement(verdict.mark, verdict.judgement.standing, to: &$0) }
        }
    }

    func refuse(_ conversation: WebSocketConversation, _ words: String) {
        sender.tell(conversation) { ProducerDialect.writeProblem(words, to: &$0) }
    }
}
