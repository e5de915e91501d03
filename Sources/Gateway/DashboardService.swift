// DashboardService: the dashboard's sockets: a picture of the whole server first, then, twice a second, those sections that have changed.
// While nobody looks nothing is computed; whoever reads too slowly is told a new picture once there is room, and nothing in between.
//
// Cost: a tick passes by every worker and every task in hand once, and writes two hundred rows at most, once for all who look: 1 ms with
// a hundred thousand tasks and five hundred workers, of which writing is the larger part.
internal import Base
internal import Dialects
internal import Domain
internal import JSON
internal import WebSockets

/// One open dashboard.
final class DashboardWatcher {
    /// Whether it has seen nothing yet, or missed something: then it is told everything.
    fileprivate var needsPicture = true
}

final class DashboardService {
    private enum Watch {
        /// Nobody looks.
        case resting
        case due(at: Instant)
    }

    private let context: Context
    private let sender: WebSocketSender
    private var watch = Watch.resting
    private var watching: [ConnectionID] = []
    /// What each section said last.
    private var told: [SharedBytes] = []

    init(_ context: Context, sender: WebSocketSender) {
        self.context = context
        self.sender = sender
    }

    // MARK: Who looks

    func opened(_ conversation: WebSocketConversation, _ watcher: DashboardWatcher, at now: Instant) {
        guard watching.count < context.limits.dashboardsMax else { return sender.close(conversation, .overloaded) }
        watching.append(conversation.id)
        if case .due = watch {
            // What the others were told last is as good as new.
            let text = write(isWhole: true, DashboardDialect.Section.allCases, context.exchanges.lines, leftOut: 0, at: now)
            return tell(conversation, watcher, text)
        }
        context.exchanges.isOpen = true
        tick(at: now)
    }

    func closed(_ conversation: WebSocketConversation) {
        watching.removeAll { $0 == conversation.id }
        guard watching.isEmpty else { return }
        watch = .resting
        told = []
        context.exchanges.isOpen = false
    }

    // MARK: What the page says

    func hear(_ text: Span<UInt8>, _ conversation: WebSocketConversation, at now: Instant) {
        do throws(JSONError) {
            try context.index.build(from: text)
        } catch {
            return refuse(conversation, RequestProblem.malformed(error).sentence)
        }
        do throws(RequestProblem) {
            switch try DashboardDialect.read(text, context.index, scratch: &context.scratch) {
            case .ping: sender.tell(conversation) { DashboardDialect.writePong(at: context.moment(now).wall, to: &$0) }
            case .task(let id):
                guard let task = context.broker.task(id) else {
                    return sender.tell(conversation) { DashboardDialect.writeGone(id, to: &$0) }
                }
                let letter = context.broker.letter(id)
                sender.tell(conversation) { DashboardDialect.write(task, letter, to: &$0) }
            }
        } catch {
            refuse(conversation, error.sentence)
        }
    }

    func refuse(_ conversation: WebSocketConversation, _ words: String) {
        sender.tell(conversation) { DashboardDialect.writeProblem(words, to: &$0) }
    }

    // MARK: Time

    /// When `advance` is wanted next.
    var nextDeadline: Instant? {
        if case .due(let time) = watch { time } else { nil }
    }

    func advance(at now: Instant) {
        if case .due(let time) = watch, time <= now { tick(at: now) }
    }

    private func tick(at now: Instant) {
        watch = .due(at: now + context.limits.dashboardPeriod)
        let changed = look(at: now)
        let news = context.exchanges.takeNew()
        var change: SharedBytes?
        var picture: SharedBytes?
        for id in watching {
            guard case .webSocket(let conversation) = context.conversation(id), case .dashboard(let watcher) = conversation.role else {
                continue
            }
            guard context.outbox.queuedBytes(id) < context.limits.conflatedBytesMin else {
                watcher.needsPicture = true
                continue
            }
            if watcher.needsPicture {
                let all = DashboardDialect.Section.allCases
                let text = picture ?? write(isWhole: true, all, context.exchanges.lines, leftOut: news.leftOut, at: now)
                picture = text
                tell(conversation, watcher, text)
            } else if !changed.isEmpty || !news.lines.isEmpty {
                let text = change ?? write(isWhole: false, changed, news.lines, leftOut: news.leftOut, at: now)
                change = text
                tell(conversation, watcher, text)
            }
        }
    }

    private func tell(_ conversation: WebSocketConversation, _ watcher: DashboardWatcher, _ text: SharedBytes) {
        watcher.needsPicture = false
        sender.send(.text, text.span, to: conversation)
    }

    private func write(
        isWhole: Bool, _ sections: [DashboardDialect.Section], _ lines: [ExchangeLine], leftOut: Int, at now: Instant
    ) -> SharedBytes {
        var writer = ByteWriter(capacity: 64 << 10)
        DashboardDialect.write(
            isWhole: isWhole, version: context.settings.version, sections.map { ($0, told[$0.rawValue]) }, lines, leftOut: leftOut,
            at: context.moment(now).wall, to: &writer)
        return writer.take()
    }

    // MARK: The picture

