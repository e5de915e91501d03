// PacketError: why a message is no packet, or none that belongs here. Ends the session of whoever sent it and nothing else; its sentence
// may be sent back, for it repeats nothing of the message.
public import JSON

/// Why a packet was refused.
public enum PacketError: Error, Hashable, Sendable {
    case empty
    case unknownKind
    /// A binary packet without the number of its attachments, or without the hyphen behind it.
    case expectedAttachments
    /// A binary packet that announces none.
    case noAttachments
    case tooManyAttachments
    case namespaceTooLong
    /// A namespace that is not UTF-8 or holds control characters.
    case badNamespace
    /// Above ``Packet/ackIDMax``.
    case ackIDTooLarge
    /// An acknowledgement of nothing.
    case expectedAckID
    /// An acknowledgement id on a kind that has none.
    case unexpectedAckID
    case expectedPayload
    case unexpectedPayload
    /// The payload is not JSON; the offset counts from the payload's first byte.
    case notJSON(JSONError)
    case expectedArray
    case expectedObject
    case expectedObjectOrString
    case expectedEventName
    case reservedEventName
    /// A placeholder whose number is missing, no integer, or names no attachment.
    case badPlaceholder
    /// Two placeholders of one attachment.
    case repeatedPlaceholder
    /// An attachment without a placeholder.
    case unusedAttachment
    /// A text where attachments were due.
    case textAmongAttachments
    /// A binary message that no packet announced.
    case unexpectedAttachment
    /// More bytes than one binary packet may have.
    case assemblyTooLong
    /// The attachments did not come in time.
    case assemblyTimeout
}

extension PacketError: CustomStringConvertible {
    /// A sentence for the sender.
    public var description: String {
        switch self {
        case .empty: "empty packet"
        case .unknownKind: "unknown packet type"
        case .expectedAttachments: "expected a number of attachments and '-'"
        case .noAttachments: "a binary packet needs an attachment"
        case .tooManyAttachments: "too many attachments"
        case .namespaceTooLong: "namespace too long"
        case .badNamespace: "namespace is not printable UTF-8"
        case .ackIDTooLarge: "acknowledgement id too large"
        case .expectedAckID: "expected an acknowledgement id"
        case .unexpectedAckID: "this packet type takes no acknowledgement id"
        case .expectedPayload: "expected a payload"
        case .unexpectedPayload: "this packet type takes no payload"
        case .notJSON(let error): "payload is not JSON: \(error) of the payload"
        case .expectedArray: "payload is not an array"
        case .expectedObject: "payload is not an object"
        case .expectedObjectOrString: "payload is neither an object nor a string"
        case .expectedEventName: "first element is no event name"
        case .reservedEventName: "event name is reserved"
        case .badPlaceholder: "placeholder names no attachment"
        case .repeatedPlaceholder: "two placeholders name the same attachment"
        case .unusedAttachment: "an attachment has no placeholder"
        case .textAmongAttachments: "expected a binary attachment and got text"
        case .unexpectedAttachment: "binary message that no packet announced"
        case .assemblyTooLong: "binary packet too long"
        case .assemblyTimeout: "attachments did not arrive in time"
        }
    }
}
