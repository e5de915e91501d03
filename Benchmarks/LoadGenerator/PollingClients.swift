// PollingClients: the clients of a monitor run that have no WebSocket: each holds a GET open all the time on a connection of its own, and
// sends what it has to say by POST before the next GET (Engine.IO revision 4, "HTTP long-polling"). What becomes of the events is the
// run's affair.
//
// Cost of an answer: a recv and a send of 2 µs each, which dominate.

import Base
import LoadSupport

final class PollingClients {
    private enum Phase {
        case listening
        /// The sessions are being ended: what still comes is of no interest.
        case leaving
    }

    private let target: Target
    private var phase = Phase.listening
    private var streams: [ResponseStream]
    private var parser = ResponseParser()
    /// Where each one's session is reached; empty before its handshake is answered.
    private var paths: [String]
    /// The request that each one repeats.
    private var polls: [[UInt8]]
    private var output = ByteWriter(capacity: 4096)

    /// Requests that were answered.
    private(set) var answered = 0

    /// The whole answer to a POST.
    private static let accepted = Array("ok".utf8)

    init(_ target: Target, count: Int) {
        self.target = target
        streams = Array(repeating: ResponseStream(), count: count)
        paths = Array(repeating: "", count: count)
        let handshake = RequestRun.request(target, path: MonitorMessage.pollingPath, body: nil)
        polls = Array(repeating: handshake, count: count)
    }

    var count: Int { polls.count }

    /// Asks for what comes next, the handshake being the first.
    func poll(_ client: Int, _ link: Int, _ links: Links) {
        output.removeAll()
        let poll = polls[client]
        output.append(poll.span)
        links.send(output, on: link)
    }

    /// Takes what a client was sent, says what is to be said to it, and polls again.
    /// - Parameter take: Is given each packet that is an event or the confirmation of a subscription.
    func hear(_ bytes: Span<UInt8>, _ client: Int, _ link: Int, _ links: Links, _ take: (MonitorMessage.FromServer, Int) -> Void) {
        guard case .listening = phase else { return }
        output.removeAll()
        let isSound = streams[client].receive(bytes, by: &parser) { status, body in
            guard status == 200 else { return links.fail(link, "a polling client was answered with status \(status)") }
            answered += 1
            if body.count == Self.accepted.count, body.hasPrefix(Self.accepted) { return }
            MonitorMessage.forEachPacket(in: body) { packet in hear(packet: packet, client, link, links, take) }
            let poll = polls[client]
            output.append(poll.span)
        }
        guard isSound else { return links.fail(link, "the server sent what is no response of a known length") }
        links.send(output, on: link)
    }

    /// Ends all sessions, by requests on a link on which nothing else waits. Left alone, they would be kept up for those who might return.
    func leave(_ link: Int, _ links: Links) {
        phase = .leaving
        output.removeAll()
        for client in paths.indices where !paths[client].isEmpty { say(MonitorMessage.close, client) }
        links.send(output, on: link)
    }

    private func hear(
        packet: Span<UInt8>, _ client: Int, _ link: Int, _ links: Links, _ take: (MonitorMessage.FromServer, Int) -> Void
    ) {
        let message = MonitorMessage.read(packet)
        switch message {
        case .opened(let session):
            let name = (session.lowerBound..<session.upperBound).map { packet[$0] }
            paths[client] = MonitorMessage.pollingPath + "&sid=" + String(decoding: name, as: UTF8.self)
            polls[client] = RequestRun.request(target, path: paths[client], body: nil)
            say(MonitorMessage.connect, client)
        case .connected: say(MonitorMessage.subscribe, client)
        case .ping: say(MonitorMessage.pong, client)
        case .refused: links.fail(link, "the server ended a polling session, or refused what it asked for")
        case .subscribed, .activity, .event: take(message, packet.count)
        case .other: break
        }
    }

    private func say(_ packet: [UInt8], _ client: Int) {
        let request = RequestRun.request(
            target, path: paths[client], body: String(decoding: packet, as: UTF8.self), type: "text/plain;charset=UTF-8")
        output.append(request.span)
    }
}
