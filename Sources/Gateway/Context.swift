// Context: what the services of one server share: the domain, the outbox, the limits, the scratch memory, the present. Decides nothing.
internal import Base
internal import Dialects
internal import Domain
internal import HTTP1
internal import JSON
internal import WebSockets

final class Context {
    let settings: Settings
    let limits: Limits
    let httpLimits: HTTPLimits
    let webSocketLimits: WebSocketLimits
    let watcherPace: PaceLimit
    let workerPace: PaceLimit
    let requestPace: PaceLimit
    let outbox: Outbox
    let log: Log
    let broker: Broker
    let monitor: Monitor
    /// Whose tokens are refused.
    var revocations: Revocations
    /// For names that nobody may guess.
    var random: Randomness
    let workspace = WebSocketWorkspace()
    var metrics = Metrics()
    /// What was asked and answered, while somebody looks.
    var exchanges = ExchangeLog()

    /// What each message is indexed into, and written into before its length is known; used from one call to its end, never across.
    var index: JSONIndex
    var text = ByteWriter(capacity: 4 << 10)
    var scratch = ByteWriter(capacity: 4 << 10)

    /// Single deliveries for those who keep them.
    var keepsakes = Keepsakes()

    /// Work for the pool, in the order in which it was found.
    var jobs: [Job] = []
    /// What is to be written down, and who waits for it.
    var recorder = Recorder()
    /// Questions for the journal.
    var inquiries: [Inquiry] = []
    /// What is to be done outside, in the order in which it was found.
    var errands: [Errand] = []
    /// Connections whose next bytes may be looked at, now that what held them up is done.
    var resumable: [ConnectionID] = []
    /// How far the server is with its end.
    var stage = Stage.serving
    /// No line is logged of who is turned away until then.
    var quietUntil = Instant(nanoseconds: 0)

    /// Bytes of all requests and messages that have come in part, and of what waits behind one that is being read.
    var inputBytes = 0
    /// How the machine does for memory.
    var watermark: Watermark
    /// Connections that came while memory was short, and what they ask for is not known yet, or little.
    var sparedOpen = 0
    /// Whether somebody was given up for want of memory since that was last asked.
    var hasRelieved = false

    private var conversations: [Conversation?] = []
    private(set) var conversationCount = 0
    /// Those who came too fast, until they are heard again.
    private var paced = TimerWheel<ConnectionID>()
    private var timers = TimerWheel<ConnectionID>()
    private var dateLine = DateLine()
    /// The moment that is being told of, for those who are asked for something in the middle of it.
    private(set) var present = Instant(nanoseconds: 0)
    /// What the wall's clock was ahead of the monotonic one when they were last compared, in milliseconds.
    private var wallOffset: Int64 = 0

    enum Stage {
        case serving
        /// No new tasks; answers close their connections.
        case draining
        /// Another process has what was written down: nothing is decided here any more.
        case handedOver
    }

    init(settings: Settings, outbox: Outbox, log: Log, random: Randomness) {
        let limits = settings.limits
        self.settings = settings
        self.limits = limits
        self.outbox = outbox
        outbox.roomBytes = limits.conflatedBytesMin
        outbox.burstBytes = min(limits.burstBytesMax, limits.queuedBytesMax)
        self.log = log
        self.random = random
        httpLimits = HTTPLimits(
            headerBytesMax: limits.headerBytesMax, headerCountMax: limits.headerCountMax, targetBytesMax: limits.targetBytesMax,
            bodyBytesMax: limits.bodyBytesMax)
        webSocketLimits = WebSocketLimits(messageBytesMax: limits.messageBytesMax, fragmentsMax: limits.fragmentsMax)
        watcherPace = PaceLimit(perSecond: limits.messagesPerSecondMax, burst: limits.messageBurstMax)
        workerPace = PaceLimit(perSecond: limits.workerMessagesPerSecondMax, burst: limits.workerMessagesPerSecondMax)
        requestPace = PaceLimit(perSecond: limits.requestsPerSecondMax, burst: limits.requestsPerSecondMax)
        watermark = Watermark(highBytes: limits.memoryHighBytes, patience: limits.memoryPatience)
        index = JSONIndex(limits: limits.json)
        broker = Broker(limits: limits, random: random)
        revocations = Revocations(countMax: limits.revocationsMax)
        monitor = Monitor(limits: limits, thresholds: settings.thresholds, random: random)
    }

