// Machine: one life of the server's process: the real server and the real archive of the program, and around them what the reactor does,
// turn by turn and in its order: read, take home, timers, start work, flush, close. A crash is to forget this object.
import Base
import Gateway
import Glibc
import Reactor
import Storage

final class Machine {
    unowned let world: Simulation
    let life: Int
    let server: Server
    let outbox: Outbox
    private let archive: Archive
    private let line = JournalLine()
    private let limits: Limits
    private(set) var sockets: [Socket] = []
    private var bySlot: [Int: Socket] = [:]
    private var freeSlots: [Int] = []
    private var lastSlot = 0
    private var lastGeneration: UInt32 = 0
    private var dirty: [ConnectionID] = []
    private var jobs: [Job] = []
    private var errands: [Errand] = []
    private var completions: [Completion] = []
    private var isAwake = false
    private var isLineDue = false
    private var alarm: Instant?
    /// The process stands still until then.
    private var frozenUntil: Instant
    private(set) var isListening = true
    private var turnsWithoutTime = 0
    private var lastTurn: Instant

    init(_ world: Simulation, life: Int, bell: Doorbell) throws(StorageError) {
        self.world = world
        self.life = life
        let settings = world.fate.settings
        limits = settings.limits
        outbox = Outbox(arenaBytesRetained: 1 << 16)
        frozenUntil = world.now
        lastTurn = world.now
        let log = Log(level: .error, format: .text) { _ in }
        server = Server(settings: settings, outbox: outbox, log: log, random: Randomness(seed: world.chance.next()))
        archive = try Archive(
            world.disk.location, world.disk.settings, memory: .seconds(7 * 86_400), on: line, doorbell: bell, log: log, at: world.now)
        server.observe(world.wall, at: world.now)
        try archive.restore(
            server, resultTTL: limits.resultTTL, endedBytesMax: limits.endedBytesMax, at: world.now, wall: world.wall)
        wake()
    }

    // MARK: When

    /// Has a turn at once, or when the process no longer stands still.
    func wake() {
        guard !isAwake else { return }
        isAwake = true
        world.at(max(world.now, frozenUntil)) { [weak self] in
            guard let self, world.machine === self else { return }
            isAwake = false
            if frozenUntil > world.now { wake() } else { turn() }
        }
    }

    /// The whole process stands still: as on a machine that swaps, or that is suspended.
    func freeze(_ span: TimeSpan) { frozenUntil = max(frozenUntil, world.now + span) }

    func hasRoom(_ id: ConnectionID) {
        outbox.touch(id)
        wake()
    }

    private func setAlarm() {
        let deadline = server.nextDeadline.map { min($0, archive.nextDeadline) } ?? archive.nextDeadline
        if let alarm, alarm <= deadline { return }
        alarm = deadline
        // The reactor sleeps by the millisecond, and never too short.
        world.at(max(world.now, deadline) + .microseconds(Int64(world.chance.number(0...1_000)))) { [weak self] in
            guard let self, world.machine === self, alarm == deadline else { return }
            alarm = nil
            wake()
        }
    }

    // MARK: Connections

    func accept(_ socket: Socket) {
        let slot = freeSlots.popLast() ?? lastSlot + 1
        lastSlot = max(lastSlot, slot)
        lastGeneration += 1
        let id = ConnectionID(slot: UInt32(slot), generation: lastGeneration)
        socket.id = id
        socket.life = life
        sockets.append(socket)
        bySlot[slot] = socket
        outbox.open(id)
        server.opened(id, from: .v4(0x7f00_0001, port: UInt16(truncatingIfNeeded: 1_024 + socket.number)), at: world.now)
        wake()
    }

    /// The kernel ends what a process had that is no more.
    func die() {
        line.removeAll()
        for socket in sockets { socket.endOutgoing(world.chance.once(in: 2) ? .reset : .inOrder) }
        for socket in sockets { socket.id = nil }
        sockets = []
    }

    /// Begins an orderly stop.
    func stop() {
        isListening = false
        server.stop(at: world.now)
        wake()
    }

    /// Ends an orderly stop.
    ///
    /// - Returns: whether everything was written.
    func close() -> Bool {
        for socket in sockets { socket.endOutgoing(.inOrder) }
        for socket in sockets { socket.id = nil }
        return archive.close(server, at: world.now)
    }

    private func forget(_ socket: Socket) -> ConnectionID? {
        guard let id = socket.id else { return nil }
        outbox.close(id)
        bySlot[id.slot] = nil
        freeSlots.append(id.slot)
        socket.id = nil
        sockets.removeAll { $0 === socket }
        return id
    }

    // MARK: A turn

    private func turn() {
        let now = world.now
        turnsWithoutTime = lastTurn == now ? turnsWithoutTime + 1 : 0
        lastTurn = now
        world.tally[.turns] += 1
        if turnsWithoutTime > 2_000 { return world.fail("livelock", "2000 turns, and no time passes") }
        server.observe(world.wall, at: now)
        var readable = sockets
        world.chance.shuffle(&readable)
        for socket in readable { read(socket, now) }
        for completion in completions { server.finished(completion, at: now) }
        completions = []
        archive.deliver(to: server, at: now)
        if archive.nextDeadline <= now { archive.sweepDue(at: now, wall: world.wall) }
        if let deadline = server.nextDeadline, deadline <= now { server.timersDue(at: now) }
        server.turnEnded(TurnReport(duration: .microseconds(10), bytesIn: 0, bytesOut: 0, refused: 0), at: now)
        performWishes(now)
        var ended = flush()
        if outbox.hasRoomy {
            server.roomCame(at: now)
            performWishes(now)
            ended += flush()
        }
        for id in ended { server.closed(id, .requested, at: now) }
        if !ended.isEmpty || outbox.hasDirty || outbox.hasRoomy || sockets.contains(where: isReadable) { wake() }
        doLineLater()
        setAlarm()
        world.turned()
    }

