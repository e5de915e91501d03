// Dialer: opens the connections of a run, a bounded number at a time, and upgrades them to WebSockets where that is wanted
// (RFC 6455 §4.1). Hands over bare descriptors; what is said on them is the run's affair.

import Base
import CLinux
import Glibc
import LoadSupport

/// A connection that is ready for use.
struct Dialed {
    let wire: Wire
    /// What the server sent behind the head of its response in the same read.
    let early: [UInt8]
    /// When it was begun.
    let since: UInt64
}

// @safe: the context of TLS lives as long as the program.
@safe
struct Dialer {
    let target: Target
    /// Handshakes at once.
    let inFlight: Int
    private let compression: Options.Compression
    private let context: OpaquePointer?

    /// Connections from one source address. Linux gives out 28,000 ports an address; with few of them used it finds a free one at once.
    private static let connectionsPerAddress = 4000
    /// A handshake that brings nothing for this long has failed. Longer than a retransmitted SYN takes.
    private static let patience: UInt64 = 10_000_000_000
    /// A response head longer than this is not a server's of ours.
    private static let headBytesMax = 16_384

    // The example of §1.3, so that the answer is known beforehand.
    private static let key = "dGhlIHNhbXBsZSBub25jZQ=="
    private static let accept = Array("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=".utf8)
    private static let deflate = Array("permessage-deflate".utf8)

    private enum Step {
        case connecting, securing
        case asked(head: [UInt8])
    }

    /// A connection on its way.
    private struct Attempt {
        let wire: Wire
        let since: UInt64
        var step: Step
    }

    init(_ options: Options) throws(RunError) {
        target = options.url
        inFlight = options.inFlight
        compression = options.compression
        unsafe context = options.url.isSecure ? try Wire.context() : nil
    }

    /// Opens `count` connections.
    /// - Parameter path: Path of the upgrade; nil for plain HTTP connections.
    func open(_ count: Int, upgradingAt path: String?) throws(RunError) -> [Dialed] {
        let request = path.map { Array(upgrade($0).utf8) }
        return try open(count) { _ in request }
    }

    /// Opens `count` connections, each upgraded at a path of its own.
    func open(_ count: Int, upgradingAt path: (Int) -> String) throws(RunError) -> [Dialed] {
        try open(count) { Array(upgrade(path($0)).utf8) }
    }

    private func open(_ count: Int, asking request: (Int) -> [UInt8]?) throws(RunError) -> [Dialed] {
        var dialed = [Dialed?](repeating: nil, count: count)
        let spread = count > Self.connectionsPerAddress
        try open(spread: spread, while: { $0 < count }, asking: request) { dialed[$0] = $1 }
        return dialed.compactMap { $0 }
    }

    /// Opens one connection after the other, each upgraded at `path`, and hands them over as they come.
    /// - Parameter goesOn: Whether another one is to be begun.
    func open(upgradingAt path: String, while goesOn: () -> Bool, _ opened: (Dialed) -> Void) throws(RunError) {
        let request = Array(upgrade(path).utf8)
        try open(spread: false, while: { _ in goesOn() }, asking: { _ in request }, { opened($1) })
    }

    /// - Parameters:
    ///   - goesOn: Whether another one is to be begun, by how many were.
    ///   - request: What is said first, by the connection's number; nil for nothing.
    private func open(
        spread: Bool, while goesOn: (Int) -> Bool, asking request: (Int) -> [UInt8]?, _ opened: (Int, Dialed) -> Void
    ) throws(RunError) {
        let poller = try Poller()
        var attempts: [Int: Attempt] = [:]
        var buffer = [UInt8](repeating: 0, count: 65_536)
        var started = 0
        var progress = Clock.now()
        while true {
            while attempts.count < inFlight, goesOn(started) {
                let wire = try unsafe Wire(connect(index: started, spread: spread), context)
                attempts[started] = Attempt(wire: wire, since: Clock.now(), step: .connecting)
                try poller.add(wire.socket, token: started, events: Poller.output)
                started += 1
            }
            if attempts.isEmpty { return }
            let ready = poller.wait(milliseconds: 100)
            if ready > 0 {
                progress = Clock.now()
            } else if Clock.now() - progress > Self.patience {
                throw RunError("\(started - attempts.count) connections are open, and no other for \(Self.patience / 1_000_000_000) s")
            }
            for place in 0..<ready {
                let index = poller[place].token
                guard var attempt = attempts[index] else { continue }
                let early = try advance(&attempt, index, request, &buffer, poller)
                attempts[index] = attempt
                guard let early else { continue }
                attempts[index] = nil
                try poller.remove(attempt.wire.socket)
                opened(index, Dialed(wire: attempt.wire, early: early, since: attempt.since))
            }
        }
    }

