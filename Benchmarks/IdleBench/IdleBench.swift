// IdleBench: what an idle connection costs in memory, and how long it takes to open one. Drives the machine in this process, without
// sockets: the kernel's share of a connection is not in the figures, everything of ours but the reactor's row is. Prints one line.
//
//     idle-bench [--connections 1000000] [--role echo|worker|http|watcher|socketio|monitor]
//
// Each watcher has a task of its own; the tasks are given in before, and what they weigh is told apart.
import Base
import Domain
import Gateway
import Glibc

// @safe: the slices are filled and forgotten within one call.
@safe
@main
struct IdleBench {
    enum Role: String {
        case echo, worker
        /// A request that was answered on a connection that stays.
        case http
        /// A client on a waiting task's socket (document G).
        case watcher
        /// A Socket.IO client that has entered the fleet's namespace (document E).
        case socketio
        /// One that has subscribed to all of the fleet's events, too.
        case monitor
    }

    static func main() {
        var connections = 1_000_000
        var role = Role.echo
        var arguments = CommandLine.arguments.dropFirst()
        while let option = arguments.popFirst() {
            let value = arguments.popFirst() ?? ""
            switch (option, Int(value), Role(rawValue: value)) {
            case ("--connections", let count?, _) where count > 0: connections = count
            case ("--role", _, let named?): role = named
            default: fail("usage: idle-bench [--connections n] [--role echo|worker|http|watcher|socketio|monitor]")
            }
        }
        var bench = IdleBench(connections: connections, role: role)
        bench.run()
    }

    private let connections: Int
    private let role: Role
    private let outbox = Outbox()
    private let server: Server
    private var now = Instant(nanoseconds: 1_000_000_000)
    private var dirty: [ConnectionID] = []
    private var records: [RecordEntry] = []
    private var slices = unsafe [iovec](repeating: iovec(), count: 64)
    private var output = 0
    /// What the server wrote last.
    private var answer: [UInt8] = []
    /// The names of the tasks, one behind the other, in memory that is there before anything is counted.
    private var taskNames: [UInt8]

    private init(connections: Int, role: Role) {
        self.connections = connections
        self.role = role
        var limits = Limits()
        limits.queueLengthMax = connections + IdleBench.warmUp
        limits.connectionsMax = max(limits.connectionsMax, limits.queueLengthMax)
        taskNames = role == .watcher ? [UInt8](repeating: 0, count: limits.queueLengthMax * IdleBench.taskNameBytes) : []
        server = Server(
            settings: Settings(limits: limits, echoPath: SharedBytes("/echo")), outbox: outbox,
            log: Log(level: .error, format: .text) { _ in }, random: Randomness(seed: 1))
    }

    /// The table's first rows and the first message are paid before the count begins.
    private static let warmUp = 64
    /// A task's name is a UUID.
    private static let taskNameBytes = 36
    /// What follows a waiting task's name in the answer to whoever gave it in.
    private static let answerEnd = Array("\",\"status\":\"queued\"}".utf8)

    private mutating func run() {
        server.observe(WallTime(milliseconds: 1_700_000_000_000), at: now)
        if role == .watcher { giveTasksIn() }
        let messages = messages
        // The same for all, but that each watcher asks for a task of its own.
        let common = role == .watcher ? nil : bytes(of: greeting(of: 0))
        for index in 0..<IdleBench.warmUp { open(index, common, messages) }
        checkAnswer(common, messages)
        let spent = measure { $0.open(IdleBench.warmUp + $1, common, messages) }
        guard output > 0, outbox.queuedBytes == 0 else { fail("\(outbox.queuedBytes) bytes stay queued") }
        print(
            "idle-bench role=\(role.rawValue) connections=\(connections) bytes_per_connection=\(spent.bytes / connections)",
            "resident_mib=\(spent.bytes >> 20) ns_per_connection=\(spent.nanoseconds / connections)")
    }

    /// Sees that what all connections are to do is done: those of Socket.IO could be refused in words, and would weigh less.
    private mutating func checkAnswer(_ greeting: [UInt8]?, _ messages: [[UInt8]]) {
        let wanted: String
        switch role {
        case .echo, .worker, .http, .watcher: return
        case .socketio: wanted = "40{\"sid\":"
        case .monitor: wanted = "42[\"subscribed\","
        }
        answer.removeAll()
        open(IdleBench.clientSlot - IdleBench.firstSlot, greeting, messages)
        guard String(decoding: answer, as: UTF8.self).contains(wanted) else { fail("the server does not answer \(wanted)") }
    }

    /// What `connections` times `body` takes of memory and time.
    private mutating func measure(_ body: (inout IdleBench, Int) -> Void) -> (bytes: Int, nanoseconds: Int) {
        let memory = residentBytes()
        let start = nanoseconds()
        for index in 0..<connections { body(&self, index) }
        return (residentBytes() - memory, nanoseconds() - start)
    }

    // MARK: Tasks

    private static let workerSlot = 0
    /// Whose answers are looked at.
    private static let clientSlot = 1
    private static let firstSlot = 2

    /// A worker that takes none, so that all wait, and a client that gives a task in for each watcher.
    private mutating func giveTasksIn() {
        connect(IdleBench.workerSlot)
        receive(id(IdleBench.workerSlot), bytes(of: upgrade("/ws?ready=explicit")))
        connect(IdleBench.clientSlot)
        let body = "{\"data\":{\"n\":1},\"async\":true,\"timeout\":600000}"
        let request = bytes(
            of: "POST /api/openai HTTP/1.1\r\nHost: localhost:3000\r\nContent-Type: application/json\r\n"
                + "Content-Length: \(body.utf8.count)\r\n\r\n" + body)
        for index in 0..<IdleBench.warmUp { giveTaskIn(index, request) }
        let spent = measure { $0.giveTaskIn(IdleBench.warmUp + $1, request) }
        print(
            "idle-bench tasks=\(connections) bytes_per_task=\(spent.bytes / connections)",
            "resident_mib=\(spent.bytes >> 20) ns_per_task=\(spent.nanoseconds / connections)")
    }

