// HealthProbeService: how a deployment is asked whether it is well: one GET on a connection of our own, of whose answer the status is all
// that is read. Connects nothing itself, which is the host's errand, and judges nothing, which is the monitor's, as are when to ask
// and how many at once. Document E, and line 34 of the security rules: no redirect is followed, and time and bytes are bounded.
internal import Base
internal import Domain
internal import HTTP1

final class HealthProbeService {
    private let context: Context

    init(_ context: Context) { self.context = context }

    // MARK: A probe's life

    /// The connection is there, or on its way: what is written waits for it.
    func connected(_ id: ConnectionID, for probe: HealthProbe, at now: Instant) {
        guard HealthProbeService.isPlain(probe.host), HealthProbeService.isPlain(probe.path) else {
            context.outbox.abort(id)
            return tell(probe, .unhealthy(SharedBytes("its host or its path cannot stand in a request")), at: now)
        }
        let timer = context.arm(id, at: now + context.limits.probeTimeout)
        context.add(.probe(ProbeConversation(id: id, probe: probe, timer: timer)))
        context.outbox.write(to: id) { HealthProbeService.write(probe, to: &$0) }
    }

    /// There will be no connection.
    func notConnected(_ probe: HealthProbe, reason: SharedBytes, at now: Instant) { tell(probe, .unhealthy(reason), at: now) }

    func received(_ conversation: ProbeConversation, _ bytes: Span<UInt8>, at now: Instant) {
        conversation.received += bytes.count
        switch conversation.answer.read(bytes) {
        case .status(let code):
            // Who answers is told the end in order; what else it has to say is not read.
            context.outbox.closeAfterFlush(conversation.id)
            end(conversation, 200...299 ~= code ? .healthy : .unhealthy(SharedBytes("answered \(code)")), at: now)
        case .partial where conversation.received < context.limits.probeBytesMax: break
        case .partial, .malformed:
            context.outbox.abort(conversation.id)
            end(conversation, .unhealthy(SharedBytes("answer is not HTTP")), at: now)
        }
    }

    func closed(_ conversation: ProbeConversation, _ cause: CloseCause, at now: Instant) {
        end(conversation, .unhealthy(SharedBytes(cause.description)), at: now)
    }

    func timerDue(_ conversation: ProbeConversation, at now: Instant) {
        context.outbox.abort(conversation.id)
        let milliseconds = context.limits.probeTimeout.milliseconds
        let time = milliseconds % 1_000 == 0 ? "\(milliseconds / 1_000) s" : "\(milliseconds) ms"
        end(conversation, .unhealthy(SharedBytes("no answer within \(time)")), at: now)
    }

    /// Lets the probe go without a word: the server stops.
    func drop(_ conversation: ProbeConversation) {
        context.outbox.abort(conversation.id)
        forget(conversation)
    }

    private func end(_ conversation: ProbeConversation, _ outcome: HealthProbe.Outcome, at now: Instant) {
        forget(conversation)
        tell(conversation.probe, outcome, at: now)
    }

    private func tell(_ probe: HealthProbe, _ outcome: HealthProbe.Outcome, at now: Instant) {
        context.monitor.probed(probe, outcome, at: context.moment(now))
    }

    /// From here on the connection is nobody's: its end is not told to anybody.
    private func forget(_ conversation: ProbeConversation) {
        context.disarm(conversation.timer)
        context.remove(conversation.id)
    }

    // MARK: The request

    /// Whether the text may stand in a request's head as it is: whoever smuggles a line end into it would write fields, or a request, of
    /// their own (line 3 of the security rules). It was looked at when it came; this is the place where it would do harm.
    private static func isPlain(_ text: SharedBytes) -> Bool {
        let bytes = text.span
        for index in bytes.indices where bytes[index] <= 0x20 || bytes[index] == 0x7f { return false }
        return !bytes.isEmpty
    }

    private static func write(_ probe: HealthProbe, to writer: inout ByteWriter) {
        writer.append("GET ")
        writer.append(probe.path)
        writer.append(" HTTP/1.1\r\nHost: ")
        // RFC 9110 §7.2, RFC 3986 §3.2.2: an IPv6 address stands in brackets, for its colons.
        let isBare = probe.host.span.find(UInt8(ascii: ":")) != nil && probe.host.span[0] != UInt8(ascii: "[")
        if isBare { writer.append("[") }
        writer.append(probe.host)
        if isBare { writer.append("]") }
        writer.append(":")
        writer.append(decimal: Int(probe.port))
        writer.append("\r\nUser-Agent: signalbox\r\nAccept: */*\r\nConnection: close\r\n\r\n")
    }
}
