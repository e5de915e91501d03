// Talker: a client's end of a WebSocket, for every dialect that is spoken on one: shakes hands, cuts and masks what it sends, holds each
// frame against the rules, answers pings, and hands on the messages. What they mean is its heirs' affair.
import Base

class Talker: Guest {
    unowned let world: Simulation
    let name: String
    private(set) var socket: Socket?
    private var unread = Unread()
    private var isJoined = false
    private var hasClosed = false
    /// Whether it hears and answers nothing, and yet is there.
    private var isMute = false
    /// Whether it wants no connection any more.
    private(set) var hasLeft = false

    init(_ world: Simulation, _ name: String) {
        self.world = world
        self.name = name
    }

    /// Which life of the server it speaks to.
    var life: Int { socket?.life ?? 0 }
    var isTalking: Bool { socket != nil && isJoined && !hasClosed }

    // MARK: For its heirs

    /// Where it connects to now.
    var target: String { "/" }
    /// The socket is open; nothing was said yet.
    func joined() {}
    func told(_ text: String) throws {}
    /// The socket is gone.
    func parted(_ code: Int?) {}
    /// The handshake was answered by something else.
    func refused(_ status: Int) {}

    // MARK: What it does

    func connect() {
        guard socket == nil, !hasLeft else { return }
        unread = Unread()
        (isJoined, hasClosed, closeCode) = (false, false, nil)
        socket = world.connect(self)
    }

    /// Connects again after a while.
    func connectLater(_ milliseconds: ClosedRange<Int>) {
        world.after(world.chance.span(milliseconds)) { [self] in connect() }
    }

    func say(_ text: String) {
        guard let socket, isTalking else { return }
        world.trace.note(world.now, name) { "> \(text)" }
        let bytes = Array(text.utf8)
        let key = UInt32(truncatingIfNeeded: world.chance.next())
        if bytes.count > 2, world.fate.isCutting, world.chance.once(in: 12) {
            let middle = world.chance.number(1...bytes.count - 1)
            socket.send(Speech.frame(1, bytes[..<middle], isFinal: false, key: key))
            socket.send(Speech.frame(0, bytes[middle...], key: key &+ 1))
        } else {
            socket.send(Speech.frame(1, bytes, key: key))
        }
    }

    /// Goes, now and then without a word.
    func drop(_ end: Socket.End? = nil) {
        guard let socket else { return }
        world.trace.note(world.now, name) { "drops its socket" }
        self.socket = nil
        if let end {
            socket.close(end)
        } else if isTalking, world.chance.once(in: 2) {
            socket.send(Speech.frame(8, [0x03, 0xe8], key: 7))
            socket.close()
        } else {
            socket.close(world.chance.once(in: 3) ? .reset : .inOrder)
        }
    }

    func leave() {
        hasLeft = true
        drop()
    }

    /// Hears nothing for a while.
    func stall(_ span: TimeSpan) { socket?.stall(span) }

    // MARK: Guest

    private var closeCode: Int?

    func opened(_ socket: Socket) {
        if socket === self.socket { socket.send(Speech.handshake(target)) }
    }

    func heard(_ socket: Socket, _ bytes: [UInt8]) {
        guard socket === self.socket else { return }
        // Where there is little room, some read slowly of their own accord.
        if world.fate.isTight, world.chance.once(in: 25) { socket.stall(world.chance.span(300...15_000)) }
        unread.append(bytes)
        do {
            if !isJoined, try !join(socket) { return }
            while self.socket === socket, let (opcode, payload) = try unread.takeFrame() { try take(opcode, payload, socket) }
        } catch {
            world.fail("wire", "\(name): \(error)")
        }
    }

    private func join(_ socket: Socket) throws -> Bool {
        guard let head = try unread.takeHead() else { return false }
        guard head.status == 101 else {
            self.socket = nil
            socket.close()
            refused(head.status)
            return false
        }
        guard head.field("Sec-WebSocket-Accept") == Speech.acceptance else { throw Malformed("a wrong accept key") }
        isJoined = true
        joined()
        return self.socket === socket
    }

    private func take(_ opcode: UInt8, _ payload: [UInt8], _ socket: Socket) throws {
        if hasClosed { throw Malformed("a frame behind the close frame") }
        switch opcode {
        case 1:
            guard let text = String(validating: payload, as: UTF8.self) else { throw Malformed("a text that is no UTF-8") }
            world.trace.note(world.now, name) { "< \(text)" }
            world.tally[.messages] += 1
            try told(text)
        case 8:
            guard payload.count != 1 else { throw Malformed("a close frame of one byte") }
            hasClosed = true
            closeCode = payload.count > 1 ? Int(payload[0]) << 8 | Int(payload[1]) : nil
            world.trace.note(world.now, name) { "< close \(self.closeCode ?? 0) \(String(decoding: payload.dropFirst(2), as: UTF8.self))" }
            socket.send(Speech.frame(8, payload.prefix(2), key: 9))
        case 9: socket.send(Speech.frame(10, payload, key: 11))
        case 10: break
        case _: throw Malformed("a binary message")
        }
    }

    func lost(_ socket: Socket) {
        guard socket === self.socket else { return }
        self.socket = nil
        world.trace.note(world.now, name) { "lost its socket" }
        parted(closeCode)
    }
}
