// Log: what happened, for the people who run the server, one line an event. Writes `key=value` pairs or JSON objects and hands each line
// to a sink that main chose. Reads no clock and knows no file; payloads and tokens do not belong in it.
//
// Cost: an event below the level is one compare; its values are turned into text only when it is written.

/// The server's log. Belongs to one thread, like everything that holds it.
public final class Log {
    public enum Level: UInt8, Comparable, Sendable, CaseIterable {
        case debug, info, warning, error

        @inlinable public static func < (left: Level, right: Level) -> Bool { left.rawValue < right.rawValue }
    }

    public enum Format: Sendable {
        /// `time=… level=info event="task submitted" task=…`
        case text
        /// `{"time":"…","level":"info","event":"task submitted","task":"…"}`
        case json
    }

    /// Bytes of one value that are written; the rest becomes `...`. 1 KiB holds every identity and address, and no peer fills a disk.
    public static let valueBytesMax = 1 << 10

    /// Memory that is kept from line to line.
    private static let lineBytesRetained = 4 << 10

    /// Events below it are dropped.
    public let level: Level
    public let format: Format
    /// The time of the events that follow: the reactor sets it once a turn.
    public var now = WallTime(milliseconds: 0)

    private let sink: @Sendable (borrowing ByteWriter) -> Void
    private var line = ByteWriter()

    /// - Parameter sink: takes one line at a time, its line feed included; the bytes hold until it returns.
    public init(level: Level, format: Format, sink: @escaping @Sendable (borrowing ByteWriter) -> Void) {
        self.level = level
        self.format = format
        self.sink = sink
    }

    /// For development: the path of a single message.
    @inlinable
    public func debug<each Value: LogValue>(_ event: StaticString, _ fields: repeat (StaticString, each Value)) {
        if level <= .debug { write(.debug, event, repeat each fields) }
    }

    /// What a reader of the log wants to find again: tasks, workers, connections.
    @inlinable
    public func info<each Value: LogValue>(_ event: StaticString, _ fields: repeat (StaticString, each Value)) {
        if level <= .info { write(.info, event, repeat each fields) }
    }

    /// The server goes on, but somebody should look.
    @inlinable
    public func warning<each Value: LogValue>(_ event: StaticString, _ fields: repeat (StaticString, each Value)) {
        if level <= .warning { write(.warning, event, repeat each fields) }
    }

    /// Something that was asked for could not be done.
    @inlinable
    public func error<each Value: LogValue>(_ event: StaticString, _ fields: repeat (StaticString, each Value)) {
        write(.error, event, repeat each fields)
    }

    @usableFromInline
    func write<each Value: LogValue>(_ level: Level, _ event: StaticString, _ fields: repeat (StaticString, each Value)) {
        line.removeAll(retaining: Log.lineBytesRetained)
        if format == .json { line.append(UInt8(ascii: "{")) }
        append(key: "time")
        if format == .json { line.append(UInt8(ascii: "\"")) }
        now.append(iso8601To: &line)
        if format == .json { line.append(UInt8(ascii: "\"")) }
        append(key: "level")
        switch level {
        case .debug: append(value: .literal("debug"))
        case .info: append(value: .literal("info"))
        case .warning: append(value: .literal("warning"))
        case .error: append(value: .literal("error"))
        }
        append(key: "event")
        append(value: .literal(event))
        for (key, value) in repeat each fields {
            append(key: key)
            append(value: value.logText)
        }
        if format == .json { line.append(UInt8(ascii: "}")) }
        line.append(UInt8(ascii: "\n"))
        sink(line)
    }

    /// Appends what stands before a value. Keys are words of the source: they need no escapes.
    private func append(key: StaticString) {
        switch format {
        case .text:
            if !line.isEmpty { line.append(UInt8(ascii: " ")) }
            line.append(key)
            line.append(UInt8(ascii: "="))
        case .json:
            if line.count > 1 { line.append(UInt8(ascii: ",")) }
            line.append(UInt8(ascii: "\""))
            line.append(key)
            line.append("\":")
        }
    }

