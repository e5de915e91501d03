// IdleBench: what an idle connection costs in memory, and how long it takes to open one. Drives the machine in this process, without
// sockets: the kernel's share of a connection is not in the figures, everything of ours but the reactor's row is. Prints one line.
//
//     idle-bench [--connections 1000000] [--role echo|worker|http]
import Base
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
            default: fail("usage: idle-bench [--connections n] [--role echo|worker|http]")
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
    private var slices = unsafe [iovec](repeating: iovec(), count: 64)
    private var output = 0

    private init(connections: Int, role: Role) {
        self.connections = connections
        self.role = role
        server = Server(
            settings: Settings(echoPath: SharedBytes("/echo")), outbox: outbox, log: Log(level: .error, format: .text) { _ in },
            random: Randomness(seed: 1))
    }

    /// The table's first rows and the first message are paid before the count begins.
    private static let warmUp = 64

    private mutating func run() {
        let greeting = bytes(of: handshake)
        let message: [UInt8] =
            switch role {
            case .echo: masked("a message of some length, as it is echoed")
            case .worker: masked("{\"type\":\"ready\"}")
            case .http: []
            }
        server.observe(WallTime(milliseconds: 1_700_000_000_000), at: now)
        for slot in 0..<IdleBench.warmUp { open(slot, greeting, message) }
        let memoryBefore = residentBytes()
        let start = nanoseconds()
        for slot in IdleBench.warmUp..<IdleBench.warmUp + connections { open(slot, greeting, message) }
        let elapsed = nanoseconds() - start
        let memory = residentBytes() - memoryBefore
        guard output > 0, outbox.queuedBytes == 0 else { fail("\(outbox.queuedBytes) bytes stay queued") }
        print(
            "idle-bench role=\(role.rawValue) connections=\(connections) bytes_per_connection=\(memory / connections)",
            "resident_mib=\(memory >> 20) ns_per_connection=\(elapsed / connections)")
    }

    private var handshake: String {
        let target =
            switch role {
            case .echo: "/echo"
            case .worker: "/ws"
            case .http: "/healthz"
            }
        let head = "GET \(target) HTTP/1.1\r\nHost: localhost:3000\r\n"
        guard role != .http else { return head + "\r\n" }
        return head + "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    }

    private func bytes(of text: String) -> [UInt8] { Array(text.utf8) }

    private func masked(_ text: String) -> [UInt8] {
        let key: [UInt8] = [0x37, 0xfa, 0x21, 0x3d]
        return [0x81, 0x80 | UInt8(text.utf8.count)] + key + text.utf8.enumerated().map { $1 ^ key[$0 & 3] }
    }

    /// One turn that accepts, one that upgrades, one that hears a message and answers it.
    private mutating func open(_ slot: Int, _ greeting: [UInt8], _ message: [UInt8]) {
        let id = ConnectionID(slot: UInt32(slot), generation: 1)
        now = now + .microseconds(10)
        outbox.open(id)
        server.opened(id, from: .v4(0x7f00_0001, port: UInt16(truncatingIfNeeded: slot)), at: now)
        receive(id, greeting)
        if !message.isEmpty { receive(id, message) }
    }

    private mutating func receive(_ id: ConnectionID, _ bytes: [UInt8]) {
        var bytes = bytes
        var span = bytes.mutableSpan
        server.received(id, &span, at: now)
        if let deadline = server.nextDeadline, deadline <= now { server.timersDue(at: now) }
        server.turnEnded(TurnReport(duration: .microseconds(1), bytesIn: bytes.count, bytesOut: 0, refused: 0), at: now)
        drain()
    }

    private mutating func drain() {
        outbox.takeDirty(into: &dirty)
        for id in dirty {
            while outbox.queuedBytes(id) > 0 {
                let waiting = outbox.queuedBytes(id)
                unsafe slices.withUnsafeMutableBufferPointer { _ = unsafe outbox.gather(id, into: $0, bytesMax: waiting) }
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