    /// Whether the server is about to stop, or to give way to another process.
    var isDraining: Bool {
        switch stage {
        case .serving: false
        case .draining, .handedOver: true
        }
    }

    /// What somebody hears who asks a server that ends.
    var endWords: StaticString { stage == .handedOver ? "Server is restarting" : "Server is shutting down" }

    /// Whether more waits for a disk that refuses it than may: then nothing is taken in that would have to be written.
    var isDiskOverfull: Bool { recorder.unwrittenBytes > limits.unwrittenBytesMax }

    // MARK: Time

    /// Notes what the wall's clock shows now; it may step, deadlines do not.
    func observe(_ wall: WallTime, at now: Instant) {
        present = now
        wallOffset = wall.milliseconds - now.nanoseconds / 1_000_000
    }

    func moment(_ now: Instant) -> Moment {
        Moment(instant: now, wall: WallTime(milliseconds: wallOffset + now.nanoseconds / 1_000_000))
    }

    func date(_ now: Instant) -> SharedBytes { dateLine.bytes(at: moment(now).wall) }

    // MARK: Conversations

    /// The conversation on that connection; nil where the identity names nobody any more.
    func conversation(_ id: ConnectionID) -> Conversation? {
        guard id.slot < conversations.count, let conversation = conversations[id.slot], conversation.id == id else { return nil }
        return conversation
    }

    func add(_ conversation: Conversation) {
        let slot = conversation.id.slot
        while conversations.count <= slot { conversations.append(nil) }
        if conversations[slot] == nil { conversationCount += 1 }
        conversations[slot] = conversation
    }

    func remove(_ id: ConnectionID) {
        if conversations[id.slot] != nil { conversationCount -= 1 }
        conversations[id.slot] = nil
    }

    /// Slots that were ever used.
    var slots: Int { conversations.count }

    func conversation(inSlot slot: Int) -> Conversation? { conversations[slot] }

    /// The first conversation of that kind, in the order of slots that begins with `start`, and goes round.
    func firstConversation(from start: Int, where matches: (Conversation) -> Bool) -> Conversation? {
        for index in 0..<conversations.count {
            let slot = start + index < conversations.count ? start + index : start + index - conversations.count
            if let conversation = conversations[slot], matches(conversation) { return conversation }
        }
        return nil
    }

    var allConversations: [Conversation] { conversations.compactMap(\.self) }

    /// Shows every conversation without gathering them first.
    func forEachConversation(_ body: (Conversation) -> Void) {
        for case let conversation? in conversations { body(conversation) }
    }

    // MARK: Timers

    /// Arranges for `id` to be looked at when `deadline` has come.
    func arm(_ id: ConnectionID, at deadline: Instant) -> TimerTicket { timers.insert(deadline, id) }

    func disarm(_ ticket: TimerTicket?) {
        if let ticket { _ = timers.cancel(ticket) }
    }

    var nextDeadline: Instant? {
        guard !paced.isEmpty, let pace = paced.nextDeadline else { return timers.nextDeadline }
        return min(timers.nextDeadline ?? pace, pace)
    }

    func takeDue(at now: Instant, into due: inout [ConnectionID]) {
        due.removeAll(keepingCapacity: true)
        timers.advance(to: now, into: &due)
    }

    /// Lets a connection rest; `takeRested` names it afterwards.
    func rest(_ id: ConnectionID, until deadline: Instant) { _ = paced.insert(deadline, id) }

    func takeRested(at now: Instant, into rested: inout [ConnectionID]) {
        rested.removeAll(keepingCapacity: true)
        paced.advance(to: now, into: &rested)
    }
}

extension Limits {
    /// The bounds of one JSON text: the larger of what HTTP and WebSocket let in.
    var json: JSONLimits { JSONLimits(depthMax: jsonDepthMax, bytesMax: max(bodyBytesMax, messageBytesMax)) }
}
