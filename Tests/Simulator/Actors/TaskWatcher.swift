// TaskWatcher: watches one task after the other to its end, each by a socket of its own (document G) or by server-sent events; comes back
// with the number that it saw last, and is then told all that it missed, or how the task stands.
import Base

/// What both kinds have in common: which task, and how far.
final class TaskView {
    unowned let world: Simulation
    let name: String
    let task: String
    var thread: Thread
    private(set) var hasEnded = false
    /// With which number it came back this time.
    var claimed: Int?

    init(_ world: Simulation, _ name: String, _ task: String) {
        self.world = world
        self.name = name
        self.task = task
        thread = Thread(.task, task, name)
    }

    /// The number to come back with; now and then it forgets.
    func claim() -> Int? {
        thread.begin()
        claimed = world.chance.once(in: 8) ? nil : thread.last
        if claimed != nil { world.tally[.returns] += 1 }
        return claimed
    }

    /// Takes a message about the task.
    func take(_ text: String, life: Int) throws {
        let message = try JSON(text)
        guard let type = message["type"]?.text else { throw Malformed("no type: \(text)") }
        switch type {
        case "connection_established", "heartbeat", "pong", "status_response", "task_chunk": return
        case "gap":
            guard let first = message["first_seq"]?.integer, let last = message["last_seq"]?.integer else { throw Malformed(text) }
            return thread.gap(from: first, through: last, world.chronicle)
        case _: break
        }
        guard message["task_id"]?.text == task, let sequence = message["seq"]?.integer else { throw Malformed("not its task: \(text)") }
        if type == "current_status" { return thread.stands(at: sequence, claimed: claimed) }
        if hasEnded { return world.fail("watcher", "\(name) is told behind the end: \(text)") }
        let closes = ["task_completed", "task_error", "task_cancelled"].contains(type)
        world.chronicle.told(.task, task, sequence, type, text, to: name, life: life)
        thread.heard(sequence, closes: closes, world.chronicle)
        if type == "task_completed" {
            hasEnded = true
            world.tally[.endsHeard] += 1
        }
    }

    /// There is nothing more to be heard.
    func close() { hasEnded = true }
}

/// By a socket.
final class SocketWatcher: Talker {
    private let view: TaskView

    init(_ world: Simulation, _ name: String, _ task: String) {
        view = TaskView(world, name, task)
        super.init(world, name)
    }

    var isDone: Bool { view.hasEnded || hasLeft }

    override var target: String {
        let claimed = view.claim()
        return "/api/gpu/tasks/\(view.task)/ws" + (claimed.map { "?last_seq=\($0)" } ?? "")
    }

    override func told(_ text: String) throws {
        try view.take(text, life: life)
        if view.hasEnded { return leave() }
        if world.chance.once(in: 20) { say("{\"type\":\"\(world.chance.pick(["ping", "get_status"]))\"}") }
        if world.chance.once(in: 15) {
            drop()
            connectLater(1...3_000)
        }
    }

    override func parted(_ code: Int?) {
        if code == 4_004 {
            world.ledger.missed(view.task, askedAt: world.now)
            return view.close()
        }
        if code == 1_013 { world.tally[.slowConsumers] += 1 }
        connectLater(1...2_000)
    }

    override func refused(_ status: Int) { connectLater(100...1_000) }
}

/// By server-sent events.
final class StreamWatcher: Guest {
    unowned let world: Simulation
    private let view: TaskView
    private var socket: Socket?
    private var unread = Unread()
    private var content = Unread()
    private var isStreaming = false
    private var hasLeft = false
    /// The id of the last event that had one: what a browser comes back with.
    private var lastID: Int?

    var name: String { view.name }

    init(_ world: Simulation, _ name: String, _ task: String) {
        self.world = world
        view = TaskView(world, name, task)
    }

    var isDone: Bool { view.hasEnded || hasLeft }

    func connectLater(_ milliseconds: ClosedRange<Int>) {
        world.after(world.chance.span(milliseconds)) { [self] in
            guard socket == nil, !isDone else { return }
            (unread, content, isStreaming) = (Unread(), Unread(), false)
            socket = world.connect(self)
        }
    }

    func leave() {
        hasLeft = true
        socket?.close()
        socket = nil
    }

    private func again(_ milliseconds: ClosedRange<Int>) {
        socket?.close()
        socket = nil
        connectLater(milliseconds)
    }

    func opened(_ socket: Socket) {
        guard socket === self.socket else { return }
        view.thread.rewind(to: lastID)
        let claimed = view.claim()
        let path = "/api/tasks/\(view.task)/events"
        guard let claimed else { return socket.send(Speech.request("GET", path)) }
        // The state is told where it cannot be continued, and only there.
        view.claimed = nil
        world.tally[.streamReturns] += 1
        let isHeader = world.chance.once(in: 2)
        socket.send(Speech.request("GET", isHeader ? path : path + "?last_seq=\(claimed)", isHeader ? ["Last-Event-ID: \(claimed)"] : []))
        view.thread.resume()
    }

    func heard(_ socket: Socket, _ bytes: [UInt8]) {
        guard socket === self.socket else { return }
        unread.append(bytes)
        do {
            if !isStreaming {
                guard let head = try unread.takeHead() else { return }
                guard head.status == 200 else { return answered(head.status) }
                guard head.field("Content-Type") == "text/event-stream", head.field("Transfer-Encoding") == "chunked" else {
                    throw Malformed("no stream: \(head.fields)")
                }
                isStreaming = true
            }
            while let chunk = try unread.takeChunk() {
                if chunk.isEmpty { return ended() }
                content.append(chunk)
                while let fields = try content.takeEvent() { try take(fields) }
            }
        } catch {
            world.fail("wire", "\(view.name): \(error)")
        }
    }

    private func take(_ fields: [(name: String, value: String)]) throws {
        guard let data = fields.first(where: { $0.name == "data" })?.value else { return }
        world.trace.note(world.now, view.name) { "< \(fields.map { "\($0.name): \($0.value)" }.joined(separator: " | "))" }
        world.tally[.streamEvents] += 1
        try view.take(data, life: socket?.life ?? 0)
        if let id = fields.first(where: { $0.name == "id" }).flatMap({ Int($0.value) }) { lastID = id }
        if !view.hasEnded, world.chance.once(in: 15) { again(1...3_000) }
    }

    /// Something else than a stream.
    private func answered(_ status: Int) {
        switch status {
        // It has seen the end, or so it says.
        case 204: view.close()
        case 404:
            world.ledger.missed(view.task, askedAt: world.now)
            view.close()
        case _: return again(100...1_000)
        }
        leave()
    }

    /// The stream is over, in order: so is the task, or the server.
    private func ended() { if view.hasEnded { leave() } else { again(10...1_000) } }

    func lost(_ socket: Socket) {
        guard socket === self.socket else { return }
        self.socket = nil
        connectLater(1...2_000)
    }
}
