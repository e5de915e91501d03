// Goal: a certificate of the operator's authorities opens the worker's socket and nothing else, and a token goes before it.
import Base
import Dialects
import Domain
import Glibc
import TestSupport
import Testing

@testable import Gateway

@Suite("Authentication by certificates")
struct AuthenticationByCertificateTests {
    private let secret = SharedBytes("0123456789abcdef0123456789abcdef")
    private let handshake =
        "[Upgrade: websocket] [Connection: Upgrade] [Sec-WebSocket-Version: 13] [Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==]"

    private func authentication(_ mode: Authentication.Mode) throws -> Authentication {
        var keys = TokenKeys()
        try keys.add(TokenKey(secret: try TokenSecret(secret)))
        return Authentication(mode: mode, keys: keys)
    }

    private func token(_ user: String) throws -> String {
        let expiry = WallTime(milliseconds: FakeNetwork.wallAtStart + 3_600_000)
        let claims = TokenClaims(subject: SharedBytes(user), role: .user, tasks: [], expiry: expiry)
        return BearerToken.make(claims, secret: try TokenSecret(secret)).description
    }

    @Test("a certificate speaks for a worker, by a name that a user could have, until it ends")
    func certificates() throws {
        let now = WallTime(milliseconds: FakeNetwork.wallAtStart)
        let later = WallTime(milliseconds: FakeNetwork.wallAtStart + 1)
        let certificate = PeerCertificate(name: SharedBytes("worker-7"), expiry: later)
        let worker = Principal(user: SharedBytes("worker-7"), role: .worker, expiry: later)
        for mode in Authentication.Mode.allCases {
            let rules = try authentication(mode)
            for surface in Surface.allCases {
                let expected: Authentication.Identity = mode != .off && surface == .worker ? .principal(worker) : .anonymous
                #expect(rules.identify(certificate, at: now, to: surface) == expected)
                #expect(rules.identify(certificate, at: later, to: surface) == .anonymous)
                #expect(rules.identify(nil, at: now, to: surface) == .anonymous)
            }
            for name in ["", String(repeating: "x", count: 257)] {
                let other = PeerCertificate(name: SharedBytes(name), expiry: later)
                #expect(rules.identify(other, at: now, to: .worker) == .anonymous)
            }
        }
    }

    @Test("a worker's socket opens by its certificate where a token is asked of everybody; a token goes before it")
    func certifiedWorker() throws {
        let certificate = PeerCertificate(
            name: SharedBytes("worker-7"), expiry: WallTime(milliseconds: FakeNetwork.wallAtStart + 3_600_000))
        let settings = Settings(authentication: try authentication(.all))
        for (target, shown, status) in [
            ("", certificate, 101), ("", nil, 401), ("?token=\(try token("42"))", certificate, 403),
            ("?token=sk-proj-0123456789", certificate, 401),
        ] as [(String, PeerCertificate?, Int)] {
            let outbox = Outbox(arenaBytesRetained: 1 << 16)
            let log = Log(level: .error, format: .text) { _ in }
            let server = Server(settings: settings, outbox: outbox, log: log, random: Randomness(seed: 1))
            let now = Instant(nanoseconds: 0)
            server.observe(WallTime(milliseconds: FakeNetwork.wallAtStart), at: now)
            let id = ConnectionID(slot: 0, generation: 1)
            outbox.open(id)
            server.opened(id, from: .v4(0x7f00_0001, port: 4_000), certificate: shown, at: now)
            var bytes = Stage.request("GET /ws\(target) \(handshake)").bytes
            var span = bytes.mutableSpan
            server.received(id, &span, at: now)
            let answer = Self.waiting(outbox, id)
            #expect(answer.hasPrefix("HTTP/1.1 \(status) "), "\(target): \(answer)")
            server.closed(id, .peerEnded, at: now)
        }
    }

    /// What waits to be sent, as text.
    private static func waiting(_ outbox: Outbox, _ id: ConnectionID) -> String {
        let slices = UnsafeMutableBufferPointer<iovec>.allocate(capacity: 16)
        defer { unsafe slices.deallocate() }
        let count = unsafe outbox.gather(id, into: slices, bytesMax: 1 << 16)
        var text: [UInt8] = []
        for index in 0..<count {
            unsafe text += Array(UnsafeRawBufferPointer(start: slices[index].iov_base, count: slices[index].iov_len))
        }
        return String(decoding: text, as: UTF8.self)
    }
}
