// ConnectionBench: what an idle connection costs in memory, how long it takes to open one, and what it takes to tell something to all of
// them. Everything of ours but the reactor's row is in the figures, the kernel's share is not. Prints a line for each subject.
//
// Each `watcher` has a task of its own; the tasks are given in before, and what they weigh is told apart. The `crowd` watches one task.
// With tokens each connection shows one, of a user of its own; signing it is in the time.
import Base
import Dialects
import Domain
import Gateway
import Glibc
import LoadSupport

struct ConnectionBench {
    enum Role: String {
        case echo, worker
        /// A request that was answered on a connection that stays.
        case http
        /// A client on a waiting task's socket (document G).
        case watcher
        /// The same, all on the socket of one task, of which a worker then tells.
        case crowd
        /// A client of the hub (document P), a user of its own each, that has subscribed to a task.
        case hub
        /// A Socket.IO client that has entered the fleet's namespace (document E).
        case socketio
        /// One that has subscribed to all of the fleet's events, too.
        case monitor
    }

    static func run(_ arguments: [String]) {
        var connections = 1_000_000
        var role = Role.echo
        var publications = 20
        var showsTokens = false
        var rest = arguments[...]
        while let option = rest.popFirst() {
            let value = rest.popFirst() ?? ""
            switch (option, Int(value), Role(rawValue: value)) {
            case ("--connections", let count?, _) where count > 0: connections = count
            case ("--publications", let count?, _) where count > 0: publications = count
            case ("--role", _, let named?): role = named
            case ("--tokens", _, _) where value == "yes" || value == "no": showsTokens = value == "yes"
            default:
                fail(
                    "usage: connections [--connections N] [--role echo|worker|http|watcher|crowd|hub|socketio|monitor] [--tokens yes|no] "
                        + "[--publications N]")
            }
        }
        var bench = ConnectionBench(connections: connections, role: role, showsTokens: showsTokens)
        if role == .crowd { bench.publish(publications) } else { bench.run() }
    }

    private let connections: Int
    private let role: Role
    /// Signs the tokens that the connections show, a user's of its own each; nil where nobody is asked.
    private let secret: TokenSecret?
    private let driver: ServerDriver
    /// The names of the tasks, one behind the other, in memory that is there before anything is counted.
    private var taskNames: [UInt8]

    private init(connections: Int, role: Role, showsTokens: Bool) {
        self.connections = connections
        self.role = role
        secret = showsTokens ? ConnectionBench.makeSecret() : nil
        var limits = Limits()
        limits.queueLengthMax = connections + ConnectionBench.warmUp
        limits.connectionsMax = max(limits.connectionsMax, limits.queueLengthMax + 2)
        taskNames = role == .watcher ? [UInt8](repeating: 0, count: limits.queueLengthMax * ConnectionBench.taskNameBytes) : []
        let authentication = secret.map { Authentication(mode: .users, keys: ConnectionBench.keys($0)) }
        driver = ServerDriver(
            Settings(limits: limits, echoPath: SharedBytes("/echo"), authentication: authentication ?? Authentication()))
    }

    private static func makeSecret() -> TokenSecret {
        do throws(TokenSecretError) { return try TokenSecret(SharedBytes("0123456789abcdef0123456789abcdef")) } catch { fail("\(error)") }
    }

    private static func keys(_ secret: TokenSecret) -> TokenKeys {
        var keys = TokenKeys()
        do throws(TooManyTokenKeys) { try keys.add(TokenKey(secret: secret)) } catch { fail("\(error)") }
        return keys
    }

    /// The table's first rows and the first message are paid before the count begins.
    private static let warmUp = 64
    /// A task's name is a UUID.
    private static let taskNameBytes = 36
    /// What follows a waiting task's name in the answer to whoever gave it in.
    private static let answerEnd = Array("\",\"status\":\"queued\"}".utf8)

