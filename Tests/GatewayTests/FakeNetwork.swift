// FakeNetwork: what stands around a server in a test: connections without sockets, a clock that is set, a pool that works when it is told.
// Drains the outbox in the order of the reactor's phases, and keeps the reactor's promises: nothing is told of a connection that was
// told closed, nothing is delivered while reading is paused or after the end was asked for.
import Base
import Domain
import Glibc
import TestSupport

@testable import Gateway

final class FakeNetwork {
    /// One connection as the peer sees it.
    final class Link {
        enum State { case open, endedByServer, endedByPeer }

        let id: ConnectionID
        fileprivate(set) var state = State.open
        /// What the peer sent and the server has not read.
        fileprivate(set) var sent: [[UInt8]] = []
        /// What the peer has read.
        fileprivate(set) var output: [UInt8] = []
        /// Pieces of memory of which that was made.
        fileprivate(set) var blocks = 0
        /// Whether the peer has stopped reading.
        var stalls = false
        /// Bytes that the peer takes in one turn.
        var takes = Int.max

        init(id: ConnectionID) { self.id = id }

        func takeOutput() -> [UInt8] {
            defer { (output, blocks) = ([], 0) }
            return output
        }

        var unreadBytes: Int { sent.reduce(0) { $0 + $1.count } }
    }

    enum Pool {
        /// Jobs are done at the end of the turn that found them.
        case eager
        /// Jobs wait in `held`.
        case holding
    }

    let server: Server
    let outbox: Outbox
    let limits: Limits
    /// 2023-11-14T22:13:20Z: what the examples of the documents show.
    static let wallAtStart: Int64 = 1_700_000_000_000
    static let start = Instant(nanoseconds: 1_000_000_000_000)

    private(set) var now = FakeNetwork.start
    /// What the wall's clock stepped.
    var wallStep: Int64 = 0
    /// Where those who connect come from.
    var origin = PeerAddress.v4(0x7f00_0001, port: 4_000)
    var pool = Pool.eager
    private(set) var held: [Job] = []
    var disk = FakeDisk()
    private(set) var links: [Link] = []
    private var generations: [UInt32] = []
    private var freeSlots: [Int] = []
    private var dirty: [ConnectionID] = []
    private var bySlot: [Int: Link] = [:]
    private(set) var bytesIn = 0
    private(set) var bytesOut = 0

    init(_ settings: Settings = Settings(), seed: UInt64 = 1, sink: @escaping @Sendable (borrowing ByteWriter) -> Void = { _ in }) {
        limits = settings.limits
        outbox = Outbox(arenaBytesRetained: 1 << 16)
        let log = Log(level: .debug, format: .json, sink: sink)
        server = Server(settings: settings, outbox: outbox, log: log, random: Randomness(seed: seed))
        observe()
    }

    private func observe() {
        server.observe(WallTime(milliseconds: FakeNetwork.wallAtStart + wallStep + (now - FakeNetwork.start).milliseconds), at: now)
    }

    // MARK: Connections

    func open() -> Link {
        let slot: Int
        if let free = freeSlots.popLast() {
            slot = free
        } else {
            slot = generations.count
            generations.append(0)
        }
        generations[slot] += 1
        let link = Link(id: ConnectionID(slot: UInt32(slot), generation: generations[slot]))
        links.append(link)
        bySlot[slot] = link
        outbox.open(link.id)
        server.opened(link.id, from: origin, at: now)
        pump()
        return link
    }

    func send(_ bytes: [UInt8], on link: Link, _ chunking: Chunking = .whole) {
        guard link.state == .open else { return }
        link.sent += chunking.split(bytes)
        pump()
    }

    /// As `send`, in the same turn as what is sent next.
    func post(_ bytes: [UInt8], on link: Link) { link.sent.append(bytes) }

    /// The peer goes away.
    func leave(_ link: Link, _ cause: CloseCause = .peerEnded) {
        guard link.state == .open else { return }
        link.state = .endedByPeer
        forget(link)
        server.closed(link.id, cause, at: now)
        pump()
    }

    private func forget(_ link: Link) {
        outbox.close(link.id)
        bySlot[link.id.slot] = nil
        freeSlots.append(link.id.slot)
        link.sent = []
    }

    // MARK: Turns

    /// Lets turns go by until the reactor would sleep.
    func pump() {
        repeat {
            for link in links where isReadable(link) {
                var bytes = link.sent.removeFirst()
                bytesIn += bytes.count
                var span = bytes.mutableSpan
                server.received(link.id, &span, at: now)
            }
        } while endTurn() || links.contains(where: isReadable)
    }

