// Stage: plays a transcript against a real server on a FakeNetwork, and holds at its end what must hold at the end of every conversation:
// every request answered once or its connection gone, nothing queued, nothing left of anybody.
//
//     a > GET /healthz [Name: value] body      a request; Host, and with a body its length and type, are added
//     a >> bytes                               bytes as they are, with \r, \n and \0
//     a upgrades /ws?group=g [Name: value]     a handshake that is taken: its 101 is checked
//     w > {"type":"ready"}                     a text message; also `ping x`, `pong x`, `close 1000 x`, `binary x`, each behind `sends`
//     a < 200 [Name: value] body               the next response; `-` for an absent field
//     w < {"type":"pong"}                      the next message or control frame
//     a < data: x | a < end                    the next event of a stream, behind its response's head; the stream's end
//     w < {"type":"x",…                        the next one begins like that; the same for events
//     a < nothing | a < closed                 nothing came; the server ended the connection
//     a leaves | a stalls | a reads            the peer goes away, stops reading, reads on
//     * wait 10s | * stop | * hasten | * over  time, the operator
//     * yield | * yielded | * hand over        another process; also `call off`, and `yielding` for one that is still waited for
//     * hold jobs | * job 1 | * jobs 2         the pool: keep them, do the held one of that index, that many are held
//     * hold disk | * commit | * fail          the disk: write nothing by itself, write what waits, fail what waits
//     * break disk | * mend disk               the disk: fail everything from now on, write everything at once again
import Base
import Domain
import TestSupport
import Testing

@testable import Gateway
@testable import WebSockets

final class Stage {
    /// What a peer knows of its connection.
    private final class Peer {
        let link: FakeNetwork.Link
        var unread: [UInt8] = []
        /// Whether the requests that wait for an answer are HEAD.
        var pending: [Bool] = []
        var isWebSocket = false
        /// The content of a stream that is going on; nil where none is.
        var stream: [UInt8]?
        var isChunked = false
        var inflater: InflateContext?

        init(_ link: FakeNetwork.Link) { self.link = link }
    }

    let network: FakeNetwork
    private let chunking: Chunking
    private var peers: [String: Peer] = [:]
    private(set) var bindings = Bindings()

    /// - Parameter hasLeases: whether silent workers lose their tasks; else they have all the time of a conversation, and answer no pings.
    init(_ chunking: Chunking = .whole, _ settings: Settings = Settings(), hasLeases: Bool = false, seed: UInt64 = 1) {
        self.chunking = chunking
        var settings = settings
        if !hasLeases { settings.limits.workerLease = .seconds(86_400) }
        network = FakeNetwork(settings, seed: seed)
    }

    /// Plays a whole conversation, and its end.
    static func play(_ chunking: Chunking, _ text: String, sourceLocation: SourceLocation = #_sourceLocation) {
        play(chunking, Settings(), text, sourceLocation: sourceLocation)
    }

    static func play(
        _ chunking: Chunking, _ settings: Settings, hasLeases: Bool = false, _ text: String,
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        let stage = Stage(chunking, settings, hasLeases: hasLeases)
        stage.play(text, sourceLocation: sourceLocation)
        stage.end(sourceLocation: sourceLocation)
    }

    func play(_ text: String, sourceLocation: SourceLocation = #_sourceLocation) {
        for move in Transcript(text).moves {
            do {
                if let fault = try perform(move) {
                    Issue.record("line \(move.line), \(move.peer) \(move.verb): \(fault)", sourceLocation: sourceLocation)
                    return
                }
            } catch {
                Issue.record("line \(move.line), \(move.peer) \(move.verb): \(error)", sourceLocation: sourceLocation)
                return
            }
        }
    }

    /// What has come on the connection since it was last looked at.
    func take(_ name: String) -> [UInt8] {
        guard let peer = peers[name] else { return [] }
        peer.unread += peer.link.takeOutput()
        defer { peer.unread = [] }
        return peer.unread
    }

    func link(_ name: String) -> FakeNetwork.Link { peer(name).link }

    private func peer(_ name: String) -> Peer {
        if let peer = peers[name] { return peer }
        let peer = Peer(network.open())
        peers[name] = peer
        return peer
    }

    // MARK: Moves

    private static func cut(_ text: String) -> String { text.utf8.count > 300 ? "\(text.prefix(300))… (\(text.utf8.count) bytes)" : text }