    private mutating func run() {
        if role == .watcher { giveTasksIn() }
        let messages = messages
        // The same for all, but that each watcher asks for a task of its own, and each client of the hub is somebody else.
        let common = role == .watcher || role == .hub || secret != nil ? nil : greeting(of: 0)
        for index in 0..<ConnectionBench.warmUp { open(index, common, messages) }
        checkAnswer(common, messages)
        let spent = measure { $0.open(ConnectionBench.warmUp + $1, common, messages) }
        guard driver.output > 0, driver.outbox.queuedBytes == 0 else { fail("\(driver.outbox.queuedBytes) bytes stay queued") }
        print(
            "in-process role=\(role.rawValue) tokens=\(secret == nil ? "no" : "yes") connections=\(connections)",
            "bytes_per_connection=\(spent.bytes / connections)",
            "resident_mib=\(spent.bytes >> 20) ns_per_connection=\(spent.nanoseconds / connections)")
    }

    /// Sees that what all connections are to do is done: those of Socket.IO could be refused in words, and would weigh less.
    private mutating func checkAnswer(_ greeting: [UInt8]?, _ messages: [[UInt8]]) {
        let wanted: String
        switch role {
        case .echo, .worker, .http, .watcher, .crowd: return
        case .hub: wanted = "\"type\":\"subscribed\""
        case .socketio: wanted = "40{\"sid\":"
        case .monitor: wanted = "42[\"subscribed\","
        }
        driver.heardSlot = UInt32(ConnectionBench.clientSlot)
        open(ConnectionBench.clientSlot - ConnectionBench.firstSlot, greeting, messages)
        guard String(decoding: driver.answer, as: UTF8.self).contains(wanted) else { fail("the server does not answer \(wanted)") }
    }

    /// What `connections` times `body` takes of memory and time.
    private mutating func measure(_ body: (inout ConnectionBench, Int) -> Void) -> (bytes: Int, nanoseconds: Int) {
        let memory = residentBytes()
        let start = computedNanoseconds()
        for index in 0..<connections { body(&self, index) }
        return (residentBytes() - memory, computedNanoseconds() - start)
    }

    // MARK: The crowd

