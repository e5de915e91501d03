// PacketWriter: Socket.IO packets as the bytes of a text message, written behind whatever the writer holds already. Splices payloads as
// they are and does not read them; Engine.IO's digit in front is the transport's. Socket.IO protocol, revision 5, "Packet encoding".
//
// Cost: a few appends; nothing is allocated beyond the writer's own growth.
public import Base
import JSON

/// Writes packets. A namespace is its name, as `/admin`; the main one, `/`, may be empty as well.
public enum PacketWriter {
    /// Writes all that stands before the payload, which the caller writes next.
    ///
    /// - Parameter attachments: how many binary messages follow; written for binary kinds, which have at least one.
    public static func head(
        _ kind: PacketKind, namespace: Span<UInt8>, ackID: UInt64? = nil, attachments: Int = 0, to writer: inout ByteWriter
    ) {
        precondition(kind.isBinary ? attachments > 0 : attachments == 0, "\(attachments) attachments of a packet of kind \(kind)")
        precondition(ackID == nil || kind.takesAckID, "an acknowledgement id on a packet of kind \(kind)")
        writer.append(UInt8(ascii: "0") + kind.rawValue)
        if attachments > 0 {
            writer.append(decimal: attachments)
            writer.append(UInt8(ascii: "-"))
        }
        if namespace.count > 1 {
            writer.append(namespace)
            writer.append(UInt8(ascii: ","))
        }
        if let ackID {
            precondition(ackID <= Packet.ackIDMax, "the acknowledgement id \(ackID) is beyond what every peer can repeat")
            writer.append(decimal: Int(ackID))
        }
    }

    /// Writes a packet around a payload that is JSON already.
    public static func packet(
        _ kind: PacketKind, namespace: Span<UInt8>, ackID: UInt64? = nil, attachments: Int = 0, payload: Span<UInt8>,
        to writer: inout ByteWriter
    ) {
        head(kind, namespace: namespace, ackID: ackID, attachments: attachments, to: &writer)
        writer.append(payload)
    }

    /// Writes the answer to a CONNECT that is let in: `0/admin,{"sid":"…"}`.
    ///
    /// - Parameters:
    ///   - sid: names the client within the namespace.
    ///   - pid: the secret with which its state is recovered; nil where there is no recovery.
    public static func connected(namespace: Span<UInt8>, sid: SharedBytes, pid: SharedBytes? = nil, to writer: inout ByteWriter) {
        head(.connect, namespace: namespace, to: &writer)
        writer.object { object in
            object.member("sid", string: sid)
            if let pid { object.member("pid", string: pid) }
        }
    }

    /// Writes the answer to a CONNECT that is refused: `4/random,{"message":"Invalid namespace"}`.
    ///
    /// - Parameter data: JSON for the program at the other end, beside the words.
    public static func refused(
        namespace: Span<UInt8>, message: StaticString, data: SharedBytes? = nil, to writer: inout ByteWriter
    ) {
        head(.connectError, namespace: namespace, to: &writer)
        writer.object { object in
            object.member("message", string: message)
            if let data { object.member("data", raw: data) }
        }
    }

    /// Writes the refusal of a namespace that does not exist, in the protocol's own words.
    public static func invalidNamespace(_ namespace: Span<UInt8>, to writer: inout ByteWriter) {
        refused(namespace: namespace, message: "Invalid namespace", to: &writer)
    }

    /// Writes the end of a namespace: `1/admin,`.
    public static func disconnect(namespace: Span<UInt8>, to writer: inout ByteWriter) {
        head(.disconnect, namespace: namespace, to: &writer)
    }

    /// Writes what stands in a payload for the attachment `number`, from 0.
    public static func placeholder(_ number: Int, to writer: inout ByteWriter) {
        writer.append(#"{"_placeholder":true,"num":"#)
        writer.append(decimal: number)
        writer.append(UInt8(ascii: "}"))
    }
}