    /// - Returns: what went wrong.
    private func perform(_ move: Transcript.Move) throws -> String? {
        if move.peer == "*" { return act(move.verb, move.text) }
        let peer = peer(move.peer)
        let text = bindings.fill(move.text)
        switch move.verb {
        case ">" where peer.isWebSocket: send(Wire.frame(1, Array(text.utf8)), peer)
        case ">": request(text, peer)
        case ">>": send(Stage.unescape(text), peer)
        case "upgrades": return try upgrade(text, peer)
        case "sends": return control(text, peer)
        case "<": return try expect(move.text, peer)
        case "leaves":
            network.leave(peer.link)
            peers[move.peer] = nil
        case "stalls": peer.link.stalls = true
        case "reads": network.read(peer.link)
        default: return "an unknown verb"
        }
        return nil
    }

    private func act(_ verb: String, _ text: String) -> String? {
        switch verb {
        case "wait":
            let number = Int64(text.prefix { $0.isNumber }) ?? 0
            let span: TimeSpan = text.hasSuffix("ms") ? .milliseconds(number) : .seconds(number)
            return network.wait(span) ? nil : "a timer spins"
        case "hold" where text == "disk": network.disk.mode = .holding
        case "hold": network.pool = .holding
        case "commit": network.settleDisk()
        case "fail": network.settleDisk(failing: true)
        case "break": network.disk.mode = .failing
        case "mend":
            network.disk.mode = .eager
            network.settleDisk()
        case "job":
            guard let index = Int(text), index < network.held.count else { return "no such job of \(network.held.count)" }
            network.perform(held: index)
        case "jobs": return String(network.held.count) == text ? nil : "\(network.held.count) jobs are held"
        case "stop":
            network.server.stop(at: network.now)
            network.pump()
        case "hasten":
            network.server.hasten(at: network.now)
            network.pump()
        case "yield":
            network.server.yield(at: network.now)
            network.pump()
        case "yielded": return network.server.hasYielded ? nil : "the server still waits for somebody"
        case "yielding": return network.server.hasYielded ? "the server waits for nobody" : nil
        case "call" where text == "off":
            network.server.callOff(at: network.now)
            network.pump()
        case "hand" where text == "over":
            network.server.handOver(at: network.now)
            network.pump()
        case "over": return network.server.isOver ? nil : "the server is not over"
        case "lasting": return network.server.isOver ? "the server is over" : nil
        default: return "an unknown verb"
        }
        return nil
    }

    private func send(_ bytes: [UInt8], _ peer: Peer) { network.send(bytes, on: peer.link, chunking) }

    static func unescape(_ text: String) -> [UInt8] {
        var bytes: [UInt8] = []
        var isEscape = false
        for byte in text.utf8 {
            switch (isEscape, byte) {
            case (false, UInt8(ascii: "\\")):
                isEscape = true
                continue
            case (true, UInt8(ascii: "r")): bytes.append(13)
            case (true, UInt8(ascii: "n")): bytes.append(10)
            case (true, UInt8(ascii: "0")): bytes.append(0)
            case (_, let byte): bytes.append(byte)
            }
            isEscape = false
        }
        return bytes
    }

    /// `METHOD target [Name: value]… body`
    private func request(_ text: String, _ peer: Peer) {
        let (bytes, isHead) = Stage.request(text)
        peer.pending.append(isHead)
        send(bytes, peer)
    }

    static func request(_ text: String) -> (bytes: [UInt8], isHead: Bool) {
        let parts = text.split(separator: " ", maxSplits: 2).map(String.init)
        var (fields, body) = split(parts.count > 2 ? parts[2] : "")
        var head = "\(parts[0]) \(parts[1]) HTTP/1.1\r\n"
        if !fields.contains(where: { $0.lowercased().hasPrefix("host:") }) { fields.insert("Host: signalbox.test", at: 0) }
        if !body.isEmpty {
            if !fields.contains(where: { $0.lowercased().hasPrefix("content-type:") }) { fields.append("Content-Type: application/json") }
            fields.append("Content-Length: \(body.utf8.count)")
        }
        for field in fields { head += field + "\r\n" }
        return (Array((head + "\r\n" + body).utf8), parts[0] == "HEAD")
    }

    /// Takes `[Name: value]` off the front.
    private static func split(_ text: String) -> (fields: [String], rest: String) {
        var fields: [String] = []
        var rest = text[...]
        while rest.hasPrefix("["), let end = rest.firstIndex(of: "]"), rest[..<end].contains(":") {
            fields.append(String(rest[rest.index(after: rest.startIndex)..<end]))
            rest = rest[rest.index(after: end)...].drop { $0 == " " }
        }
        return (fields, String(rest))
    }

