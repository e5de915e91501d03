// Conversation: what the server remembers of one connection, by what is spoken on it. An HTTP conversation becomes a WebSocket one by
// the upgrade, and never goes back. Nothing is buffered here while a connection is idle.
internal import Base
internal import Domain
internal import HTTP1
internal import WebSockets

enum Conversation {
    case http(HTTPConversation)
    case webSocket(WebSocketConversation)
    case probe(ProbeConversation)

    var id: ConnectionID {
        switch self {
        case .http(let conversation): conversation.id
        case .webSocket(let conversation): conversation.id
        case .probe(let conversation): conversation.id
        }
    }
}

/// The one conversation that the server begins itself: what it asks of a deployment.
final class ProbeConversation {
    let id: ConnectionID
    let probe: HealthProbe
    let timer: TimerTicket
    var answer = StatusReader()
    /// Bytes of the answer that were read.
    var received = 0

    init(id: ConnectionID, probe: HealthProbe, timer: TimerTicket) {
        self.id = id
        self.probe = probe
        self.timer = timer
    }
}

final class HTTPConversation {
    /// What the request that is being read, or answered, asks for.
    enum Request {
        case none
        /// Its head was read; it is acted upon once it is whole.
        case reading(Route, key: SharedBytes?, Principal)
        /// Its body is read by the worker pool.
        case reviewing(OrderForm, Principal)
        /// What it reports is read by the worker pool.
        case hearing
        /// It is answered once what it asked for is written down.
        case storing(Receipt)
        /// It waits for the end of its task.
        case waiting(TaskRecord, Principal)
        /// The same in OpenAI's words; its answer may have begun.
        case completing(CompletionExchange)
        /// It waits for what is read back from the journal.
        case inquiring(Inquirer)
        /// Its answer goes on for as long as its task does.
        case streaming(EventWatcher)
        /// It is a session's of Engine.IO, and is acted upon once it is whole.
        case engaging(SocketRequest)
        /// It waits for what the session says next.
        case polling(EngineID, fields: SharedBytes)
    }

    let id: ConnectionID
    let peer: PeerAddress
    let certificate: PeerCertificate?
    var exchange = ServerExchange()
    var request = Request.none
    /// Whether its errors are to have OpenAI's shape.
    var speaksOpenAI = false
    /// Which page of another origin may read its answer.
    var reader = CrossOrigin.nobody(isAsked: false)
    /// What the dashboard is told of it; nil while nobody looks.
    var note: ExchangeNote?
    /// Which request of the connection this is: an answer to an earlier one is nobody's.
    var number: UInt32 = 0
    /// Bytes that came and could not be used yet: a part of a head, or later requests.
    var leftover = ByteQueue()
    /// The body so far, where it did not come in one piece.
    var body: ByteWriter?

    /// Whether it came while memory was short: then it is answered little.
    let isSpared: Bool
    var pace = Pace()
    /// It sent requests too fast, and is not heard for a moment.
    var isPaced = false
    /// Unfinished input, as it was last counted.
    var inputCounted: UInt32 = 0
    /// Bytes of the body when its phase's clock was last set.
    var bodyNoted = 0

    /// The phase whose time runs, of which request, and since when.
    var timedPhase = ServerExchange.Phase.idle
    var timedNumber: UInt32 = 0
    var phaseStarted: Instant
    var timer: TimerTicket?
    var armedUntil: Instant
    /// What waited to be sent when it was last looked at whether answers are read; nil where nothing did.
    var unsent: (bytes: Int, at: Instant)?

    init(id: ConnectionID, peer: PeerAddress, certificate: PeerCertificate? = nil, isSpared: Bool = false, at now: Instant) {
        self.isSpared = isSpared
        self.id = id
        self.peer = peer
        self.certificate = certificate
        phaseStarted = now
        armedUntil = now
    }

    /// Whether the content of the request is wanted.
    var takesBody: Bool {
        switch request {
        case .reading, .engaging: true
        case .none, .reviewing, .hearing, .storing, .waiting, .completing, .inquiring, .streaming, .polling: false
        }
    }

    var exchangeID: ExchangeID { ExchangeID(connection: id, number: number) }
}

/// Some 100 bytes while it is idle: of a hundred thousand connections that is what counts.
final class WebSocketConversation {
    enum Role {
        case echo
        case worker(Worker)
        case taskWatcher(TaskWatcher)
        case userWatcher(UserWatcher)
        case hubClient(HubClient)
        case producer(Producer)
        case dashboard(DashboardWatcher)
        /// Socket.IO.
        case socketClient(SocketSeat)
        /// Closed at once: the reason stands in the close frame, where a browser can read it.
        case refused(CloseReason)
    }

    let id: ConnectionID
    let role: Role
    /// Who speaks; a newer token of the same user takes the place of an older one.
    var principal: Principal
    /// When the other end last gave a sign of life.
    var lastSign: Instant
    /// No ticket has generation 0.
    private var ticket = TimerTicket(slot: 0, generation: 0)
    var pace = Pace()
    /// The number of the first publication that may not have reached the outbox whole; 0 where all have.
    var heldSince: UInt64 = 0
    /// Nil while there is nothing to carry.
    var burden: Burden?
    var socket: WebSocketConnection
    /// A message of this connection is with the pool, or its greeting waits for the journal: what follows waits.
    var isReviewing = false
    /// It sent messages too fast, and is not heard for a moment.
    var isPaced = false
    /// Pings that went out since its last sign of life; no more than this can count.
    var unanswered: UInt8 = 0

    init(id: ConnectionID, role: Role, principal: Principal, deflate: DeflateParameters?, at now: Instant) {
        self.id = id
        self.role = role
        self.principal = principal
        socket = WebSocketConnection(deflate: deflate)
        lastSign = now
    }

    var timer: TimerTicket? {
        get { ticket.generation == 0 ? nil : ticket }
        set { ticket = newValue ?? TimerTicket(slot: 0, generation: 0) }
    }
}
