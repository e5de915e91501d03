// Rig: a loop that is turned by hand, a host that remembers what it was told, and the other end of real sockets. One thread: a test
// waits in the loop's own sleep or in poll, for events, and for nothing else.
import Base
import CLinux
import Glibc
import Testing

@testable import Reactor

final class RecordingHost: LoopHost {
    enum Note: Equatable {
        case opened(ConnectionID)
        case received(ConnectionID, Int)
        case peerEnded(ConnectionID)
        case broken(ConnectionID, Int32)
        case requested(ConnectionID)
        case completions
        case timers
        case signalled(Int32)
        case turnedAway(Rejection)
    }

    var notes: [Note] = []
    var peers: [ConnectionID: PeerAddress] = [:]
    var input: [ConnectionID: [UInt8]] = [:]
    var turnsBegun = 0
    var attended: [Int32] = []
    var toldOfLastTurn = TurnFigures()
    var nextDeadline: Instant?
    var onOpened: (ConnectionID) -> Void = { _ in }
    var onReceived: (ConnectionID, [UInt8]) -> Void = { _, _ in }
    var onClosed: (ConnectionID) -> Void = { _ in }
    var onCompletions: () -> Void = {}
    var onTimers: (Instant) -> Void = { _ in }
    var onTurnEnded: () -> Void = {}
    var onRoom: () -> Void = {}

    func opened(_ id: ConnectionID, from peer: PeerAddress, at now: Instant) {
        notes.append(.opened(id))
        peers[id] = peer
        onOpened(id)
    }

    func received(_ id: ConnectionID, _ bytes: inout MutableSpan<UInt8>, at now: Instant) {
        let copy = unsafe bytes.span.withUnsafeBufferPointer { unsafe Array($0) }
        notes.append(.received(id, copy.count))
        input[id, default: []] += copy
        onReceived(id, copy)
    }

    func closed(_ id: ConnectionID, _ cause: CloseCause, at now: Instant) {
        switch cause {
        case .peerEnded: notes.append(.peerEnded(id))
        case .broken(let code): notes.append(.broken(id, code))
        case .requested: notes.append(.requested(id))
        }
        onClosed(id)
    }

    func completionsArrived(at now: Instant) {
        notes.append(.completions)
        onCompletions()
    }

    func timersDue(at now: Instant) {
        notes.append(.timers)
        nextDeadline = nil
        onTimers(now)
    }

    func signalled(_ signal: Int32, at now: Instant) { notes.append(.signalled(signal)) }

    func turnedAway(_ peer: PeerAddress, _ rejection: Rejection, at now: Instant) { notes.append(.turnedAway(rejection)) }

    func turnBegan(at now: Instant) { turnsBegun += 1 }

    func attended(_ raw: Int32, at now: Instant) { attended.append(raw) }

    func turnEnded(at now: Instant, lastTurn: TurnFigures) {
        toldOfLastTurn = lastTurn
        onTurnEnded()
    }

    func roomCame(at now: Instant) { onRoom() }

    /// What was told of one connection, without the reads.
    func life(_ id: ConnectionID) -> [Note] {
        notes.filter { [.opened(id), .peerEnded(id), .requested(id)].contains($0) || $0.isBroken(id) }
    }
}

extension RecordingHost.Note {
    func isBroken(_ id: ConnectionID) -> Bool {
        if case .broken(id, _) = self { true } else { false }
    }
}

struct Rig {
    let outbox = Outbox()
    let host = RecordingHost()
    let loop: EventLoop
    let address: SocketAddress
    /// What all turns did together.
    let totals = Totals()

    final class Totals {
        var figures = TurnFigures()
        /// Peers that a test does not name again stay connected all the same.
        var peers: [Peer] = []
    }

    init(
        _ address: SocketAddress = .v4(0x7f00_0001, port: 0), tls: TLSContext? = nil,
        _ adjust: (inout EventLoop.Settings) -> Void = { _ in }
    ) throws {
        var settings = EventLoop.Settings()
        adjust(&settings)
        loop = try EventLoop(outbox: outbox, settings: settings)
        loop.tls = tls
        self.address = try loop.listen(on: address, isSecured: tls != nil)
    }

    /// Turns the loop until `condition` holds; gives up after a minute.
    func turn(until condition: () -> Bool, _ place: SourceLocation = #_sourceLocation) throws {
        let end = SystemClock.now() + .seconds(60)
        while !condition() {
            guard SystemClock.now() < end else {
                Issue.record("what was waited for never came", sourceLocation: place)
                throw Errno(ETIMEDOUT, in: "turn")
            }
            try turn(waitingAtMost: .seconds(10))
        }
    }