    private func upgrade(_ text: String, _ peer: Peer) throws -> String? {
        let (target, rest) = (text.prefix { $0 != " " }, text.drop { $0 != " " }.drop { $0 == " " })
        let (fields, _) = Stage.split(String(rest))
        var head = "GET \(target) HTTP/1.1\r\nHost: signalbox.test\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
        head += "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        for field in fields { head += field + "\r\n" }
        send(Array((head + "\r\n").utf8), peer)
        peer.unread += peer.link.takeOutput()
        guard let reply = try Wire.reply(&peer.unread, isHead: false) else { return "no response to the handshake" }
        guard reply.status == 101 else { return "the handshake got \(reply.status) \(reply.body)" }
        // RFC 6455 §1.3's own example.
        guard reply.field("Sec-WebSocket-Accept") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" else { return "a wrong accept key" }
        if let extensions = reply.field("Sec-WebSocket-Extensions") {
            guard extensions.hasPrefix("permessage-deflate") else { return "extensions \(extensions)" }
            peer.inflater = InflateContext(windowBits: 15)
        }
        peer.isWebSocket = true
        return nil
    }

    private func control(_ text: String, _ peer: Peer) -> String? {
        let words = text.split(separator: " ", maxSplits: 1).map(String.init)
        let rest = words.count > 1 ? words[1] : ""
        switch words[0] {
        case "ping": send(Wire.frame(9, Array(rest.utf8)), peer)
        case "pong": send(Wire.frame(10, Array(rest.utf8)), peer)
        case "binary": send(Wire.frame(2, Array(rest.utf8)), peer)
        case "begin": send(Wire.frame(1, Array(rest.utf8), isFinal: false), peer)
        case "finish": send(Wire.frame(0, Array(rest.utf8)), peer)
        case "unmasked": send(Wire.frame(1, Array(rest.utf8), isMasked: false), peer)
        case "close":
            let words = rest.split(separator: " ", maxSplits: 1).map(String.init)
            send(Wire.close(words.first.flatMap { Int($0) }, words.count > 1 ? words[1] : ""), peer)
        default: return "an unknown frame"
        }
        return nil
    }

    // MARK: Expectations

    private func expect(_ text: String, _ peer: Peer) throws -> String? {
        peer.unread += peer.link.takeOutput()
        switch text {
        case "nothing":
            let isQuiet = peer.unread.isEmpty && (peer.stream ?? []).isEmpty
            return isQuiet && peer.link.state == .open ? nil : "something came: \(Stage.show(peer.unread))"
        case "closed":
            guard peer.unread.isEmpty else { return "before the end came \(Stage.show(peer.unread))" }
            return peer.link.state == .endedByServer ? nil : "still open"
        default: break
        }
        if peer.isWebSocket {
            guard let frame = try Wire.frame(&peer.unread) else { return "no frame came, but \(peer.unread.count) bytes" }
            var seen = try Wire.describe(frame, peer.inflater)
            // Most conversations are not about them: who names no lease, or no bound, is not told of any.
            if seen.hasPrefix("{\"type\":\"task\","), !text.contains("\"lease\"") {
                seen.replace(/"lease":\d+,/, with: "", maxReplacements: 1)
            }
            if seen.hasPrefix("{\"type\":\"connected\",\"workerId\""), !text.contains("\"maxMessageBytes\"") {
                seen.replace(/,"maxMessageBytes":\d+}$/, with: "}", maxReplacements: 1)
            }
            return matches(text, seen) ? nil : "expected \(Stage.cut(bindings.fill(text)))\n     got \(Stage.cut(seen))"
        }
        if peer.stream != nil { return try expectEvent(text, peer) }
        guard let reply = try Wire.reply(&peer.unread, isHead: peer.pending.first ?? false) else {
            return "no response came, but \(Stage.show(peer.unread))"
        }
        let isHead = reply.status >= 200 && !peer.pending.isEmpty ? peer.pending.removeFirst() : false
        if reply.field("Content-Type") == "text/event-stream", !isHead {
            peer.stream = []
            peer.isChunked = reply.field("Transfer-Encoding") == "chunked"
        }
        return compare(reply, text)
    }

    private func matches(_ text: String, _ seen: String) -> Bool {
        guard text.hasSuffix("…") else { return bindings.match(text, seen) }
        return seen.hasPrefix(bindings.fill(String(text.dropLast())))
    }

    private func expectEvent(_ text: String, _ peer: Peer) throws -> String? {
        var content = peer.stream ?? []
        while true {
            if let event = Wire.event(&content) {
                peer.stream = content
                return matches(text, event) ? nil : "expected \(Stage.cut(bindings.fill(text)))\n     got \(Stage.cut(event))"
            }
            if peer.isChunked {
                guard let chunk = try Wire.chunk(&peer.unread) else { return "no event came, but \(Stage.show(content + peer.unread))" }
                if chunk.isEmpty {
                    peer.stream = nil
                    return content.isEmpty && text == "end" ? nil : "the stream ended behind \(Stage.show(content))"
                }
                content += chunk
            } else {
                guard !peer.unread.isEmpty else { return "no event came, but \(Stage.show(content))" }
                content += peer.unread
                peer.unread = []
            }
        }
    }

    private func compare(_ reply: Reply, _ text: String) -> String? {
        let (status, rest) = (text.prefix { $0 != " " }, text.drop { $0 != " " }.drop { $0 == " " })
        let (fields, body) = Stage.split(String(rest))
        guard String(reply.status) == status else { return "expected \(status), got \(reply.status) \(Stage.cut(reply.body))" }
        for field in fields {
            let name = field.prefix { $0 != ":" }
            let value = field.dropFirst(name.count + 1).drop { $0 == " " }
            let seen = reply.field(String(name)) ?? "-"
            guard bindings.match(String(value), seen) else { return "expected \(field), got \(seen)" }
        }
        guard bindings.match(body, reply.body) else {
            return "expected \(Stage.cut(bindings.fill(body)))\n     got \(Stage.cut(reply.body))"
        }
        return nil
    }

    private static func show(_ bytes: [UInt8]) -> String { cut(String(decoding: bytes, as: UTF8.self)) }

    // MARK: The end

    /// What must hold when a conversation is over.
    func end(sourceLocation: SourceLocation = #_sourceLocation) {
        network.disk.mode = .eager
        network.settleDisk()
        while !network.held.isEmpty { network.perform(held: 0) }
        for (name, peer) in peers.sorted(by: { $0.key < $1.key }) {
            peer.link.takes = .max
            if peer.link.state == .open { network.read(peer.link) }
            peer.unread += peer.link.takeOutput()
            #expect(peer.unread.isEmpty, "\(name) got \(Stage.show(peer.unread))", sourceLocation: sourceLocation)
            if peer.link.state == .open {
                #expect(peer.isWebSocket || peer.pending.isEmpty, "\(name) waits for \(peer.pending.count)", sourceLocation: sourceLocation)
            }
        }
        network.checkEnd(sourceLocation: sourceLocation)
    }
}

