// RedisReply: the replies of a Redis server as far as lists need them, RESP version 2: integers, strings, and arrays of strings. Commands
// are written as arrays of strings. Not a whole client.

public import Base

/// A reply, by where it lies.
public enum RedisReply: Equatable, Sendable {
    case incomplete
    /// A number, or a word such as OK.
    case done(end: Int)
    /// A string.
    case text(Range<Int>, end: Int)
    /// A list's name and what was taken from it.
    case pair(name: Range<Int>, text: Range<Int>, end: Int)
    /// An error, a null, or anything else that a run does not ask for.
    case refused

    /// The reply that begins at `start`.
    public static func read(_ bytes: Span<UInt8>, from start: Int) -> RedisReply {
        guard start < bytes.count, let line = endOfLine(bytes, start) else { return .incomplete }
        switch bytes[start] {
        case UInt8(ascii: ":"), UInt8(ascii: "+"): return .done(end: line + 2)
        case UInt8(ascii: "$"): return string(bytes, start, line)
        case UInt8(ascii: "*"):
            guard bytes.decimal(at: start + 1) == 2 else { return .refused }
            guard let second = endOfLine(bytes, line + 2) else { return .incomplete }
            switch string(bytes, line + 2, second) {
            case .text(let name, let end):
                guard let third = endOfLine(bytes, end) else { return .incomplete }
                guard case .text(let text, let last) = string(bytes, end, third) else { return .incomplete }
                return .pair(name: name, text: text, end: last)
            case .incomplete: return .incomplete
            case .done, .pair, .refused: return .refused
            }
        default: return .refused
        }
    }

    /// Appends a command.
    public static func append(command words: [[UInt8]], to output: inout ByteWriter) {
        output.append("*")
        output.append(decimal: words.count)
        output.append("\r\n")
        for word in words {
            output.append("$")
            output.append(decimal: word.count)
            output.append("\r\n")
            output.append(word.span)
            output.append("\r\n")
        }
    }

    private static func string(_ bytes: Span<UInt8>, _ start: Int, _ line: Int) -> RedisReply {
        guard bytes[start] == UInt8(ascii: "$"), let size = bytes.decimal(at: start + 1) else { return .refused }
        let begin = line + 2
        guard bytes.count - begin >= size + 2 else { return .incomplete }
        return .text(begin..<(begin + size), end: begin + size + 2)
    }

    /// Where the line that begins at `start` ends, its two last bytes being there.
    private static func endOfLine(_ bytes: Span<UInt8>, _ start: Int) -> Int? {
        var place = start
        while place + 1 < bytes.count {
            if bytes[place] == 0x0d, bytes[place + 1] == 0x0a { return place }
            place += 1
        }
        return nil
    }
}
