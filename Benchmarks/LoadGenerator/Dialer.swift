// Dialer: opens the connections of a run, a bounded number at a time, and upgrades them to WebSockets where that is wanted
// (RFC 6455 §4.1). Hands over bare descriptors; what is said on them is the run's affair.

import Base
import CLinux
import Glibc
import LoadSupport

/// A connection that is ready for use.
struct Dialed {
    let socket: Int32
    /// What the server sent behind the head of its response in the same read.
    let early: [UInt8]
}

struct Dialer {
    let target: Target
    /// Handshakes at once.
    let inFlight: Int

    /// Connections from one source address. Linux gives out 28,000 ports an address; with few of them used it finds a free one at once.
    private static let connectionsPerAddress = 4000
    /// A handshake that brings nothing for this long has failed. Longer than a retransmitted SYN takes.
    private static let patience: UInt64 = 10_000_000_000
    /// A response head longer than this is not a server's of ours.
    private static let headBytesMax = 16_384

    // The example of §1.3, so that the answer is known beforehand.
    private static let key = "dGhlIHNhbXBsZSBub25jZQ=="
    private static let accept = Array("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=".utf8)

    private enum Step {
        case connecting
        case asked(head: [UInt8])
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
        let poller = try Poller()
        var steps = [Step](repeating: .connecting, count: count)
        var sockets = [Int32](repeating: -1, count: count)
        var dialed = [Dialed?](repeating: nil, count: count)
        var buffer = [UInt8](repeating: 0, count: 65_536)
        var started = 0
        var done = 0
        var progress = Clock.now()
        while done < count {
            while started < count, started - done < inFlight {
                sockets[started] = try connect(index: started, of: count)
                try poller.add(sockets[started], token: started, events: Poller.output)
                started += 1
            }
            let ready = poller.wait(milliseconds: 100)
            if ready > 0 {
                progress = Clock.now()
            } else if Clock.now() - progress > Self.patience {
                throw RunError("\(done) of \(count) connections are open, and no other for \(Self.patience / 1_000_000_000) s")
            }
            for place in 0..<ready {
                let index = poller[place].token
                let socket = sockets[index]
                switch steps[index] {
                case .connecting:
                    try Self.checkConnected(socket)
                    guard let request = request(index) else {
                        try poller.remove(socket)
                        dialed[index] = Dialed(socket: socket, early: [])
                        done += 1
                        continue
                    }
                    let sent = unsafe request.withUnsafeBytes { unsafe send(socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
                    // An empty send buffer takes a request of some hundred bytes whole.
                    guard sent == request.count else { throw .system("send of the upgrade") }
                    steps[index] = .asked(head: [])
                    try poller.change(socket, token: index, events: Poller.input)
                case .asked(var head):
                    let received = unsafe buffer.withUnsafeMutableBytes { unsafe recv(socket, $0.baseAddress, $0.count, 0) }
                    if received < 0, errno == EAGAIN { continue }
                    guard received > 0 else { throw RunError("the server closed connection \(index) during the upgrade") }
                    head += buffer[..<received]
                    if let early = try Self.readResponse(head) {
                        try poller.remove(socket)
                        dialed[index] = Dialed(socket: socket, early: early)
                        done += 1
                    }
                    steps[index] = .asked(head: head)
                }
            }
        }
        return dialed.compactMap { $0 }
    }

    private func upgrade(_ path: String) -> String {
        """
        GET \(path) HTTP/1.1\r
        Host: \(target.authority)\r
        Upgrade: websocket\r
        Connection: Upgrade\r
        Sec-WebSocket-Key: \(Self.key)\r
        Sec-WebSocket-Version: 13\r
        \r\n
        """
    }

    /// What follows a good response; nil while it is not whole.
    private static func readResponse(_ head: [UInt8]) throws(RunError) -> [UInt8]? {
        guard let end = head.span.firstIndex(of: Array("\r\n\r\n".utf8)) else {
            guard head.count <= headBytesMax else { throw RunError("the response to the upgrade has no end") }
            return nil
        }
        let fields = Array(head[..<end])
        guard fields.span.hasPrefix(Array("HTTP/1.1 101 ".utf8)), fields.span.firstIndex(of: accept) != nil else {
            throw RunError("the upgrade was refused: \(String(decoding: head.prefix(200), as: UTF8.self))")
        }
        return Array(head[(end + 4)...])
    }

    private func connect(index: Int, of count: Int) throws(RunError) -> Int32 {
        let socket = Glibc.socket(
            AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard socket >= 0 else { throw .system("socket") }
        Self.set(socket, Int32(IPPROTO_TCP), TCP_NODELAY)
        if count > Self.connectionsPerAddress {
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
