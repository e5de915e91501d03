// Packet: one Socket.IO packet as it lies in the text that brought it, and what a packet may cost. Holds ranges, no bytes: the text stays
// with whoever received it. Does not read (PacketReader) or write (PacketWriter). Socket.IO protocol, revision 5, "Packet encoding".
public import Base
public import JSON

/// What a packet is; the raw value is the digit that stands for it.
public enum PacketKind: UInt8, Hashable, Sendable, CaseIterable {
    case connect, disconnect, event, ack, connectError, binaryEvent, binaryAck

    /// Whether the packet announces attachments.
    public var isBinary: Bool { self == .binaryEvent || self == .binaryAck }

    /// Whether a packet's text announces attachments, as far as its first byte tells.
    public static func isBinary(_ text: Span<UInt8>) -> Bool {
        guard text.count > 0, let kind = PacketKind(rawValue: text[0] &- UInt8(ascii: "0")) else { return false }
        return kind.isBinary
    }

    /// Whether the packet may name an acknowledgement.
    var takesAckID: Bool {
        switch self {
        case .event, .ack, .binaryEvent, .binaryAck: true
        case .connect, .disconnect, .connectError: false
        }
    }
}

/// Bounds of packets.
public struct PacketLimits: Hashable, Sendable {
    /// Binary messages that one packet may announce.
    public let attachmentsMax: Int
    /// Bytes of a namespace's name, its query part included.
    public let namespaceBytesMax: Int
    /// Bytes of a binary packet: its text and its attachments together.
    public let assembledBytesMax: Int
    /// Time from a binary packet's text to its last attachment.
    public let assemblyTimeout: TimeSpan

    public init(
        attachmentsMax: Int = 16, namespaceBytesMax: Int = 128, assembledBytesMax: Int = 1_000_000, assemblyTimeout: TimeSpan = .seconds(20)
    ) {
        precondition(attachmentsMax >= 0 && namespaceBytesMax > 0 && assembledBytesMax > 0, "a limit below what one packet needs")
        self.attachmentsMax = attachmentsMax
        self.namespaceBytesMax = namespaceBytesMax
        self.assembledBytesMax = assembledBytesMax
        self.assemblyTimeout = assemblyTimeout
    }
}

/// Which namespace a packet belongs to.
public enum PacketNamespace: Hashable, Sendable {
    /// `/`, which packets leave out.
    case main
    /// A name that begins with a slash; where it lies in the text, without its query part.
    case named(Range<Int>)

    /// Whether this is the namespace `name`, as `/admin`; `/` is the main one.
    public func equals(_ name: Span<UInt8>, in bytes: Span<UInt8>) -> Bool {
        switch self {
        case .main: return name.count == 1 && name[0] == UInt8(ascii: "/")
        case .named(let range):
            guard range.count == name.count else { return false }
            for place in 0..<name.count where name[place] != bytes[range.lowerBound &+ place] { return false }
            return true
        }
    }
}

/// Where an attachment belongs in the payload: `{"_placeholder":true,"num":0}`.
public struct PacketPlaceholder: Hashable, Sendable {
    /// The object that stands for the attachment, braces included, as it lies in the text.
    public let range: Range<Int>
    /// Which attachment, from 0.
    public let number: Int

    public init(range: Range<Int>, number: Int) {
        self.range = range
        self.number = number
    }
}

/// One packet. Every range counts from the first byte of the text that the packet was read from.
public struct Packet: Hashable, Sendable {
    /// The largest acknowledgement id: 2^53 − 1, the last integer that a JavaScript peer can give back unchanged.
    public static let ackIDMax: UInt64 = 1 << 53 - 1

    public let kind: PacketKind
    public let namespace: PacketNamespace
    /// The number that an event asks to be answered with, or that an answer repeats; `ackIDMax` at most.
    public let ackID: UInt64?
    /// Binary messages that follow; 0 for kinds that have none, else at least 1.
    public let attachments: Int
    /// The JSON text; nil where there is none.
    public let payload: Range<Int>?
    /// Where the attachments belong, in the order of the text; each number below `attachments` exactly once.
    public let placeholders: [PacketPlaceholder]

    public init(
        kind: PacketKind, namespace: PacketNamespace = .main, ackID: UInt64? = nil, attachments: Int = 0, payload: Range<Int>? = nil,
        placeholders: [PacketPlaceholder] = []
    ) {
        self.kind = kind
        self.namespace = namespace
        self.ackID = ackID
        self.attachments = attachments
        self.payload = payload
        self.placeholders = placeholders
    }

    /// The name of an event, a string or a number, in the index of its payload; nil for other kinds.
    ///
    /// - Parameter index: as ``PacketReader/read(_:index:limits:)`` left it, or built anew from the same payload.
    public func eventName(in index: JSONIndex) -> JSONNode? {
        guard kind == .event || kind == .binaryEvent, !index.isEmpty else { return nil }
        return index.elements(of: index.root).first { _ in true }
    }
}
