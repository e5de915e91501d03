// JSONError: why a text is not JSON, or more than the limits allow. Says where, in bytes, and says it in words that may be sent back
// to whoever wrote the text: it repeats nothing of the text itself.

/// Why a text was refused, and the byte at which that became certain.
public struct JSONError: Error, Hashable, Sendable {
    public enum Reason: Hashable, Sendable {
        case expectedValue
        case expectedKey
        case expectedColon
        case expectedCommaOrBrace
        case expectedCommaOrBracket
        /// Something follows the one value of the text.
        case expectedEnd
        case expectedDigit
        case unterminatedString
        /// A byte below 0x20 inside a string.
        case controlCharacter
        case badEscape
        case badUTF8
        /// More containers within each other than the limit.
        case tooDeep
        /// More bytes than the limit.
        case tooLong
    }

    public let reason: Reason
    /// The first byte that cannot stand; the length of the text where it ends too early.
    public let offset: Int

    public init(_ reason: Reason, at offset: Int) {
        self.reason = reason
        self.offset = offset
    }
}

extension JSONError: CustomStringConvertible {
    /// A sentence for the sender, as in "expected a value at byte 17".
    public var description: String { "\(reason.sentence) at byte \(offset)" }
}

extension JSONError.Reason {
    var sentence: String {
        switch self {
        case .expectedValue: "expected a value"
        case .expectedKey: "expected a key in double quotes"
        case .expectedColon: "expected ':'"
        case .expectedCommaOrBrace: "expected ',' or '}'"
        case .expectedCommaOrBracket: "expected ',' or ']'"
        case .expectedEnd: "expected the end of the text"
        case .expectedDigit: "expected a digit"
        case .unterminatedString: "expected a closing quote"
        case .controlCharacter: "unescaped control character"
        case .badEscape: "unknown escape"
        case .badUTF8: "invalid UTF-8"
        case .tooDeep: "nested too deeply"
        case .tooLong: "text too long"
        }
    }
}