    private func append(value: LogText) {
        switch value {
        case .number(let number): line.append(decimal: number)
        case .truth(let truth): line.append(truth ? "true" : "false")
        case .absent: line.append("null")
        case .text(let text): append(text: text)
        case .literal(let text): append(text: text.description)
        case .bytes(let bytes):
            // Four bytes at most make one scalar: what lies beyond the limit need not be decoded.
            append(text: bytes[0..<min(bytes.count, Log.valueBytesMax + 4)].description)
        }
    }

    /// Appends a text, quoted where the format or its content wants that.
    private func append(text: String) {
        if format == .text, !text.isEmpty, text.utf8.count <= Log.valueBytesMax, text.utf8.allSatisfy(Log.isBare) {
            line.append(text)
            return
        }
        line.append(UInt8(ascii: "\""))
        let end = line.count + Log.valueBytesMax
        for scalar in text.unicodeScalars {
            guard line.count < end else {
                line.append("...")
                break
            }
            append(escaping: scalar)
        }
        line.append(UInt8(ascii: "\""))
    }

    /// Appends a scalar as a JSON string has it (RFC 8259 §7), with nothing in it that breaks a line or speaks to a terminal.
    private func append(escaping scalar: Unicode.Scalar) {
        switch scalar.value {
        case 0x22: line.append("\\\"")
        case 0x5c: line.append("\\\\")
        case 0x0a: line.append("\\n")
        case 0x0d: line.append("\\r")
        case 0x09: line.append("\\t")
        // Controls of both sets, line and paragraph separators, and the marks that turn the direction of a text.
        case 0x00...0x1f, 0x7f...0x9f, 0x061c, 0x200b...0x200f, 0x2028...0x202e, 0x2060...0x206f, 0xfeff:
            line.append("\\u")
            line.append(hex: UInt64(scalar.value), digits: 4)
        default:
            for byte in Unicode.UTF8.encode(scalar) ?? Unicode.UTF8.encodedReplacementCharacter { line.append(byte) }
        }
    }

    /// Whether a byte may stand in an unquoted value: visible ASCII that means nothing to a reader of pairs.
    private static func isBare(_ byte: UInt8) -> Bool {
        byte > 0x20 && byte < 0x7f && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "=") && byte != UInt8(ascii: "\\")
    }
}

/// The content of a value in the log.
public enum LogText: Sendable {
    case number(Int)
    case truth(Bool)
    case text(String)
    case literal(StaticString)
    /// UTF-8; what is not is replaced.
    case bytes(SharedBytes)
    case absent
}

/// What can stand in the log. The conversion happens only when the event is written: give the value itself, not a text made of it.
public protocol LogValue {
    var logText: LogText { get }
}

extension Int: LogValue { public var logText: LogText { .number(self) } }
extension Int32: LogValue { public var logText: LogText { .number(Int(self)) } }
extension UInt8: LogValue { public var logText: LogText { .number(Int(self)) } }
extension UInt16: LogValue { public var logText: LogText { .number(Int(self)) } }
extension UInt32: LogValue { public var logText: LogText { .number(Int(self)) } }
extension UInt64: LogValue { public var logText: LogText { Int(exactly: self).map { .number($0) } ?? .text(description) } }
extension Bool: LogValue { public var logText: LogText { .truth(self) } }
extension String: LogValue { public var logText: LogText { .text(self) } }
extension StaticString: LogValue { public var logText: LogText { .literal(self) } }
extension SharedBytes: LogValue { public var logText: LogText { .bytes(self) } }
extension ConnectionID: LogValue { public var logText: LogText { .text(description) } }
extension PeerAddress: LogValue { public var logText: LogText { .text(description) } }
/// In milliseconds, rounded down.
extension TimeSpan: LogValue { public var logText: LogText { .number(Int(milliseconds)) } }
extension Optional: LogValue where Wrapped: LogValue { public var logText: LogText { self?.logText ?? .absent } }