    /// Goes on with a connection; what came early on it when it is open, otherwise nil.
    private func advance(
        _ attempt: inout Attempt, _ index: Int, _ request: (Int) -> [UInt8]?, _ buffer: inout [UInt8], _ poller: Poller
    ) throws(RunError) -> [UInt8]? {
        let wire = attempt.wire
        switch attempt.step {
        case .connecting, .securing:
            if case .connecting = attempt.step { try Self.checkConnected(wire.socket) }
            switch wire.shakeHands() {
            case .failed: throw RunError("the server refused the TLS handshake of connection \(index)")
            case .wantsInput, .wantsOutput:
                if case .connecting = attempt.step { try poller.change(wire.socket, token: index, events: Poller.input) }
                attempt.step = .securing
                return nil
            case .done: break
            }
            guard let request = request(index) else { return [] }
            // An empty send buffer takes a request of some hundred bytes whole.
            guard unsafe request.withUnsafeBytes({ unsafe wire.write($0) }) == request.count else { throw .system("send of the upgrade") }
            if case .connecting = attempt.step { try poller.change(wire.socket, token: index, events: Poller.input) }
            attempt.step = .asked(head: [])
            return nil
        case .asked(var head):
            let received = unsafe buffer.withUnsafeMutableBytes { unsafe wire.read(into: $0) }
            if received < 0, errno == EAGAIN { return nil }
            guard received > 0 else { throw RunError("the server closed connection \(index) during the upgrade") }
            head += buffer[..<received]
            attempt.step = .asked(head: head)
            return try readResponse(head)
        }
    }

    private func upgrade(_ path: String) -> String {
        let extensions =
            switch compression {
            case .none: ""
            case .deflate: "Sec-WebSocket-Extensions: \(MessageDeflate.offer)\r\n"
            }
        return """
            GET \(path) HTTP/1.1\r
            Host: \(target.authority)\r
            Upgrade: websocket\r
            Connection: Upgrade\r
            Sec-WebSocket-Key: \(Self.key)\r
            Sec-WebSocket-Version: 13\r
            \(extensions)\r\n
            """
    }

    /// What follows a good response; nil while it is not whole.
    private func readResponse(_ head: [UInt8]) throws(RunError) -> [UInt8]? {
        guard let end = head.span.firstIndex(of: Array("\r\n\r\n".utf8)) else {
            guard head.count <= Self.headBytesMax else { throw RunError("the response to the upgrade has no end") }
            return nil
        }
        let fields = Array(head[..<end])
        guard fields.span.hasPrefix(Array("HTTP/1.1 101 ".utf8)), fields.span.firstIndex(of: Self.accept) != nil else {
            throw RunError("the upgrade was refused: \(String(decoding: head.prefix(200), as: UTF8.self))")
        }
        switch compression {
        case .none: break
        case .deflate:
            guard fields.span.firstIndex(of: Self.deflate) != nil else { throw RunError("the server does not take permessage-deflate") }
        }
        return Array(head[(end + 4)...])
    }

    private func connect(index: Int, spread: Bool) throws(RunError) -> Int32 {
        let socket = Glibc.socket(
            AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard socket >= 0 else { throw .system("socket") }
        Self.set(socket, Int32(IPPROTO_TCP), TCP_NODELAY)
        if spread {
            // 127.0.1.1, 127.0.1.2 … 127.0.1.250, 127.0.2.1 …
            let number = UInt32(index / Self.connectionsPerAddress)
            var source = Self.address(0x7f00_0101 + (number / 250) << 8 + number % 250, port: 0)
            // The port is chosen at connect, when the whole of both addresses is known.
            Self.set(socket, Int32(IPPROTO_IP), IP_BIND_ADDRESS_NO_PORT)
            guard unsafe Self.with(&source, { unsafe bind(socket, $0, $1) }) == 0 else { throw .system("bind") }
        }
        var destination = Self.address(target.address, port: target.port)
        guard unsafe Self.with(&destination, { unsafe Glibc.connect(socket, $0, $1) }) == 0 || errno == EINPROGRESS else {
            throw .system("connect")
        }
        return socket
    }

    private static func checkConnected(_ socket: Int32) throws(RunError) {
        var failure: Int32 = 0
        var size = socklen_t(MemoryLayout<Int32>.size)
        _ = unsafe getsockopt(socket, SOL_SOCKET, SO_ERROR, &failure, &size)
        errno = failure
        guard failure == 0 else { throw .system("connect") }
    }

    private static func set(_ socket: Int32, _ level: Int32, _ option: Int32) {
        var one: Int32 = 1
        _ = unsafe setsockopt(socket, level, option, &one, socklen_t(MemoryLayout<Int32>.size))
    }

    private static func address(_ address: UInt32, port: UInt16) -> sockaddr_in {
        var whole = sockaddr_in()
        whole.sin_family = sa_family_t(AF_INET)
        whole.sin_port = port.bigEndian
        whole.sin_addr.s_addr = address.bigEndian
        return whole
    }

    private static func with(_ address: inout sockaddr_in, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
        unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }
}