    /// Writes every section anew.
    ///
    /// - Returns: those that say something else than before.
    private func look(at now: Instant) -> [DashboardDialect.Section] {
        let isFirst = told.isEmpty
        if isFirst { told = DashboardDialect.Section.allCases.map { _ in .empty } }
        return DashboardDialect.Section.allCases.filter { section in
            var writer = ByteWriter(capacity: 8 << 10)
            write(section, to: &writer, at: now)
            let value = writer.take()
            guard value != told[section.rawValue] else { return false }
            told[section.rawValue] = value
            return true
        }
    }

    private func write(_ section: DashboardDialect.Section, to writer: inout ByteWriter, at now: Instant) {
        let broker = context.broker
        let rowsMax = context.limits.dashboardRowsMax
        switch section {
        case .counts: writeCounts(to: &writer)
        case .connections: context.metrics.writeConnections(http: httpCount, to: &writer)
        case .groups: DashboardDialect.write(groups: broker.groups(max: rowsMax), to: &writer)
        case .workers: DashboardDialect.write(workers: context.members(broker.workers(max: rowsMax)), to: &writer)
        case .waiting: DashboardDialect.write(waiting: broker.waiting(max: rowsMax), to: &writer)
        case .executing: DashboardDialect.write(executing: broker.executing(max: rowsMax), to: &writer)
        case .ended: DashboardDialect.write(ended: broker.ended(max: rowsMax), { broker.letter($0) != nil }, to: &writer)
        case .letters:
            let page = broker.letters(before: nil, in: nil, limit: rowsMax, wordsBytesMax: rowsMax << 10) { _ in true }
            DashboardDialect.write(letters: page.letters, to: &writer)
        case .trend:
            let steps = broker.statistics.trend.steps(at: now)
            DashboardDialect.write(trend: steps, number: HourTrend.number(at: now), to: &writer)
        }
    }

    /// Connections that speak HTTP and are no WebSocket.
    private var httpCount: Int { max(context.conversationCount - context.metrics.webSocketsOpen, 0) }

    private func writeCounts(to writer: inout ByteWriter) {
        let broker = context.broker
        let (statistics, metrics) = (broker.statistics, context.metrics)
        writer.object {
            $0.member("queued", int: broker.queuedCount)
            $0.member("executing", int: broker.executingCount)
            $0.member("paused", int: broker.pausedCount)
            $0.member("reported", int: broker.reportedCount)
            $0.member("remembered", int: broker.endedCount)
            $0.member("workers", int: broker.workerCount)
            $0.member("concurrency", int: broker.concurrency)
            $0.member("groups", int: broker.groupCount)
            $0.member("letters", int: broker.letterCount)
            $0.member("submitted", int: Int(clamping: statistics.submitted))
            $0.member("completed", int: Int(clamping: statistics.completed))
            $0.member("failed", int: Int(clamping: statistics.failed))
            $0.member("cancelled", int: Int(clamping: statistics.cancelled))
            $0.member("retried", int: Int(clamping: statistics.retried))
            $0.member("refused", int: Int(clamping: statistics.refusedNoWorker &+ statistics.refusedQueueFull))
            $0.member("requests", int: Int(clamping: metrics.requests))
            $0.member("memory_bytes", int: context.watermark.inUse)
            $0.member("draining", bool: context.isDraining)
        }
    }
}

extension Metrics {
    /// Open connections, by what is spoken on them.
    fileprivate func writeConnections(http: Int, to writer: inout ByteWriter) {
        writer.object {
            $0.member("http", int: max(http - eventStreamsOpen, 0))
            $0.member("event_stream", int: eventStreamsOpen)
            for kind in SocketKind.allCases { $0.member(kind.word, int: socketsOpen[kind.rawValue]) }
            $0.member("socket_io_polling", int: pollingSessions)
        }
    }
}

/// What is spoken on a WebSocket.
enum SocketKind: Int, CaseIterable {
    case worker, task, user, hub, producer, socketIO, dashboard, echo, refused

    var word: StaticString {
        switch self {
        case .worker: "worker"
        case .task: "task"
        case .user: "user"
        case .hub: "hub"
        case .producer: "producer"
        case .socketIO: "socket_io"
        case .dashboard: "dashboard"
        case .echo: "echo"
        case .refused: "refused"
        }
    }

    init(_ role: WebSocketConversation.Role) {
        self =
            switch role {
            case .worker: .worker
            case .taskWatcher: .task
            case .userWatcher: .user
            case .hubClient: .hub
            case .producer: .producer
            case .socketClient: .socketIO
            case .dashboard: .dashboard
            case .echo: .echo
            case .refused: .refused
            }
    }
}

extension Context {
    /// Workers as the fleet shows them.
    func members(_ workers: [Worker]) -> [FleetMember] {
        workers.map { worker in
            FleetMember(
                id: worker.id, group: worker.group.name, models: worker.models, concurrency: worker.concurrency,
                busy: worker.hands.count, isDraining: worker.isDraining, connectedAt: worker.connectedAt,
                status: monitor.status(of: worker.id))
        }
    }
}
