// StatusReader: the status of a response, read while it arrives, and nothing else of it: whoever asks only whether somebody is well needs
// neither fields nor content. RFC 9112 §4, RFC 9110 §15.2.
//
// Cost: a few compares a byte, up to the status; nothing is kept of what was read.
import Base

/// Finds the status of the answer to a request.
public struct StatusReader: Equatable, Sendable {
    public enum Reading: Equatable, Sendable {
        /// The status is not whole yet.
        case partial
        /// This is no response of HTTP/1.x.
        case malformed
        /// The final status: three digits.
        case status(Int)
    }

    private enum Place: Equatable {
        /// So many bytes of `HTTP/1.x NNN` have come.
        case line(Int)
        /// In the head of an interim response.
        case interim(lineIsEmpty: Bool)
    }

    private var place = Place.line(0)
    private var code = 0

    private static let nameLength = 7
    private static let codeLength = 12

    public init() {}

    /// Takes the next bytes; none behind an answer other than `partial`.
    public mutating func read(_ bytes: Span<UInt8>) -> Reading {
        for index in bytes.indices {
            switch place {
            case .line(let position):
                guard takes(bytes[index], at: position) else { return .malformed }
                guard position == StatusReader.codeLength else {
                    place = .line(position + 1)
                    continue
                }
                // RFC 9110 §15.2: a client MUST be able to parse interim responses, though it does not expect any. 101 is none of them: it
                // ends HTTP on the connection.
                guard code / 100 == 1, code != 101 else { return .status(code) }
                place = .interim(lineIsEmpty: bytes[index] == .lineFeed)
            case .interim(let lineIsEmpty):
                switch bytes[index] {
                case .lineFeed where lineIsEmpty:
                    place = .line(0)
                    code = 0
                case .lineFeed: place = .interim(lineIsEmpty: true)
                case .carriageReturn: break
                default: place = .interim(lineIsEmpty: false)
                }
            }
        }
        return .partial
    }

    /// Whether `byte` may stand at `position` of a status line.
    private mutating func takes(_ byte: UInt8, at position: Int) -> Bool {
        switch position {
        case ..<StatusReader.nameLength:
            return byte == StatusReader.name[position]
        case StatusReader.nameLength:
            return byte.isASCIIDigit
        case StatusReader.nameLength + 1:
            return byte == UInt8(ascii: " ")
        case ..<StatusReader.codeLength:
            guard byte.isASCIIDigit else { return false }
            code = code * 10 + Int(byte - UInt8(ascii: "0"))
            return true
        default:
            // §4: the space behind the code stands even where no reason does; not everybody writes it.
            return byte == UInt8(ascii: " ") || byte == .carriageReturn || byte == .lineFeed
        }
    }

    private static let name: InlineArray<7, UInt8> = [0x48, 0x54, 0x54, 0x50, 0x2f, 0x31, 0x2e]
}
