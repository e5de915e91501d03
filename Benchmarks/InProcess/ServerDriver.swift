// ServerDriver: a `Server` without sockets: connections are opened by number, bytes go in, what comes out is taken and forgotten, or kept
// for one connection. A disk that takes everything at once, and a clock that goes on by ten microseconds a turn.
import Base
import Domain
import Gateway
import Glibc

// @safe: the slices are filled and forgotten within one call.
@safe
final class ServerDriver {
    let outbox: Outbox
    let server: Server
    private(set) var now = Instant(nanoseconds: 1_000_000_000)
    private let limits: Limits
    private var dirty: [ConnectionID] = []
    private var records: [RecordEntry] = []
    private var jobs: [Job] = []
    private var slices = unsafe [iovec](repeating: iovec(), count: 64)
    /// Bytes that came out.
    private(set) var output = 0
    /// What came out for the connection that is listened to.
    var answer: [UInt8] = []
    var heardSlot: UInt32?

    init(_ settings: Settings) {
        limits = settings.limits
        outbox = Outbox(connections: limits.connectionsMax)
        server = Server(
            settings: settings, outbox: outbox, log: Log(level: .error, format: .text) { _ in }, random: Randomness(seed: 1))
        server.observe(WallTime(milliseconds: 1_700_000_000_000), at: now)
    }

    func id(_ slot: Int) -> ConnectionID { ConnectionID(slot: UInt32(slot), generation: 1) }

    func connect(_ slot: Int) {
        pass()
        outbox.open(id(slot))
        server.opened(id(slot), from: .v4(0x7f00_0001, port: UInt16(truncatingIfNeeded: slot)), at: now)
    }

    func disconnect(_ slot: Int) {
        server.closed(id(slot), .peerEnded, at: now)
        outbox.close(id(slot))
    }

    /// A turn: bytes come, and everything that follows from them leaves.
    func receive(_ slot: Int, _ bytes: inout [UInt8]) {
        pass()
        var span = bytes.mutableSpan
        server.received(id(slot), &span, at: now)
        endTurn(bytes.count)
    }

    func receive(_ slot: Int, _ bytes: [UInt8]) {
        var bytes = bytes
        receive(slot, &bytes)
    }

    private func pass() { now = now + .microseconds(10) }

    private func endTurn(_ bytesIn: Int) {
        if let deadline = server.nextDeadline, deadline <= now { server.timersDue(at: now) }
        performJobs()
        server.turnEnded(TurnReport(duration: .microseconds(1), bytesIn: bytesIn, bytesOut: 0, refused: 0), at: now)
        commit()
        drain()
    }

    /// What the pool's threads would do.
    private func performJobs() {
        server.takeJobs(into: &jobs)
        for job in jobs { server.finished(job.perform(limits: limits), at: now) }
    }

    /// A disk that takes everything at once.
    private func commit() {
        server.takeRecords(into: &records)
        if let last = records.last { server.committed(upTo: last.number, at: now) }
    }

    private func drain() {
        outbox.takeDirty(into: &dirty)
        for id in dirty {
            while outbox.queuedBytes(id) > 0 {
                let waiting = outbox.queuedBytes(id)
                unsafe slices.withUnsafeMutableBufferPointer { slices in
                    let count = unsafe outbox.gather(id, into: slices, bytesMax: waiting)
                    guard let heardSlot, id.slot == heardSlot else { return }
                    for index in 0..<count {
                        let slice = unsafe slices[index]
                        unsafe answer.append(contentsOf: UnsafeRawBufferPointer(start: slice.iov_base, count: slice.iov_len))
                    }
                }
                output += waiting
                outbox.consume(id, waiting)
            }
        }
        outbox.endTurn()
    }

    // MARK: what clients say

    static func upgrade(_ target: String, _ fields: String = "") -> [UInt8] {
        let head = "GET \(target) HTTP/1.1\r\nHost: localhost:3000\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        return Array((head + "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\(fields)\r\n").utf8)
    }

    static func post(_ target: String, _ body: String) -> [UInt8] {
        let head = "POST \(target) HTTP/1.1\r\nHost: localhost:3000\r\nContent-Type: application/json\r\n"
        return Array((head + "Content-Length: \(body.utf8.count)\r\n\r\n" + body).utf8)
    }
}
