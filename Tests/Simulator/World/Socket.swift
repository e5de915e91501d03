// Socket: one connection with both its ends and the network between them: what a client sends arrives later, in pieces cut anywhere; what
// the server writes waits in a buffer of the kernel's, as large as the seed has it, until the client reads. Knows no protocol.
import Base

/// Who stands at a client's end.
protocol Guest: AnyObject {
    /// The connection is made.
    func opened(_ socket: Socket)
    func heard(_ socket: Socket, _ bytes: [UInt8])
    /// It is over, and not because the guest closed it.
    func lost(_ socket: Socket)
}

final class Socket {
    enum End {
        case inOrder
        case reset
    }

    /// As the client sees it.
    private enum State { case open, left }

    unowned let world: Simulation
    let number: Int
    private weak var guest: (any Guest)?
    private var state = State.open

    /// The server's name for it; nil before it was accepted, and once the server is done with it.
    var id: ConnectionID?
    /// Which life of the server's process accepted it.
    var life = 0
    /// What arrived at the server's kernel and was not read.
    var inbox: [UInt8] = []
    var inboxEnd: End?
    /// Whether the server closes it as soon as all that waits is written.
    var flushesLast = false
    private var lastArrival: Instant

    /// What the server's kernel took and the client has not read.
    private var outgoing: [UInt8] = []
    private var outgoingEnd: End?
    private let capacity: Int
    private var isDelivering = false
    /// The client reads nothing before.
    private var stalledUntil: Instant
    /// Whether nothing passes any more, in either direction, and nobody is told.
    private(set) var isSilent = false

    init(_ world: Simulation, number: Int, guest: any Guest) {
        self.world = world
        self.number = number
        self.guest = guest
        lastArrival = world.now
        stalledUntil = world.now
        let isSmall = world.fate.isTight || world.fate.isCutting && world.chance.once(in: 3)
        capacity = isSmall ? world.chance.number(100...3_000) : 64 << 10
    }

    // MARK: The client's end

    var isOpen: Bool { if case .open = state { outgoingEnd == nil } else { false } }

    func send(_ bytes: [UInt8]) {
        guard case .open = state, !isSilent else { return }
        var rest = bytes[...]
        while !rest.isEmpty {
            let isCut = world.fate.isCutting && world.chance.once(in: 4)
            let piece = rest.prefix(isCut ? world.chance.number(1...max(1, rest.count / 2)) : rest.count)
            rest = rest.dropFirst(piece.count)
            arrive { socket in
                if socket.inboxEnd == nil { socket.inbox += piece }
            }
        }
    }

    /// The client goes: in order, or with a reset that overtakes nothing but destroys what the server has not read.
    func close(_ end: End = .inOrder) {
        guard case .open = state else { return }
        state = .left
        outgoing = []
        guard !isSilent else { return }
        arrive { socket in
            if end == .reset { socket.inbox = [] }
            socket.inboxEnd = socket.inboxEnd ?? end
        }
    }

    /// Something arrives at the server, behind all that was sent before.
    private func arrive(_ body: @escaping (Socket) -> Void) {
        lastArrival = max(lastArrival, world.now + world.fate.latency(&world.chance))
        world.at(lastArrival) { [self] in
            guard !isSilent else { return }
            body(self)
            world.machine?.wake()
        }
    }

    /// The client reads nothing for a while.
    func stall(_ span: TimeSpan) { stalledUntil = max(stalledUntil, world.now + span) }

    /// A cable is pulled: whatever is under way is lost, and neither end is told.
    func silence() { isSilent = true }

    /// The server's kernel gives up a connection that has gone dead.
    func giveUp() {
        guard isSilent else { return }
        inbox = []
        inboxEnd = .reset
        world.machine?.wake()
    }

    /// The client gives up a connection that has gone dead.
    func perish() {
        guard case .open = state else { return }
        state = .left
        guest?.lost(self)
    }

    /// The connection breaks, and both ends are told in their time.
    func break_() {
        guard case .open = state else { return }
        arrive { socket in
            socket.inbox = []
            socket.inboxEnd = .reset
        }
        endOutgoing(.reset)
    }

    // MARK: The server's end

    var room: Int { isGone ? .max : capacity - outgoing.count }

    /// Whether nobody reads at the other end.
    private var isGone: Bool { if case .left = state { !isSilent } else { false } }

    /// Takes bytes into the kernel's buffer.
    func take(_ bytes: some Collection<UInt8>) {
        guard case .open = state, outgoingEnd == nil else { return }
        outgoing += bytes
        deliverLater()
    }

    /// The server is done with it: what its kernel took still arrives, unless it was a reset.
    func endOutgoing(_ end: End) {
        guard outgoingEnd == nil else { return }
        outgoingEnd = end
        if end == .reset { outgoing = [] }
        deliverLater()
    }

    // MARK: Between them

    private func deliverLater() {
        guard !isDelivering, !isSilent else { return }
        isDelivering = true
        world.at(max(stalledUntil, world.now + world.fate.latency(&world.chance))) { [self] in
            isDelivering = false
            if stalledUntil > world.now { deliverLater() } else { deliver() }
        }
    }

    private func deliver() {
        guard case .open = state, !isSilent else { return }
        let wasFull = room <= 0
        let isCut = world.fate.isCutting && world.chance.once(in: 3)
        let bytes = Array(outgoing.prefix(isCut ? world.chance.number(1...max(1, outgoing.count)) : outgoing.count))
        outgoing.removeFirst(bytes.count)
        if !bytes.isEmpty {
            world.trace.fold(world.now, number, bytes)
            guest?.heard(self, bytes)
        }
        if !outgoing.isEmpty {
            deliverLater()
        } else if outgoingEnd != nil, case .open = state {
            state = .left
            guest?.lost(self)
        }
        if wasFull, let id { world.machine?.hasRoom(id) }
    }

    /// The server has accepted it, or nobody listens.
    func answered(_ isAccepted: Bool) {
        guard case .open = state else { return }
        if isAccepted { return guest?.opened(self) ?? () }
        state = .left
        guest?.lost(self)
    }
}