    /// Turns the loop once, without sleep.
    func turn() throws { try turn(waitingAtMost: .zero) }

    private func turn(waitingAtMost limit: TimeSpan) throws {
        try loop.turn(host, waitingAtMost: limit)
        totals.figures.reads += last.reads
        totals.figures.writes += last.writes
        totals.figures.refused += last.refused
        totals.figures.descriptorShortages += last.descriptorShortages
        totals.figures.interestChanges += last.interestChanges
        totals.figures.accepted += last.accepted
        totals.figures.handshakes += last.handshakes
        totals.figures.handshakesFailed += last.handshakesFailed
    }

    /// What the last turn did.
    var last: TurnFigures { loop.lastTurn }

    /// A peer, and the identity that the loop gave it.
    func connect() throws -> (Peer, ConnectionID) {
        let peer = try Peer(address)
        totals.peers.append(peer)
        let before = host.notes.count
        try turn(until: { host.notes.count > before })
        guard case .opened(let id) = host.notes[before] else { throw Errno(EPROTO, in: "connect") }
        return (peer, id)
    }

    func write(_ bytes: [UInt8], to id: ConnectionID) {
        outbox.write(to: id) { $0.append(bytes.span) }
    }

    func echo() {
        let outbox = outbox
        host.onReceived = { id, bytes in outbox.write(to: id) { $0.append(bytes.span) } }
    }

    /// Takes `count` bytes out of the peer's end, turning the loop whenever nothing is there.
    func read(_ count: Int, from peer: Peer, _ place: SourceLocation = #_sourceLocation) throws -> [UInt8] {
        var bytes: [UInt8] = []
        try turn(
            until: {
                while bytes.count < count, case .bytes(let more) = peer.receive(max: count - bytes.count), !more.isEmpty { bytes += more }
                return bytes.count >= count
            }, place)
        return bytes
    }
}

/// The other end of a connection.
final class Peer {
    enum Received: Equatable {
        case bytes([UInt8])
        case wouldBlock
        case failed(Int32)
    }

    /// −1 once it is closed.
    private(set) var raw: Int32

    init(_ address: SocketAddress) throws {
        let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        let made = try Syscall.value("socket") { socket(address.family, type, 0) }
        raw = made
        _ = try Syscall.value("connect") { unsafe address.withKernelForm { unsafe Glibc.connect(made, $0, $1) } }
        _ = fcntl(made, F_SETFL, O_NONBLOCK)
    }

    deinit { close() }

    /// Sends what the kernel takes now.
    @discardableResult
    func send(_ bytes: [UInt8]) -> Int {
        unsafe bytes.withUnsafeBytes { max(0, unsafe Glibc.send(raw, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))) }
    }

    func receive(max wanted: Int = .max) -> Received {
        let count = min(wanted, 256 << 10)
        var buffer = [UInt8](repeating: 0, count: count)
        let got = unsafe buffer.withUnsafeMutableBytes { unsafe recv(raw, $0.baseAddress, $0.count, 0) }
        if got < 0 { return errno == EAGAIN ? .wouldBlock : .failed(errno) }
        return .bytes(Array(buffer[..<got]))
    }

    /// Waits until something is there: bytes, the end, or an error.
    func receiveWaiting() -> Received {
        var entry = pollfd(fd: raw, events: Int16(POLLIN), revents: 0)
        _ = unsafe poll(&entry, 1, 10_000)
        return receive()
    }

    /// Everything until the end, waiting for it.
    func awaitEnd() -> (bytes: [UInt8], last: Received) {
        var bytes: [UInt8] = []
        while true {
            let received = receiveWaiting()
            guard case .bytes(let more) = received, !more.isEmpty else { return (bytes, received) }
            bytes += more
        }
    }

    func shutdownOutput() { _ = shutdown(raw, Int32(SHUT_WR)) }

    func close() {
        if raw >= 0 { FileDescriptor.close(raw) }
        raw = -1
    }

    /// Closes with a reset instead of an end.
    func reset() {
        var option = linger(l_onoff: 1, l_linger: 0)
        _ = unsafe setsockopt(raw, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
        close()
    }
}

/// Bytes that differ from their neighbours and from place to place: they repeat after a prime number of them.
func pattern(_ count: Int, _ seed: Int = 0) -> [UInt8] {
    let period = (0..<min(count, 65_521)).map { UInt8(truncatingIfNeeded: ($0 &* 31) ^ ($0 >> 8) ^ seed) }
    var bytes = period
    while bytes.count < count { bytes += period.prefix(count - bytes.count) }
    return bytes
}

/// A path for a unix socket that no other test uses.
func socketPath(_ name: String) -> String { "/tmp/signalbox-\(getpid())-\(name).sock" }