extension FakeNetwork {
    /// Lets everybody go and looks for what they left behind.
    func checkEnd(sourceLocation: SourceLocation = #_sourceLocation) {
        for link in links { leave(link) }
        let context = server.context
        #expect(outbox.queuedBytes == 0, "bytes stay queued", sourceLocation: sourceLocation)
        #expect(context.allConversations.isEmpty, sourceLocation: sourceLocation)
        #expect(context.nextDeadline == nil, "a timer of a connection that is gone", sourceLocation: sourceLocation)
        #expect(context.resumable.isEmpty && context.jobs.isEmpty, sourceLocation: sourceLocation)
        #expect(context.broker.workerCount == 0, sourceLocation: sourceLocation)
        #expect(context.metrics.connectionsOpened == context.metrics.connectionsClosed, sourceLocation: sourceLocation)
        #expect(context.metrics.webSocketsOpen == 0 && context.metrics.eventStreamsOpen == 0, sourceLocation: sourceLocation)
        // Sessions by polling have no connection that would tell of their end.
        if server.sockets.count > 0 { wait(limits.socketPingInterval + limits.socketPingTimeout) }
        #expect(context.broker.hub.subscriberCount == 0 && !outbox.hasRoomy, sourceLocation: sourceLocation)
        // Every task ends by its own deadline, and is forgotten after its time.
        wait(limits.reportedSilenceMax + limits.taskTimeoutMax + limits.resultTTL + limits.abandonedGrace)
        // A task that failed may be tried again for longer.
        if server.context.broker.letterCount > 0 { wait(limits.deadLetterTime) }
        let broker = context.broker
        #expect(broker.queuedCount == 0 && broker.executingCount == 0 && broker.endedCount == 0, sourceLocation: sourceLocation)
        #expect(broker.groupCount == 0 && broker.payloadBytes == 0 && broker.endedBytes == 0, sourceLocation: sourceLocation)
        #expect(server.nextDeadline == nil, "something is still awaited", sourceLocation: sourceLocation)
        let sockets = server.sockets
        #expect(sockets.count == 0 && sockets.ids.isEmpty && sockets.recovery.count == 0, sourceLocation: sourceLocation)
        #expect(context.metrics.pollingSessions == 0, sourceLocation: sourceLocation)
    }
}
