// EventLoop: one thread, epoll, and a turn whose phases stand in one function. Moves bytes between sockets, the host and the outbox;
// what the bytes say, it does not know. Input is EventLoop+Input.swift, output and the end of connections EventLoop+Output.swift,
// connections that we make EventLoop+Outbound.swift, and what TLS adds EventLoop+TLS.swift.
//
// Cost: a ready connection is one recv and one call of the host; a dirty one is one gathered write; nothing is allocated. Around its
// system calls, 2 to 4 µs each, the loop's own part of an event is to stay near 100 ns.
public import Base
import CLinux

/// The reactor. Belongs to the thread that runs it.
// @safe: the buffers live as long as the loop and are used within their sizes.
@safe
public final class EventLoop {
    /// The loop's numbers.
    public struct Settings: Sendable {
        /// The one receive buffer. 256 KiB: a message of 64 KiB in one read, and still in the second-level cache.
        public var receiveBytes = 256 << 10
        /// A reply of at least this size is sent as soon as its input has been handled, while it is in the cache; smaller ones wait for
        /// the end of the turn, when more may have joined them.
        public var eagerFlushBytes = 4 << 10
        /// Bytes that one connection may send in a turn before it is the others' turn.
        public var flushBytesMax = 1 << 20
        /// How long a turn flushes before it looks for input again: a broadcast to 10,000 takes 40 ms, and pings are not to wait for it.
        public var flushSlice = TimeSpan.milliseconds(2)
        /// A connection that answers itself and has more than this waiting is not read until half of it has gone.
        public var pauseReadingBytes = 1 << 20
        /// How long a connection whose output is shut is read, and thrown away, until the peer ends too.
        public var lingerTimeout = TimeSpan.seconds(1)
        /// How long what waits may take to go out once the connection is to end.
        public var lastFlushTimeout = TimeSpan.seconds(30)
        /// Connections, those on their way out included.
        public var connectionsMax = 65_536
        /// Connections that one listener takes in one turn.
        public var acceptsMax = 256
        /// Events taken from the kernel in one turn, and so the reads of one turn: 256 × 256 KiB before the turn writes what waits. What is
        /// ready beyond them comes first in the next turn: epoll, level-triggered, puts who was served at the end of its line. A quarter
        /// of it cost 15 % more CPU a task with 80 connections in a dispatch: turns are worth filling.
        public var eventsMax = 256
        /// From accept to the end of TLS's handshake; where we call, from the call.
        public var handshakeTimeout = TimeSpan.seconds(10)
        /// How long a turn shakes hands before it looks for input again; a handshake costs 100 µs to 2 ms, and one has its turn always.
        public var handshakeSlice = TimeSpan.milliseconds(2)
        /// Handshakes that may be under way: beyond it the oldest is given up for a new one. Each holds 9 to 45 KiB: 180 MiB.
        public var handshakesMax = 4_096
        /// Handshakes with something to say that wait for their turn; while there are more, nobody else is accepted where TLS is spoken.
        public var handshakesDueMax = 256
        /// What somebody is sent who speaks plain HTTP where TLS is spoken; empty for nothing.
        public var answerToPlainText: [UInt8] = []
        /// Connections of one address at once; 0 for any number.
        public var connectionsPerAddressMax = 0
        /// Connections let in within one second, on all listeners; 0 for any number. The others wait in the backlog.
        public var acceptsPerSecondMax = 0
        /// Handshakes of one address under way at once: half of all, so that nobody takes all of them.
        public var handshakesPerAddressMax = 2_048
        /// What somebody is sent who is turned away where TLS is not spoken; nothing where it is not listed.
        public var answersToRefused: [Rejection: [UInt8]] = [:]
        /// Connections that were turned away and are read, and thrown away, until they end, lest a reset overtakes their answer; beyond it
        /// they are closed at once.
        public var turnedAwayMax = 64
        /// Signals that come as input; `Signals.block` has been called with them.
        public var signals: [Int32] = []

        public init() {}
    }