    private func isReadable(_ socket: Socket) -> Bool {
        guard let id = socket.id else { return false }
        if case .reset = socket.inboxEnd { return true }
        let marks = outbox.marks(id)
        if !marks.isDisjoint(with: [.closeAfterFlush, .abort]) { return !socket.inbox.isEmpty || socket.inboxEnd != nil }
        if marks.contains(.readingPaused) { return socket.inboxEnd != nil && !marks.contains(.endUnheard) }
        if marks.contains(.answersItself), outbox.queuedBytes(id) > limits.pauseReadingBytes { return false }
        return !socket.inbox.isEmpty || socket.inboxEnd != nil
    }

    private func read(_ socket: Socket, _ now: Instant) {
        guard isReadable(socket), let id = socket.id else { return }
        if case .reset = socket.inboxEnd { return closed(socket, .broken(errno: ECONNRESET), now) }
        let marks = outbox.marks(id)
        // What comes behind the server's own end is thrown away; who is gone gets nothing more.
        if !marks.isDisjoint(with: [.closeAfterFlush, .abort]) {
            socket.inbox = []
            return socket.inboxEnd == nil ? () : closed(socket, .broken(errno: EPIPE), now)
        }
        if marks.contains(.readingPaused) { return closed(socket, .peerEnded, now) }
        if !socket.inbox.isEmpty {
            let isCut = world.fate.isCutting && world.chance.once(in: 5)
            var bytes = Array(socket.inbox.prefix(isCut ? world.chance.number(1...socket.inbox.count) : socket.inbox.count))
            socket.inbox.removeFirst(bytes.count)
            world.trace.fold(now, -socket.number, bytes)
            var span = bytes.mutableSpan
            server.received(id, &span, at: now)
        } else {
            closed(socket, .peerEnded, now)
        }
    }

    private func closed(_ socket: Socket, _ cause: CloseCause, _ now: Instant) {
        socket.endOutgoing(.inOrder)
        if let id = forget(socket) { server.closed(id, cause, at: now) }
    }

    /// Starts what the server wants done elsewhere: the pool's work comes home in any order, the disk's in its own.
    private func performWishes(_ now: Instant) {
        server.takeErrands(into: &errands)
        for errand in errands { perform(errand) }
        server.takeJobs(into: &jobs)
        for job in jobs {
            world.tally[.jobs] += 1
            world.at(now + world.fate.poolLatency(&world.chance)) { [weak self] in
                guard let self, world.machine === self else { return }
                completions.append(job.perform(limits: limits))
                wake()
            }
        }
        archive.collect(from: server, at: now)
    }

    private func perform(_ errand: Errand) {
        world.at(world.now + .milliseconds(1)) { [weak self] in
            guard let self, world.machine === self else { return }
            switch errand {
            case .sample: server.sampled(world.vitals(), at: world.now)
            case .connect(let probe): server.notConnected(probe, reason: SharedBytes("connection refused"), at: world.now)
            }
            wake()
        }
    }

    private func doLineLater() {
        guard !line.isEmpty, !isLineDue else { return }
        isLineDue = true
        world.at(world.now + world.fate.diskLatency(&world.chance)) { [weak self] in
            guard let self, world.machine === self else { return }
            isLineDue = false
            line.doNext()
            wake()
            doLineLater()
        }
    }

    private func flush() -> [ConnectionID] {
        outbox.takeDirty(into: &dirty)
        var ended: [ConnectionID] = []
        for id in dirty {
            guard let socket = bySlot[id.slot], socket.id == id else { continue }
            let marks = outbox.marks(id)
            guard !marks.contains(.abort) else {
                end(socket, .reset, &ended)
                continue
            }
            send(id, socket)
            outbox.settle(id)
            guard marks.contains(.closeAfterFlush) else { continue }
            if outbox.queuedBytes(id) > 0 { flushLast(id, socket) } else { end(socket, .inOrder, &ended) }
        }
        outbox.endTurn()
        return ended
    }

    private func end(_ socket: Socket, _ end: Socket.End, _ ended: inout [ConnectionID]) {
        socket.endOutgoing(end)
        if let id = forget(socket) { ended.append(id) }
    }

    /// Who is to be closed and does not read has so long for it, and no longer: as in the reactor.
    private func flushLast(_ id: ConnectionID, _ socket: Socket) {
        guard !socket.flushesLast else { return }
        socket.flushesLast = true
        world.after(.seconds(30)) { [weak self] in
            guard let self, world.machine === self, socket.id == id else { return }
            socket.inboxEnd = .reset
            wake()
        }
    }

    private func send(_ id: ConnectionID, _ socket: Socket) {
        var slices = unsafe [iovec](repeating: iovec(), count: 16)
        while socket.room > 0 {
            let room = min(socket.room, limits.writeBytesPerTurn)
            let taken = unsafe slices.withUnsafeMutableBufferPointer { slices -> Int in
                var taken = 0
                for index in 0..<(unsafe outbox.gather(id, into: slices, bytesMax: room)) {
                    let slice = unsafe slices[index]
                    unsafe socket.take(UnsafeRawBufferPointer(start: slice.iov_base, count: slice.iov_len))
                    unsafe taken += slice.iov_len
                }
                return taken
            }
            guard taken > 0 else { return }
            outbox.consume(id, taken)
        }
    }
}