    private func isReadable(_ link: Link) -> Bool {
        guard link.state == .open, !link.sent.isEmpty else { return false }
        guard outbox.marks(link.id).isDisjoint(with: [.readingPaused, .closeAfterFlush, .abort]) else { return false }
        // As the reactor holds back whom its own input makes output.
        return !outbox.answersItself(link.id) || outbox.queuedBytes(link.id) <= limits.pauseReadingBytes
    }

    /// - Returns: whether the next turn comes at once.
    private func endTurn() -> Bool {
        observe()
        server.turnEnded(TurnReport(duration: .microseconds(10), bytesIn: 0, bytesOut: 0, refused: 0), at: now)
        var jobs: [Job] = []
        server.takeJobs(into: &jobs)
        var ended = flush()
        if outbox.hasRoomy {
            server.roomCame(at: now)
            ended += flush()
        }
        for link in ended { server.closed(link.id, .requested, at: now) }
        links.removeAll { $0.state != .open && $0.output.isEmpty }
        switch pool {
        case .eager: for job in jobs { server.finished(job.perform(limits: limits), at: now) }
        case .holding: held += jobs
        }
        var records: [RecordEntry] = []
        var inquiries: [Inquiry] = []
        server.takeRecords(into: &records)
        server.takeInquiries(into: &inquiries)
        let news = disk.take(records, inquiries)
        tell(news)
        return !jobs.isEmpty || !ended.isEmpty || !news.isEmpty || !server.context.jobs.isEmpty || outbox.hasRoomy || outbox.hasDirty
    }

    private func tell(_ news: [FakeDisk.News]) {
        for piece in news {
            switch piece {
            case .committed(let number): server.committed(upTo: number, at: now)
            case .failed(let records): server.recordsFailed(records, reason: "the disk is full", at: now)
            case .found(let finding): server.found(finding, at: now)
            }
        }
    }

    /// The disk writes what waits, or says that it cannot.
    func settleDisk(failing: Bool = false) {
        tell(failing ? disk.fail() : disk.commit())
        pump()
    }

    private func flush() -> [Link] {
        outbox.takeDirty(into: &dirty)
        var ended: [Link] = []
        for id in dirty {
            guard let link = bySlot[id.slot], link.id == id, link.state == .open else { continue }
            let marks = outbox.marks(id)
            if marks.contains(.abort) {
                end(link, &ended)
                continue
            }
            if !link.stalls { take(link) }
            outbox.settle(id)
            if marks.contains(.closeAfterFlush), outbox.queuedBytes(id) == 0 { end(link, &ended) }
        }
        outbox.endTurn()
        return ended
    }

    private func end(_ link: Link, _ ended: inout [Link]) {
        link.state = .endedByServer
        forget(link)
        ended.append(link)
    }

    private func take(_ link: Link) {
        var room = link.takes
        var slices = unsafe [iovec](repeating: iovec(), count: 16)
        while room > 0 {
            let taken = unsafe slices.withUnsafeMutableBufferPointer { slices -> Int in
                let count = unsafe outbox.gather(link.id, into: slices, bytesMax: room)
                var taken = 0
                for index in 0..<count {
                    let slice = unsafe slices[index]
                    guard let base = unsafe slice.iov_base else { continue }
                    let bytes = unsafe UnsafeRawBufferPointer(start: base, count: slice.iov_len)
                    unsafe link.output.append(contentsOf: bytes)
                    link.blocks += 1
                    taken += bytes.count
                }
                return taken
            }
            guard taken > 0 else { return }
            outbox.consume(link.id, taken)
            bytesOut += taken
            room -= taken
        }
    }

    /// The peer reads on.
    func read(_ link: Link) {
        link.stalls = false
        outbox.touch(link.id)
        pump()
    }

    // MARK: The pool

    /// Does the held job of that index and brings the result home.
    func perform(held index: Int) {
        let job = held.remove(at: index)
        server.finished(job.perform(limits: limits), at: now)
        pump()
    }

    // MARK: Time

    /// Lets time pass in which nothing is looked at.
    func skip(_ span: TimeSpan) {
        now = now + span
        wait(.zero)
    }

    /// Lets time pass, timers firing on the way.
    ///
    /// - Returns: false where a timer asked again and again for a time that had come: the reactor would not sleep any more.
    @discardableResult
    func wait(_ span: TimeSpan) -> Bool {
        let target = now + span
        var repetitions = 0
        while let deadline = server.nextDeadline, deadline <= target {
            repetitions = deadline <= now ? repetitions + 1 : 0
            if repetitions > 100 { return false }
            now = max(now, deadline)
            observe()
            server.timersDue(at: now)
            pump()
        }
        now = target
        observe()
        return true
    }
}