    /// What the loop's own descriptors are called in events: generation 0, and a slot that says which.
    enum Own {
        static let doorbell: UInt64 = 0xffff_ffff
        static let signals: UInt64 = 0xffff_fffe
        /// Guests: this and their descriptor.
        static let guests: UInt64 = 0x8000_0000
        // Listeners count from 0.
    }

    let settings: Settings
    let outbox: Outbox
    /// Wakes the loop from any thread: mailboxes ring it.
    public let doorbell: Doorbell
    let poller: Poller
    let signals: Signals
    var table: ConnectionTable
    var figures = TurnFigures()
    let receiveBuffer: UnsafeMutablePointer<UInt8>
    let slices: UnsafeMutableBufferPointer<iovec>
    /// Slices of one gathered write; a longer queue takes another.
    static let slicesMax = 256

    var listeners: [ListenerSlot] = []
    /// A descriptor kept to be given up: with it a connection can be accepted and closed where there is no other.
    var reserve: FileDescriptor?
    /// When listeners that met a shortage even so are watched again.
    var listensAgainAt: Instant?
    /// Whether whoever connects is let in, or waits in the kernel.
    var isAccepting = true
    /// Descriptors of the host's that are watched for input.
    var guests: Set<Int32> = []
    /// Whether whoever comes is turned away, because there is little memory.
    public var isShort = false
    /// What each address holds.
    var ledger = AddressLedger()
    /// Connections in the table that were turned away.
    var turnedAway = 0
    /// Connections that may still come before `acceptsRenewed`, if there is a bound.
    var acceptsLeft = 0
    var acceptsRenewed = Instant(nanoseconds: 0)

    /// Who is to be flushed; filled each turn from the outbox, and not always emptied in the same one.
    var flushLine: [ConnectionID] = []
    var flushHead = 0
    var newlyDirty: [ConnectionID] = []
    /// Whose end the host is told in the last phase.
    var endings: [(id: ConnectionID, cause: CloseCause)] = []
    /// Whose descriptor is closed in the last phase.
    var dead: [ConnectionID] = []
    /// In phase `.closing` or `.departing`.
    var flushingLast = ConnectionTable.Line()
    /// In phase `.draining`.
    var draining = ConnectionTable.Line()

    /// What new sessions begin with; those that there are keep theirs.
    public var tls: TLSContext?
    /// By slot; empty where nobody ever spoke TLS.
    var sessions: [TLSSession?] = []
    /// In phase `.handshaking`, and how many they are.
    var handshaking = ConnectionTable.Line()
    var handshakesOpen = 0
    /// In phase `.calling`.
    var calling = ConnectionTable.Line()
    /// Whose handshake can go on.
    var handshakesDue: [ConnectionID] = []
    /// Whose session may hold input that epoll does not know of.
    var sessionsUnread: [ConnectionID] = []
    /// Where a record's bytes are joined.
    let recordBuffer: UnsafeMutablePointer<UInt8>

    var doorbellRang = false
    var signalCame = false
    /// Whether the host was told something behind the phases in which it is asked for more.
    var hasMore = false
    private var isStopping = false
    /// When the host wanted its timers looked at, as it said before the last sleep: to ask it costs more than a message.
    private var hostDeadline: Instant?
    /// The clock as it was last read.
    private(set) var now: Instant
    /// What the last turn did.
    public private(set) var lastTurn = TurnFigures()

    public init(outbox: Outbox, settings: Settings = Settings()) throws(Errno) {
        self.settings = settings
        self.outbox = outbox
        doorbell = try Doorbell()
        poller = try Poller(eventsMax: settings.eventsMax)
        signals = try Signals(settings.signals)
        table = ConnectionTable(capacity: settings.connectionsMax + settings.turnedAwayMax)
        reserve = try EventLoop.openReserve()
        unsafe receiveBuffer = .allocate(capacity: settings.receiveBytes)
        unsafe slices = .allocate(capacity: EventLoop.slicesMax)
        unsafe recordBuffer = .allocate(capacity: TLSSession.recordBytes)
        now = SystemClock.now()
        try poller.add(doorbell.descriptor.raw, .input, userData: Own.doorbell)
        try poller.add(signals.descriptor.raw, .input, userData: Own.signals)
    }