    /// Tells everybody, and between any two publications has a hundred of them say something: the turns of both kinds are timed.
    private mutating func publish(_ publications: Int) {
        let memory = residentBytes()
        let report = Machines.watch(driver, watchers: connections)
        let bytes = residentBytes() - memory
        let ping = Machines.frame(.text, Array(#"{"type":"ping"}"#.utf8))
        var publishing: [Int] = []
        var computed = 0
        var answering: [Int] = []
        for round in 0..<publications {
            let start = computedNanoseconds()
            publishing.append(time { driver.receive(0, report) })
            computed += computedNanoseconds() - start
            for watcher in 0..<100 {
                let slot = ConnectionBench.firstSlot + (round * 7919 + watcher * 104_729) % connections
                answering.append(time { driver.receive(slot, ping) })
            }
        }
        guard driver.outbox.queuedBytes == 0 else { fail("\(driver.outbox.queuedBytes) bytes stay queued") }
        print(
            "in-process role=crowd connections=\(connections) bytes_per_connection=\(bytes / connections) publications=\(publications)",
            "ns_per_delivery=\(computed / (publications * connections)) publishing_turn_p50_us=\(quantile(publishing, 0.5))",
            "publishing_turn_p99_us=\(quantile(publishing, 0.99)) other_turn_p50_us=\(quantile(answering, 0.5))",
            "other_turn_p99_us=\(quantile(answering, 0.99))")
    }

    private func time(_ body: () -> Void) -> Int {
        let start = nanoseconds()
        body()
        return nanoseconds() - start
    }

    /// In microseconds, with a tenth.
    private func quantile(_ times: [Int], _ share: Double) -> String {
        let value = times.sorted()[min(times.count - 1, Int(Double(times.count) * share))]
        return "\(value / 1000).\(value / 100 % 10)"
    }

    // MARK: Tasks

    private static let workerSlot = 0
    /// Whose answers are looked at.
    private static let clientSlot = 1
    private static let firstSlot = 2

    /// A worker that takes none, so that all wait, and a client that gives a task in for each watcher.
    private mutating func giveTasksIn() {
        driver.connect(ConnectionBench.workerSlot)
        driver.receive(ConnectionBench.workerSlot, ServerDriver.upgrade("/ws?ready=explicit"))
        driver.connect(ConnectionBench.clientSlot)
        driver.heardSlot = UInt32(ConnectionBench.clientSlot)
        let request = ServerDriver.post("/api/openai", "{\"data\":{\"n\":1},\"async\":true,\"timeout\":600000}")
        for index in 0..<ConnectionBench.warmUp { giveTaskIn(index, request) }
        let spent = measure { $0.giveTaskIn(ConnectionBench.warmUp + $1, request) }
        driver.heardSlot = nil
        print(
            "in-process tasks=\(connections) bytes_per_task=\(spent.bytes / connections)",
            "resident_mib=\(spent.bytes >> 20) ns_per_task=\(spent.nanoseconds / connections)")
    }

    private mutating func giveTaskIn(_ index: Int, _ request: [UInt8]) {
        driver.answer.removeAll(keepingCapacity: true)
        driver.receive(ConnectionBench.clientSlot, request)
        // {"taskId":"…","status":"queued"}
        let answer = driver.answer
        let end = answer.count - ConnectionBench.answerEnd.count
        let start = end - ConnectionBench.taskNameBytes
        guard start > 0, answer[end...].elementsEqual(ConnectionBench.answerEnd) else {
            fail("a task was refused: \(String(decoding: answer, as: UTF8.self))")
        }
        for offset in 0..<ConnectionBench.taskNameBytes {
            taskNames[index * ConnectionBench.taskNameBytes + offset] = answer[start + offset]
        }
    }

    // MARK: Connections

    private func target(of index: Int) -> String {
        switch role {
        case .echo: return "/echo"
        case .worker: return "/ws"
        case .http, .crowd: return "/healthz"
        case .hub: return "/api/v1/ws?user_id=user-\(index)"
        case .socketio, .monitor: return "/socket.io/?EIO=4&transport=websocket"
        case .watcher:
            let name = taskNames[index * ConnectionBench.taskNameBytes..<(index + 1) * ConnectionBench.taskNameBytes]
            return "/api/gpu/tasks/\(String(decoding: name, as: UTF8.self))/ws"
        }
    }

    private func greeting(of index: Int) -> [UInt8] {
        let fields = secret.map { "Authorization: Bearer \(token(of: index, $0))\r\n" } ?? ""
        switch role {
        case .http, .crowd: return Array("GET \(target(of: index)) HTTP/1.1\r\nHost: localhost:3000\r\n\(fields)\r\n".utf8)
        case .echo, .worker, .watcher, .hub, .socketio, .monitor: return ServerDriver.upgrade(target(of: index), fields)
        }
    }

    private func token(of index: Int, _ secret: TokenSecret) -> SharedBytes {
        let claims = TokenClaims(subject: SharedBytes("user-\(index)"), expiry: WallTime(milliseconds: 1_800_000_000_000))
        return BearerToken.make(claims, secret: secret)
    }

    private var messages: [[UInt8]] {
        let texts =
            switch role {
            case .echo: ["a message of some length, as it is echoed"]
            case .worker: [#"{"type":"ready"}"#]
            case .watcher: [#"{"type":"ping"}"#]
            case .hub: [#"{"action":"subscribe","task_id":"everybodys"}"#]
            case .socketio: ["40"]
            case .monitor: ["40", #"42["subscribe_all"]"#]
            case .http, .crowd: [String]()
            }
        return texts.map { Machines.frame(.text, Array($0.utf8)) }
    }

    /// One turn that accepts, one that upgrades, and for each message one that hears and answers it.
    private mutating func open(_ index: Int, _ greeting: [UInt8]?, _ messages: [[UInt8]]) {
        let slot = ConnectionBench.firstSlot + index
        driver.connect(slot)
        driver.receive(slot, greeting ?? self.greeting(of: index))
        for message in messages { driver.receive(slot, message) }
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
