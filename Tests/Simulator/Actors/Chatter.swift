// Chatter: OpenAI's client: asks for completions of a chat, whole and in pieces, and goes away when it has waited long enough, or before.
// Each completion carries a number of its own, which its result and its pieces carry as well. One that has begun ends once: with its
// result, with an error, or cut off.
import Base

final class Chatter {
    unowned let world: Simulation
    private let name: String
    private let caller: Caller
    private var streams: [ChatStream] = []
    private var lastStream = 0
    private var isDone = false
    /// Completions that it has gone away from, and over which connection.
    private var abandoned: [(nonce: Int, socket: Socket)] = []

    init(_ world: Simulation, _ name: String) {
        self.world = world
        self.name = name
        caller = Caller(world, name)
    }

    func enter() { next() }
    func finish() { isDone = true }

    func leave() {
        caller.drop()
        for stream in streams { stream.drop() }
    }

    var isIdle: Bool { caller.openRequests == 0 && streams.allSatisfy(\.isOver) }

    /// Whether the server that it went away from has no reason to have this done. One that began since may have it from the disk, and where
    /// a cable was pulled nobody is told.
    func hasAbandoned(_ nonce: Int) -> Bool {
        abandoned.contains { $0.nonce == nonce && $0.socket.life == world.life && !$0.socket.isSilent }
    }

    func goneAway(from nonce: Int, over socket: Socket) { abandoned.append((nonce, socket)) }

    private func next() {
        world.after(world.chance.span(world.chance.pick([50...600, 200...5_000]))) { [self] in
            guard !isDone else { return }
            streams.removeAll(where: \.isOver)
            switch world.chance.number(0...9) {
            case 0...3: if caller.openRequests == 0 { askForWhole() }
            case 4...8: if streams.count < 4 { askForPieces() }
            case _: if world.chance.once(in: 3) { caller.drop() }
            }
            next()
        }
    }

    private func body(_ nonce: Int, isStreamed: Bool) -> String {
        var body = "{\"model\":\"m\",\"nonce\":\(nonce),\"messages\":[{\"role\":\"user\",\"content\":\""
        body += String(repeating: "c", count: world.chance.once(in: 8) ? world.chance.number(100...3_000) : 3)
        // Where it takes long, it is who waits that ends it.
        body += "\"}],\"group\":\"\(world.chance.pick(world.fate.groups))\",\"timeout\":\(world.chance.pick([3_000, 20_000, 600_000]))"
        if isStreamed { body += ",\"stream\":true" } else { body += ",\"retries\":\(world.chance.number(0...2))" }
        return body + "}"
    }

    /// How long it waits for anything.
    private var patience: TimeSpan { world.chance.span(world.chance.pick([50...2_000, 5_000...20_000, 5_000...20_000])) }

    // MARK: Whole

    private func askForWhole() {
        let nonce = world.nextNonce()
        var isOpen = true
        world.tally[.completions] += 1
        caller.call("POST", "/v1/chat/completions", body: body(nonce, isStreamed: false)) { [self] reply, life in
            guard isOpen else { return world.fail("completion", "\(name) is answered twice for \(nonce)") }
            isOpen = false
            guard let reply else {
                world.tally[.completionsCut] += 1
                return
            }
            do {
                guard reply.status == 200 else { return try Chatter.refused(world, reply) }
                guard let id = reply.field("X-Request-ID") else { throw Malformed("a completion without a name") }
                try Chatter.completed(world, id, nonce, reply.bodyText, life: life)
            } catch {
                world.fail("completion", "\(name): \(error)")
            }
        }
        world.after(patience) { [self] in if isOpen { caller.drop() } }
    }

    /// A result has come.
    static func completed(_ world: Simulation, _ id: String, _ nonce: Int, _ result: String, life: Int) throws {
        guard try JSON(result)["nonce"]?.integer == nonce else { throw Malformed("\(nonce) was asked for, and given is \(result)") }
        world.tally[.completionsEnded] += 1
        world.ledger.answered(id, nonce: nonce, Ledger.Ending(state: "completed", content: result), life: life)
    }

    /// An error in OpenAI's shape has come.
    static func refused(_ world: Simulation, _ reply: Reply) throws {
        guard [404, 409, 429, 500, 503, 504].contains(reply.status), let error = try JSON(reply.body)["error"],
            error["message"]?.text != nil, error["type"]?.text != nil
        else { throw Malformed("\(reply.status) \(reply.bodyText)") }
        world.tally[.completionsFailed] += 1
    }

    // MARK: In pieces

    private func askForPieces() {
        let nonce = world.nextNonce()
        lastStream += 1
        world.tally[.completions] += 1
        let stream = ChatStream(self, "\(name).\(lastStream)", nonce, body(nonce, isStreamed: true))
        streams.append(stream)
        stream.begin()
        world.after(patience) { stream.drop() }
    }
}

/// One completion in pieces, over a connection of its own.
final class ChatStream: Guest {
    private enum Phase {
        case waiting
        /// Its head has come; of which task, and the number of the last piece.
        case streaming(task: String, pieces: Int)
        /// What ends it has come, and after it only the end of the body may.
        case ended
        case over
    }