    private mutating func giveTaskIn(_ index: Int, _ request: [UInt8]) {
        now = now + .microseconds(10)
        answer.removeAll(keepingCapacity: true)
        receive(id(IdleBench.clientSlot), request)
        // {"taskId":"…","status":"queued"}
        let end = answer.count - IdleBench.answerEnd.count
        let start = end - IdleBench.taskNameBytes
        guard start > 0, answer[end...].elementsEqual(IdleBench.answerEnd) else {
            fail("a task was refused: \(String(decoding: answer, as: UTF8.self))")
        }
        for offset in 0..<IdleBench.taskNameBytes { taskNames[index * IdleBench.taskNameBytes + offset] = answer[start + offset] }
    }

    // MARK: Connections

    private func target(of index: Int) -> String {
        switch role {
        case .echo: return "/echo"
        case .worker: return "/ws"
        case .http: return "/healthz"
        case .socketio, .monitor: return "/socket.io/?EIO=4&transport=websocket"
        case .watcher:
            let name = taskNames[index * IdleBench.taskNameBytes..<(index + 1) * IdleBench.taskNameBytes]
            return "/api/gpu/tasks/\(String(decoding: name, as: UTF8.self))/ws"
        }
    }

    private func upgrade(_ target: String) -> String {
        "GET \(target) HTTP/1.1\r\nHost: localhost:3000\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            + "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    }

    private func greeting(of index: Int) -> String {
        switch role {
        case .http: "GET \(target(of: index)) HTTP/1.1\r\nHost: localhost:3000\r\n\r\n"
        case .echo, .worker, .watcher, .socketio, .monitor: upgrade(target(of: index))
        }
    }

    private var messages: [[UInt8]] {
        switch role {
        case .echo: [masked("a message of some length, as it is echoed")]
        case .worker: [masked("{\"type\":\"ready\"}")]
        case .watcher: [masked("{\"type\":\"ping\"}")]
        case .socketio: [masked("40")]
        case .monitor: [masked("40"), masked("42[\"subscribe_all\"]")]
        case .http: []
        }
    }

    private func bytes(of text: String) -> [UInt8] { Array(text.utf8) }

    private func masked(_ text: String) -> [UInt8] {
        let key: [UInt8] = [0x37, 0xfa, 0x21, 0x3d]
        return [0x81, 0x80 | UInt8(text.utf8.count)] + key + text.utf8.enumerated().map { $1 ^ key[$0 & 3] }
    }

    /// One turn that accepts, one that upgrades, and for each message one that hears and answers it.
    private mutating func open(_ index: Int, _ greeting: [UInt8]?, _ messages: [[UInt8]]) {
        let slot = IdleBench.firstSlot + index
        connect(slot)
        receive(id(slot), greeting ?? bytes(of: self.greeting(of: index)))
        for message in messages { receive(id(slot), message) }
    }

    private func id(_ slot: Int) -> ConnectionID { ConnectionID(slot: UInt32(slot), generation: 1) }

    private mutating func connect(_ slot: Int) {
        now = now + .microseconds(10)
        outbox.open(id(slot))
        server.opened(id(slot), from: .v4(0x7f00_0001, port: UInt16(truncatingIfNeeded: slot)), at: now)
    }

    private mutating func receive(_ id: ConnectionID, _ bytes: [UInt8]) {
        var bytes = bytes
        var span = bytes.mutableSpan
        server.received(id, &span, at: now)
        if let deadline = server.nextDeadline, deadline <= now { server.timersDue(at: now) }
        server.turnEnded(TurnReport(duration: .microseconds(1), bytesIn: bytes.count, bytesOut: 0, refused: 0), at: now)
        commit()
        drain()
    }

    /// A disk that takes everything at once.
    private mutating func commit() {
        server.takeRecords(into: &records)
        if let last = records.last { server.committed(upTo: last.number, at: now) }
    }

    private mutating func drain() {
        outbox.takeDirty(into: &dirty)
        for id in dirty {
            while outbox.queuedBytes(id) > 0 {
                let waiting = outbox.queuedBytes(id)
                unsafe slices.withUnsafeMutableBufferPointer { slices in
                    let count = unsafe outbox.gather(id, into: slices, bytesMax: waiting)
                    guard id.slot == IdleBench.clientSlot else { return }
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
}

/// Anonymous memory that is resident, as the kernel counts it.
private func residentBytes() -> Int {
    let descriptor = unsafe Glibc.open("/proc/self/status", O_RDONLY)
    guard descriptor >= 0 else { fail("no /proc/self/status") }
    defer { close(descriptor) }
    var text = [UInt8](repeating: 0, count: 16_384)
    let count = unsafe text.withUnsafeMutableBytes { unsafe read(descriptor, $0.baseAddress, $0.count) }
    for line in String(decoding: text[..<max(count, 0)], as: UTF8.self).split(separator: "\n") where line.hasPrefix("RssAnon:") {
        if let kibibytes = line.split(whereSeparator: { $0 == " " || $0 == "\t" }).compactMap({ Int($0) }).first { return kibibytes << 10 }
    }
    fail("no RssAnon in /proc/self/status")
}

private func nanoseconds() -> Int {
    var time = timespec()
    unsafe clock_gettime(CLOCK_MONOTONIC, &time)
    return time.tv_sec * 1_000_000_000 + time.tv_nsec
}

private func fail(_ words: String) -> Never {
    print("idle-bench: \(words)")
    exit(1)
}
