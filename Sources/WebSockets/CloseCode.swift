// CloseCode: why a WebSocket ends, as a number on the wire, and which numbers may stand there. What the product's own codes (4000 and
// up) mean is not known here. Obeys RFC 6455 §7.4 and the IANA registry of close codes.

/// The number in a close frame.
public struct CloseCode: RawRepresentable, Hashable, Sendable {
    public let rawValue: UInt16

    @inlinable
    public init(rawValue: UInt16) { self.rawValue = rawValue }

    public static let normal = CloseCode(rawValue: 1000)
    public static let goingAway = CloseCode(rawValue: 1001)
    public static let protocolError = CloseCode(rawValue: 1002)
    public static let unsupportedData = CloseCode(rawValue: 1003)
    public static let invalidPayload = CloseCode(rawValue: 1007)
    public static let policyViolation = CloseCode(rawValue: 1008)
    public static let messageTooBig = CloseCode(rawValue: 1009)
    public static let mandatoryExtension = CloseCode(rawValue: 1010)
    public static let internalError = CloseCode(rawValue: 1011)
    public static let serviceRestart = CloseCode(rawValue: 1012)
    public static let tryAgainLater = CloseCode(rawValue: 1013)
    public static let badGateway = CloseCode(rawValue: 1014)

    /// Whether the code may stand in a close frame.
    ///
    /// §7.4.1 reserves 1004 and keeps 1005, 1006 and 1015 off the wire; §7.4.2 leaves 0 to 999 unused and 1016 to 2999 to the
    /// protocol itself; 3000 to 3999 are registered and 4000 to 4999 private.
    @inlinable
    public var mayBeSent: Bool {
        switch rawValue {
        case 1000...1003, 1007...1014, 3000...4999: true
        default: false
        }
    }
}
