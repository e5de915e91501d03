// SocketClient: somebody who came by Engine.IO: a session, whatever carries it at the moment, and where its client stands in Socket.IO.
// What is done with it is SocketService's.
//
// Cost: some 900 bytes for a client that is let in and idle, some 1,400 for one that listens to everything, its names in two tables and
// its place in the hub included; its WebSocket comes on top.
internal import Base
internal import Domain
internal import SocketIO

/// A session's slot and generation.
struct EngineID: SlotKey {
    let raw: UInt64

    init(slot: UInt32, generation: UInt32) { raw = UInt64(generation) << 32 | UInt64(slot) }

    init(raw: UInt64) { self.raw = raw }

    var slot: Int { Int(raw & 0xffff_ffff) }
    var generation: UInt32 { UInt32(raw >> 32) }
}

/// A name of 128 random bits, which nobody can guess: of a session, of a client in its namespace, of a client's right to come back.
struct SocketName: Hashable {
    let bits: UInt128

    init(drawnFrom random: inout Randomness) { bits = UInt128(random.next()) << 64 | UInt128(random.next()) }

    /// Reads a name; nil where it is none that this server gives.
    init?(_ text: Span<UInt8>) {
        guard text.count == SocketName.bytes else { return nil }
        var bits: UInt128 = 0
        for index in text.indices {
            let nibble: UInt8
            switch text[index] {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): nibble = text[index] - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): nibble = text[index] - UInt8(ascii: "a") + 10
            default: return nil
            }
            bits = bits << 4 | UInt128(nibble)
        }
        self.bits = bits
    }

    /// The length of its text.
    static let bytes = 32

    func write(to writer: inout ByteWriter) {
        writer.append(hex: UInt64(truncatingIfNeeded: bits >> 64), digits: 16)
        writer.append(hex: UInt64(truncatingIfNeeded: bits), digits: 16)
    }

    var text: SharedBytes {
        var writer = ByteWriter(capacity: SocketName.bytes)
        write(to: &writer)
        return writer.take()
    }
}

/// What a path of Engine.IO leads to.
enum SocketDoor {
    /// `/socket.io/`
    case packets
    /// `/engine.io/`: every message comes back. Only in the test mode.
    case echo
}

final class SocketClient {
    let door: SocketDoor
    let name: SocketName
    let peer: PeerAddress
    /// Who spoke in the handshake; a token of its CONNECT goes before.
    let identity: Authentication.Identity
    /// Whether it would take an event's offset for an argument.
    let omitsOffset: Bool

    var id = EngineID(raw: 0)
    var session: EngineSession
    /// What carries it, as it was last noticed.
    var transport: EngineTransport
    /// The request that waits for what comes next.
    var poll: ExchangeID?
    /// The socket that carries it, or that it may move to.
    var webSocket: ConnectionID?
    var timer: TimerTicket?
    var armedUntil = Instant(nanoseconds: .max)
    /// Whether it stands among those whose polls are answered at the turn's end.
    var isTouched = false

    var assembler: PacketAssembler
    /// What it holds, as it was last counted.
    var gatheredBytes = 0
    var namespaces: NamespaceTable
    /// Where it stands in the fleet's namespace; nil outside of it.
    var watcher: MonitorWatcher?
    var pace = Pace()

    init(
        door: SocketDoor, name: SocketName, peer: PeerAddress, identity: Authentication.Identity, omitsOffset: Bool,
        transport: EngineTransport, session: EngineSession, assembler: PacketAssembler, namespaces: NamespaceTable
    ) {
        self.door = door
        self.name = name
        self.peer = peer
        self.identity = identity
        self.omitsOffset = omitsOffset
        self.transport = transport
        self.session = session
        self.assembler = assembler
        self.namespaces = namespaces
    }

    /// When something is to be done about it though nothing comes; nil once it has ended.
    var deadline: Instant? {
        guard var deadline = session.deadline, session.isOpen else { return session.deadline }
        if let other = assembler.deadline { deadline = min(deadline, other) }
        if door == .packets, let other = namespaces.deadline { deadline = min(deadline, other) }
        return deadline
    }
}
