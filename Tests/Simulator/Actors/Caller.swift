// Caller: a client's end of HTTP: keeps its connection, sends requests one behind the other, also before the first is answered, and gives
// each its response, in order. A response that nobody asked for is a fault; a connection that ends answers what is open with nothing.
import Base

final class Caller: Guest {
    typealias Answer = (_ reply: Reply?, _ life: Int) -> Void

    unowned let world: Simulation
    let name: String
    private var socket: Socket?
    private var isOpen = false
    private var unread = Unread()
    private var head: Reply?
    private var waiting: [(request: String, answer: Answer)] = []
    private var unsent: [UInt8] = []

    init(_ world: Simulation, _ name: String) {
        self.world = world
        self.name = name
    }

    /// Requests that are not answered.
    var openRequests: Int { waiting.count }

    func call(
        _ method: String, _ target: String, _ fields: [String] = [], body: String = "", _ answer: @escaping Answer
    ) {
        let bytes = Speech.request(method, target, fields, body: body)
        world.trace.note(world.now, name) { "> \(method) \(target) \(fields.joined(separator: ", ")) \(body)" }
        waiting.append(("\(method) \(target)", answer))
        world.tally[.requests] += 1
        if let socket, isOpen { return socket.send(bytes) }
        unsent += bytes
        if socket == nil {
            unread = Unread()
            (head, isOpen) = (nil, false)
            socket = world.connect(self)
        }
    }

    /// Goes away without waiting for what is open.
    func drop() {
        let socket = socket
        self.socket = nil
        socket?.close(world.chance.once(in: 3) ? .reset : .inOrder)
        giveUp()
    }

    private func giveUp() {
        let life = socket?.life ?? 0
        (socket, isOpen, unsent) = (nil, false, [])
        let open = waiting
        waiting = []
        for request in open { request.answer(nil, life) }
    }

    // MARK: Guest

    func opened(_ socket: Socket) {
        guard socket === self.socket else { return }
        isOpen = true
        socket.send(unsent)
        unsent = []
    }

    func heard(_ socket: Socket, _ bytes: [UInt8]) {
        guard socket === self.socket else { return }
        unread.append(bytes)
        do {
            while self.socket === socket, let reply = try takeReply() {
                if reply.status < 200 { continue }
                guard !waiting.isEmpty else { throw Malformed("a response that nobody asked for: \(reply.status) \(reply.bodyText)") }
                let (request, answer) = waiting.removeFirst()
                world.trace.note(world.now, name) { "< \(reply.status) \(reply.bodyText)" }
                world.tally[.replies] += 1
                let closes = reply.field("Connection")?.lowercased() == "close"
                if !(200...599).contains(reply.status) || reply.status == 500 && reply.bodyText.isEmpty {
                    throw Malformed("\(reply.status) to \(request)")
                }
                answer(reply, socket.life)
                if closes, self.socket === socket {
                    socket.close()
                    giveUp()
                }
            }
        } catch {
            world.fail("wire", "\(name): \(error)")
        }
    }

    private func takeReply() throws -> Reply? {
        if head == nil { head = try unread.takeHead() }
        guard var reply = head else { return nil }
        if reply.status >= 200, reply.status != 204 {
            guard let length = reply.field("Content-Length").flatMap({ Int($0) }) else { throw Malformed("no length") }
            guard unread.count >= length else { return nil }
            reply.body = unread.take(length)
        }
        head = nil
        return reply
    }

    func lost(_ socket: Socket) {
        guard socket === self.socket else { return }
        world.trace.note(world.now, name) { "lost its connection, \(self.waiting.count) requests open" }
        giveUp()
    }
}
