// PacketAssembler: puts binary packets together from their text and the binary messages behind it, in order. One for each client, over
// messages as Engine.IO delivers them; knows no namespaces and reads no clock. Socket.IO protocol, revision 5, "Packet encoding".
public import Base
public import JSON

/// A binary packet with all that belongs to it.
public struct AssembledPacket: Hashable, Sendable {
    public let packet: Packet
    /// What the packet's ranges lie in.
    public let text: SharedBytes
    /// The attachments by number.
    public let attachments: [SharedBytes]
}

/// The packets of one client.
///
/// An error is final: the session that it happened in is to be closed, and whatever comes still meets the same error.
public struct PacketAssembler: Sendable {
    private enum State: Sendable {
        /// The next message begins a packet.
        case between
        /// So many bytes of a packet are here, and attachments are due before the deadline.
        case gathering(packet: Packet, text: SharedBytes, attachments: [SharedBytes], bytes: Int, deadline: Instant)
        case broken(PacketError)
    }

    /// What a text brought.
    public enum Arrival: Hashable, Sendable {
        /// A packet that is whole; its ranges lie in the text, and the index is its payload's.
        case whole(Packet)
        /// A binary packet, whose attachments are due.
        case gathering
    }

    public let limits: PacketLimits
    private var state = State.between

    public init(limits: PacketLimits = PacketLimits()) {
        self.limits = limits
    }

    /// When the attachments that are due are late; nil while none are.
    public var deadline: Instant? {
        if case .gathering(_, _, _, _, let deadline) = state { deadline } else { nil }
    }

    /// Bytes of a packet whose attachments are due.
    public var heldBytes: Int {
        if case .gathering(_, _, _, let bytes, _) = state { bytes } else { 0 }
    }

    /// Takes a text message. A binary packet's text is copied, another's is not.
    public mutating func received(
        text: Span<UInt8>, index: inout JSONIndex, at now: Instant
    ) throws(PacketError) -> Arrival {
        switch state {
        case .broken(let error): throw error
        case .gathering: throw broken(.textAmongAttachments)
        case .between:
            let packet: Packet
            do throws(PacketError) {
                packet = try PacketReader.read(text, index: &index, limits: limits)
            } catch {
                throw broken(error)
            }
            guard packet.attachments > 0 else { return .whole(packet) }
            guard text.count <= limits.assembledBytesMax else { throw broken(.assemblyTooLong) }
            state = .gathering(
                packet: packet, text: SharedBytes(copying: text), attachments: [], bytes: text.count,
                deadline: now + limits.assemblyTimeout)
            return .gathering
        }
    }

    /// Takes a binary message, and copies it.
    ///
    /// - Returns: the packet that it completes; nil while more are due. The index of its payload is to be built anew.
    public mutating func received(binary: Span<UInt8>, at now: Instant) throws(PacketError) -> AssembledPacket? {
        switch state {
        case .broken(let error): throw error
        case .between: throw broken(.unexpectedAttachment)
        case .gathering(let packet, let text, var attachments, let bytes, let deadline):
            guard now < deadline else { throw broken(.assemblyTimeout) }
            guard binary.count <= limits.assembledBytesMax &- bytes else { throw broken(.assemblyTooLong) }
            // The state gives its array up, so that the append below does not copy it.
            state = .between
            attachments.append(SharedBytes(copying: binary))
            if attachments.count == packet.attachments {
                return AssembledPacket(packet: packet, text: text, attachments: attachments)
            }
            state = .gathering(packet: packet, text: text, attachments: attachments, bytes: bytes &+ binary.count, deadline: deadline)
            return nil
        }
    }

    /// Notices that attachments are late.
    ///
    /// - Throws: ``PacketError/assemblyTimeout`` from the deadline on, or what was thrown before.
    public mutating func expire(at now: Instant) throws(PacketError) {
        switch state {
        case .broken(let error): throw error
        case .between: return
        case .gathering(_, _, _, _, let deadline):
            if now >= deadline { throw broken(.assemblyTimeout) }
        }
    }

    /// Gives up what was gathered.
    private mutating func broken(_ error: PacketError) -> PacketError {
        state = .broken(error)
        return error
    }
}