    deinit {
        for slot in 0..<table.slots {
            if let id = table.occupant(slot) { close(id) }
        }
        unsafe receiveBuffer.deallocate()
        unsafe slices.deallocate()
        unsafe recordBuffer.deallocate()
    }

    /// Connections that have a descriptor.
    public var connectionCount: Int { table.count }

    /// Runs turns until `stop`, then closes everything and tells the host so.
    public func run(_ host: any LoopHost) throws(Errno) {
        while !isStopping { try turn(host) }
        closeEverything(host)
    }

    /// Leaves `run` at the end of this turn. What still waits to be sent is dropped: an orderly end closes the connections first.
    public func stop() { isStopping = true }

    /// One turn. The order of these lines is the contract.
    ///
    /// - Parameter limit: the longest sleep, whatever the deadlines; nil for none.
    public func turn(_ host: any LoopHost, waitingAtMost limit: TimeSpan? = nil) throws(Errno) {
        // 1 sleep
        let ready = try poller.wait(milliseconds: sleep(host, limit))
        // 2 the turn's time
        now = SystemClock.now()
        host.turnBegan(at: now)
        // 3 bytes and connections come in
        figures.events = ready
        for index in 0..<ready { take(poller.event(index), host) }
        if !sessions.isEmpty { serveSessions(host) }
        // 4 work that came home, and signals
        if doorbellRang || signalCame { answerOutside(host) }
        // 5 time; what became due meanwhile keeps the next turn from sleeping
        if let hostDeadline, hostDeadline <= now { host.timersDue(at: now) }
        endLastWhiles(host)
        // 6 the host publishes what coalesced
        host.turnEnded(at: now, lastTurn: lastTurn)
        // 7 one write a dirty connection, and one more for those that have room for what waits elsewhere
        flush()
        if outbox.hasRoomy {
            host.roomCame(at: now)
            flush()
        }
        // 8 close what is over
        reap(host)
        closeBooks()
    }

    private func sleep(_ host: any LoopHost, _ limit: TimeSpan?) -> Int32 {
        hostDeadline = host.nextDeadline
        if isStopping || hasMore || flushHead < flushLine.count || outbox.hasDirty || outbox.hasRoomy { return 0 }
        if !handshakesDue.isEmpty || !sessionsUnread.isEmpty { return 0 }
        var deadline = hostDeadline
        func consider(_ other: Instant?) {
            if let other { deadline = min(deadline ?? other, other) }
        }
        consider(table.head(flushingLast)?.deadline)
        consider(table.head(draining)?.deadline)
        consider(table.head(handshaking)?.deadline)
        consider(table.head(calling)?.deadline)
        consider(listensAgainAt)
        if let limit { consider(now + limit) }
        return Poller.timeout(from: now, until: deadline)
    }

    private func answerOutside(_ host: any LoopHost) {
        if doorbellRang {
            doorbellRang = false
            doorbell.silence()
            host.completionsArrived(at: now)
        }
        if signalCame {
            signalCame = false
            while let signal = signals.take() { host.signalled(signal, at: now) }
        }
    }

    private func closeBooks() {
        let end = SystemClock.now()
        figures.duration = end - now
        figures.flushesLeft = flushLine.count - flushHead
        lastTurn = figures
        figures = TurnFigures()
        now = end
    }

    private func closeEverything(_ host: any LoopHost) {
        stopAccepting()
        for slot in 0..<table.slots {
            guard let id = table.occupant(slot), let record = unsafe table.find(id) else { continue }
            switch unsafe record.pointee.phase {
            case .open, .closing, .calling:
                outbox.close(id)
                host.closed(id, .requested, at: now)
            case .departing:
                outbox.close(id)
            case .free, .handshaking, .draining, .dead:
                break
            }
            close(id)
        }
        flushLine.removeAll()
        flushHead = 0
        flushingLast = ConnectionTable.Line()
        draining = ConnectionTable.Line()
        calling = ConnectionTable.Line()
        dead.removeAll()
        handshakesDue.removeAll()
        sessionsUnread.removeAll()
        outbox.takeDirty(into: &newlyDirty)
        outbox.endTurn()
    }
}