    private unowned let chatter: Chatter
    private unowned let world: Simulation
    private let name: String
    private let nonce: Int
    private let body: String
    private var socket: Socket?
    private var phase = Phase.waiting
    private var unread = Unread()
    private var content = Unread()
    private var refusal: Reply?

    init(_ chatter: Chatter, _ name: String, _ nonce: Int, _ body: String) {
        self.chatter = chatter
        world = chatter.world
        self.name = name
        self.nonce = nonce
        self.body = body
    }

    var isOver: Bool { if case .over = phase { true } else { false } }

    func begin() { socket = world.connect(self) }

    /// Goes away, wherever it stands.
    func drop() {
        guard !isOver, let socket else { return }
        socket.close(world.chance.once(in: 3) ? .reset : .inOrder)
        cut(socket)
    }

    private func cut(_ socket: Socket) {
        world.trace.note(world.now, name) { "is cut" }
        world.tally[.completionsCut] += 1
        chatter.goneAway(from: nonce, over: socket)
        phase = .over
        self.socket = nil
    }

    // MARK: Guest

    func opened(_ socket: Socket) {
        guard socket === self.socket else { return }
        world.trace.note(world.now, name) { "> POST /v1/chat/completions \(self.body)" }
        socket.send(Speech.request("POST", "/v1/chat/completions", body: body))
    }

    func heard(_ socket: Socket, _ bytes: [UInt8]) {
        guard socket === self.socket else { return }
        unread.append(bytes)
        do {
            try hear(socket)
        } catch {
            world.fail("completion", "\(name): \(error)")
        }
    }

    func lost(_ socket: Socket) {
        guard socket === self.socket else { return }
        cut(socket)
    }

    // MARK: What it hears

    private func hear(_ socket: Socket) throws {
        if case .waiting = phase {
            if refusal == nil, let head = try unread.takeHead(), head.status >= 200 {
                guard head.status == 200 else {
                    refusal = head
                    return try hearRefusal(socket)
                }
                guard head.field("Content-Type") == "text/event-stream", head.field("Transfer-Encoding") == "chunked",
                    let task = head.field("X-Request-ID")
                else { throw Malformed("no stream: \(head.fields)") }
                world.trace.note(world.now, name) { "its task is \(task)" }
                    phase = .streaming(task: task, pieces: 0)
            } else {
                return try hearRefusal(socket)
            }
        }
        while !isOver, let chunk = try unread.takeChunk() {
            guard !chunk.isEmpty else { return try bodyEnded(socket) }
            content.append(chunk)
            while let fields = try content.takeEvent() { for field in fields { try take(field, life: socket.life) } }
        }
    }

    private func hearRefusal(_ socket: Socket) throws {
        guard var reply = refusal else { return }
        guard let length = reply.field("Content-Length").flatMap({ Int($0) }) else { throw Malformed("no length") }
        guard unread.count >= length else { return }
        reply.body = unread.take(length)
        world.trace.note(world.now, name) { "< \(reply.status) \(reply.bodyText)" }
        try Chatter.refused(world, reply)
        end(socket)
    }

    private func take(_ field: (name: String, value: String), life: Int) throws {
        world.trace.note(world.now, name) { "< \(field.name): \(field.value)" }
        // What came together with the piece at which it went away.
        guard !isOver else { return }
        guard field.name == "data" else { throw Malformed("a field \(field.name) in a completion") }
        guard case .streaming(let task, let pieces) = phase else { throw Malformed("behind its end comes \(field.value)") }
        guard field.value != "[DONE]" else {
            world.tally[.completionsEnded] += 1
            world.ledger.answered(task, nonce: nonce, Ledger.Ending(state: "completed", content: nil), life: life)
            phase = .ended
            return
        }
        let value = try JSON(field.value)
        if let error = value["error"] {
            guard error["message"]?.text != nil else { throw Malformed("an error without words: \(field.value)") }
            world.tally[.completionsFailed] += 1
            phase = .ended
            return
        }
        guard value["nonce"]?.integer == nonce else { throw Malformed("\(nonce) was asked for, and given is \(field.value)") }
        if let piece = value["piece"]?.integer {
            // A worker that lost its connection may have said some in vain.
            guard piece > pieces else { throw Malformed("piece \(piece) comes behind \(pieces)") }
            world.tally[.pieces] += 1
            phase = .streaming(task: task, pieces: piece)
            if world.chance.once(in: 12) { drop() }
        } else {
            guard pieces == 0 else { throw Malformed("behind \(pieces) pieces comes the whole") }
            world.ledger.answered(task, nonce: nonce, Ledger.Ending(state: "completed", content: field.value), life: life)
            phase = .streaming(task: task, pieces: .max)
        }
    }

    /// The body is over, in order.
    private func bodyEnded(_ socket: Socket) throws {
        guard case .ended = phase else { throw Malformed("it ends without a word") }
        guard unread.count == 0, content.count == 0 else { throw Malformed("something comes behind its end") }
        end(socket)
    }

    private func end(_ socket: Socket) {
        phase = .over
        self.socket = nil
        socket.close()
    }
}
