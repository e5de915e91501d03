// SocketIOCheck: no bytes make a packet trap; its ranges lie in its text; written again it is read as the same; and whatever comes to one
// client, its packets are whole, its namespaces answer, and an error is final.
import Base
import JSON
import SocketIO

private let limits = PacketLimits(attachmentsMax: 4, namespaceBytesMax: 32, assembledBytesMax: 1 << 10, assemblyTimeout: .milliseconds(20))

func checkSocketIO(_ input: FuzzInput) {
    read(input.bytes)
    var client = Client()
    for message in input.messages { client.hears(message) }
}

private func read(_ text: [UInt8]) {
    var index = JSONIndex()
    guard let packet = try? PacketReader.read(text.span, index: &index, limits: limits) else { return }
    check(packet, text.count)
    require(packet.payload != nil || index.isEmpty, "an index of nothing")
    var namespace: [UInt8] = []
    if case .named(let range) = packet.namespace { namespace = Array(text[range]) }
    var writer = ByteWriter()
    PacketWriter.packet(
        packet.kind, namespace: namespace.span, ackID: packet.ackID, attachments: packet.attachments,
        payload: text.span.extracting(packet.payload ?? 0..<0), to: &writer)
    let written = array(writer.span)
    do {
        let again = try PacketReader.read(written.span, index: &index, limits: limits)
        require(again.kind == packet.kind && again.ackID == packet.ackID && again.attachments == packet.attachments, "read as another")
        require(again.payload.map { Array(written[$0]) } == packet.payload.map { Array(text[$0]) }, "read with another payload")
        require(again.placeholders.map(\.number) == packet.placeholders.map(\.number), "read with other placeholders")
        // The main namespace may have been spelled out, and is then not.
        if case .named(let range) = again.namespace { require(Array(written[range]) == namespace, "read of another namespace") }
    } catch {
        fatalError("a packet that was written cannot be read: \(error)")
    }
}

private func check(_ packet: Packet, _ count: Int) {
    if case .named(let range) = packet.namespace { require(range.lowerBound > 0 && range.upperBound <= count, "\(range) of \(count)") }
    if let payload = packet.payload { require(!payload.isEmpty && payload.upperBound <= count, "\(payload) of \(count)") }
    require(packet.attachments <= limits.attachmentsMax && packet.kind.isBinary == (packet.attachments > 0), "\(packet.attachments) parts")
    require(packet.placeholders.map(\.number).sorted() == Array(0..<packet.attachments), "other placeholders than attachments")
    for placeholder in packet.placeholders { require(placeholder.range.upperBound <= count, "a placeholder beyond the text") }
}

/// One client's packets and namespaces.
private struct Client {
    private var assembler = PacketAssembler(limits: limits)
    private var namespaces = NamespaceTable(
        names: [SharedBytes("/"), SharedBytes("/a")], connectBefore: Instant(nanoseconds: 0) + .milliseconds(100))
    private var index = JSONIndex()
    private var now = Instant(nanoseconds: 0)
    private var error: PacketError?

    /// The first byte says what, the others are what comes.
    mutating func hears(_ piece: [UInt8]) {
        let bytes = Array(piece.dropFirst())
        do throws(PacketError) {
            switch (piece.first ?? 0) % 8 {
            case 0: if let whole = try assembler.received(binary: bytes.span, at: now) { take(whole) }
            case 1:
                now = now + .milliseconds(Int64(bytes.first ?? 0) % 30)
                try assembler.expire(at: now)
                if case .end = namespaces.expire(at: now) { require(namespaces.deadline == nil, "a deadline behind the end") }
            default:
                if case .whole(let packet) = try assembler.received(text: bytes.span, index: &index, at: now) { act(packet, bytes) }
            }
            require(error == nil, "an error that was not final")
        } catch {
            require(self.error == nil || self.error == error, "\(error) behind another")
            self.error = error
            require(assembler.deadline == nil && !error.description.isEmpty, "an error that waits, or says nothing")
        }
    }

    private mutating func take(_ whole: AssembledPacket) {
        check(whole.packet, whole.text.count)
        require(whole.attachments.count == whole.packet.attachments, "parts are missing")
        require(whole.attachments.reduce(whole.text.count) { $0 + $1.count } <= limits.assembledBytesMax, "more than one packet may have")
        act(whole.packet, array(whole.text.span))
    }

    private mutating func act(_ packet: Packet, _ text: [UInt8]) {
        switch namespaces.received(packet, in: text.span) {
        case .judge(let namespace): _ = text.count % 2 == 0 ? namespaces.accept(namespace) : namespaces.refuse(namespace)
        case .event(let namespace), .acknowledgement(let namespace): require(namespaces.isConnected(namespace), "it is not there")
        case .left(let namespace): require(!namespaces.isConnected(namespace), "it is still there")
        case .none, .refuseUnknown, .end: break
        }
    }
}
