// PacketReader: the text of one Socket.IO packet, read into ranges. Sees one whole message and keeps nothing; does not wait for attachments
// (PacketAssembler) and does not know which namespaces exist (NamespaceTable). Socket.IO protocol, revision 5, "Packet encoding".
//
// Cost: the index of the payload, some 5 ns a value; nothing is allocated but the placeholders of a binary packet.
import Base
public import JSON

/// Reads packets: `<type>[<attachments>-][<namespace>,][<ack id>][JSON]`.
public enum PacketReader {
    /// Reads the packet that is the whole of `bytes`.
    ///
    /// - Parameter index: holds the payload's index afterwards, which counts from the payload's first byte; empty where there is none.
    /// - Throws: ``PacketError``; the index is then of no use.
    public static func read(
        _ bytes: Span<UInt8>, index: inout JSONIndex, limits: PacketLimits
    ) throws(PacketError) -> Packet {
        index.reset()
        guard !bytes.isEmpty else { throw .empty }
        guard let kind = PacketKind(rawValue: bytes[0] &- UInt8(ascii: "0")) else { throw .unknownKind }
        var at = 1
        let attachments = kind.isBinary ? try readAttachments(bytes, at: &at, max: limits.attachmentsMax) : 0
        let namespace = try readNamespace(bytes, at: &at, bytesMax: limits.namespaceBytesMax)
        let ackID = try readAckID(bytes, at: &at)
        if ackID != nil, !kind.takesAckID { throw .unexpectedAckID }
        if ackID == nil, kind == .ack || kind == .binaryAck { throw .expectedAckID }
        let payload = at < bytes.count ? at..<bytes.count : nil
        if let payload {
            // A packet that takes no payload is refused before anything is spent on one.
            guard kind != .disconnect else { throw .unexpectedPayload }
            do throws(JSONError) {
                try index.build(from: bytes.extracting(payload))
            } catch {
                throw .notJSON(error)
            }
            try check(index, bytes.extracting(payload), kind)
        } else if kind != .connect, kind != .disconnect {
            throw .expectedPayload
        }
        var placeholders: [PacketPlaceholder] = []
        if let payload, attachments > 0 {
            placeholders.reserveCapacity(attachments)
            try find(&placeholders, within: index.root, of: index, bytes.extracting(payload), from: payload.lowerBound, attachments)
            guard placeholders.count == attachments else { throw .unusedAttachment }
        }
        return Packet(
            kind: kind, namespace: namespace, ackID: ackID, attachments: attachments, payload: payload, placeholders: placeholders)
    }

    private static func readAttachments(_ bytes: Span<UInt8>, at: inout Int, max: Int) throws(PacketError) -> Int {
        let start = at
        while at < bytes.count, bytes[at].isASCIIDigit { at &+= 1 }
        guard at > start, at < bytes.count, bytes[at] == UInt8(ascii: "-") else { throw .expectedAttachments }
        // A number beyond Int is beyond every limit.
        guard let count = bytes.decimal(at: start..<at), count <= max else { throw .tooManyAttachments }
        // The reference parser takes such a packet and then waits for ever, or goes on without its reassembly: it says nothing useful.
        guard count > 0 else { throw .noAttachments }
        at &+= 1
        return count
    }

    private static func readNamespace(_ bytes: Span<UInt8>, at: inout Int, bytesMax: Int) throws(PacketError) -> PacketNamespace {
        guard at < bytes.count, bytes[at] == UInt8(ascii: "/") else { return .main }
        let start = at
        var query: Int?
        // The comma is left out where nothing follows, as in `0/admin`.
        while at < bytes.count, bytes[at] != UInt8(ascii: ",") {
            guard at &- start < bytesMax else { throw .namespaceTooLong }
            guard bytes[at] >= 0x20, bytes[at] != 0x7f else { throw .badNamespace }
            if query == nil, bytes[at] == UInt8(ascii: "?") { query = at }
            at &+= 1
        }
        let end = query ?? at
        guard UTF8Validator.isValid(bytes.extracting(start..<at)) else { throw .badNamespace }
        if at < bytes.count { at &+= 1 }
        return end &- start == 1 ? .main : .named(start..<end)
    }

    private static func readAckID(_ bytes: Span<UInt8>, at: inout Int) throws(PacketError) -> UInt64? {
        let start = at
        var value: UInt64 = 0
        while at < bytes.count, bytes[at].isASCIIDigit {
            // Below 2^53 the next digit cannot overflow 64 bits.
            value = value &* 10 &+ UInt64(bytes[at] &- UInt8(ascii: "0"))
            guard value <= Packet.ackIDMax else { throw .ackIDTooLarge }
            at &+= 1
        }
        return at > start ? value : nil
    }

    // MARK: Payload

    private static func check(_ index: JSONIndex, _ payload: Span<UInt8>, _ kind: PacketKind) throws(PacketError) {
        let root = index.kind(of: index.root)
        switch kind {
        case .connect:
            guard root == .object else { throw .expectedObject }
        case .disconnect:
            throw .unexpectedPayload
        case .connectError:
            guard root == .object || root == .string else { throw .expectedObjectOrString }
        case .ack, .binaryAck:
            guard root == .array else { throw .expectedArray }
        case .event, .binaryEvent:
            guard root == .array else { throw .expectedArray }
            guard let name = index.elements(of: index.root).first(where: { _ in true }) else { throw .expectedEventName }
            switch index.kind(of: name) {
            case .number: return
            case .string: if isReserved(name, index, payload) { throw .reservedEventName }
            case .object, .array, .bool, .null: throw .expectedEventName
            }
        }
    }

    /// Names with a meaning of their own in the libraries that would hand them on.
    private static func isReserved(_ name: JSONNode, _ index: JSONIndex, _ payload: Span<UInt8>) -> Bool {
        index.equals(name, "connect", in: payload) || index.equals(name, "connect_error", in: payload)
            || index.equals(name, "disconnect", in: payload) || index.equals(name, "disconnecting", in: payload)
            || index.equals(name, "newListener", in: payload) || index.equals(name, "removeListener", in: payload)
    }

    /// Finds the placeholders within a value. As deep as the index's limit, no deeper.
    private static func find(
        _ found: inout [PacketPlaceholder], within node: JSONNode, of index: JSONIndex, _ payload: Span<UInt8>, from start: Int,
        _ attachments: Int
    ) throws(PacketError) {
        switch index.kind(of: node) {
        case .array:
            for element in index.elements(of: node) { try find(&found, within: element, of: index, payload, from: start, attachments) }
        case .object:
            if let mark = index.member("_placeholder", of: node, in: payload), index.bool(mark) == true {
                guard let number = index.int("num", of: node, in: payload), number >= 0, number < Int64(attachments) else {
                    throw .badPlaceholder
                }
                // Repetition would let a small packet stand for a large one.
                guard !found.contains(where: { $0.number == Int(number) }) else { throw .repeatedPlaceholder }
                let range = index.range(of: node)
                found.append(PacketPlaceholder(range: start &+ range.lowerBound..<start &+ range.upperBound, number: Int(number)))
                return
            }
            for (_, value) in index.members(of: node) { try find(&found, within: value, of: index, payload, from: start, attachments) }
        case .string, .number, .bool, .null: return
        }
    }
}
