// Log: one event is one line, whatever its values hold, and nothing below the level.
import Base
import Synchronization
import Testing

@Suite struct LogTests {
    /// The lines that a log wrote.
    final class Lines: Sendable {
        private let text = Mutex("")
        var all: String { text.withLock { $0 } }
        func add(_ line: borrowing ByteWriter) {
            let line = line.seal().description
            text.withLock { $0 += line }
        }
    }

    private func log(_ level: Log.Level = .debug, _ format: Log.Format = .text) -> (Log, Lines) {
        let lines = Lines()
        let log = Log(level: level, format: format) { lines.add($0) }
        log.now = WallTime(milliseconds: 1_769_860_800_123)
        return (log, lines)
    }

    @Test("text: key=value pairs, quoted where they must be")
    func text() {
        let (log, lines) = log()
        log.info("task submitted", ("task", 7), ("group", "a b"), ("from", PeerAddress.v4(0x7f00_0001, port: 80)), ("empty", ""))
        #expect(lines.all == """
            time=2026-01-31T12:00:00.123Z level=info event="task submitted" task=7 group="a b" from=127.0.0.1:80 empty=""

            """)
    }

    @Test("json: one object a line")
    func json() {
        let (log, lines) = log(.debug, .json)
        log.warning("slow", ("took", TimeSpan.seconds(2)), ("left", Int?.none), ("ok", false), ("id", ConnectionID(slot: 3, generation: 9)))
        #expect(lines.all == """
            {"time":"2026-01-31T12:00:00.123Z","level":"warning","event":"slow","took":2000,"left":null,"ok":false,"id":"3.9"}

            """)
    }

    @Test("every kind of value", arguments: [Log.Format.text, .json])
    func values(_ format: Log.Format) {
        let (log, lines) = log(.debug, format)
        log.error("e", ("a", UInt64.max), ("b", UInt8(1)), ("c", UInt16(2)), ("d", UInt32(3)), ("e", Int32(-4)))
        log.error("e", ("a", "word" as StaticString), ("b", SharedBytes([0x68, 0x69])), ("c", SharedBytes([0xff, 0x0a])), ("d", true))
        let quote = format == .json ? "\"" : ""
        let separator = format == .json ? "," : " "
        func pair(_ key: String, _ value: String) -> String { format == .json ? "\"\(key)\":\(value)" : "\(key)=\(value)" }
        let expected = [
            [pair("a", quote + "18446744073709551615" + quote), pair("b", "1"), pair("c", "2"), pair("d", "3"), pair("e", "-4")],
            [pair("a", quote + "word" + quote), pair("b", quote + "hi" + quote), pair("c", "\"\u{fffd}\\n\""), pair("d", "true")],
        ]
        for pairs in expected { #expect(lines.all.contains(separator + pairs.joined(separator: separator))) }
    }

    @Test("no value breaks a line, ends its quotes or speaks to a terminal", arguments: [
        ("a\nlevel=error", #""a\nlevel=error""#), ("\r\n", #""\r\n""#), ("a\"b", #""a\"b""#), ("a\\", #""a\\""#), ("a=b", #""a=b""#),
        ("\u{1b}[2J", #""\u001b[2J""#), ("\u{9b}2J", #""\u009b2J""#), ("\u{7f}", #""\u007f""#), ("\u{0}", #""\u0000""#), ("\t", #""\t""#),
        ("\u{2028}\u{2029}", #""\u2028\u2029""#), ("\u{202e}txt", #""\u202etxt""#), ("\u{feff}", #""\ufeff""#), ("\u{85}", #""\u0085""#),
        ("Grüße 日本", "\"Grüße 日本\""), ("é", "\"é\""), ("plain-1.2:3/4", nil),
    ] as [(String, String?)])
    func escapes(_ value: String, _ expected: String?) {
        let (text, textLines) = log()
        text.info("e", ("v", value))
        #expect(textLines.all == "time=2026-01-31T12:00:00.123Z level=info event=e v=\(expected ?? value)\n")
        let (json, jsonLines) = log(.debug, .json)
        json.info("e", ("v", value))
        let head = #"{"time":"2026-01-31T12:00:00.123Z","level":"info","event":"e","v":"#
        #expect(jsonLines.all == head + (expected ?? "\"\(value)\"") + "}\n")
    }

    @Test("every byte there is, as a value, leaves one line of visible characters")
    func everyByte() {
        for byte in UInt8.min...(.max) {
            for format in [Log.Format.text, .json] {
                let (log, lines) = log(.debug, format)
                log.info("e", ("v", SharedBytes([byte, 0x9b, byte])))
                let bytes = Array(lines.all.utf8)
                #expect(bytes.last == 0x0a)
                #expect(!bytes.dropLast().contains { $0 < 0x20 || $0 == 0x7f })
                #expect(!lines.all.unicodeScalars.contains { (0x80...0x9f).contains($0.value) })
            }
        }
    }

    @Test("a value is cut at its limit", arguments: ["x", "\n", "é", "\""])
    func cut(_ piece: String) {
        let (log, lines) = log()
        let long = String(repeating: piece, count: 100_000)
        log.info("e", ("v", long), ("b", SharedBytes(long)), ("end", 1))
        #expect(lines.all.utf8.count < 2 * Log.valueBytesMax + 200)
        #expect(lines.all.contains("...\""))
        #expect(lines.all.hasSuffix(" end=1\n"))
    }

    @Test("events below the level are dropped, and their values never become text", arguments: Log.Level.allCases)
    func levels(_ level: Log.Level) {
        struct Probe: LogValue {
            let asked: Lines
            var logText: LogText {
                asked.add(ByteWriter.of("x"))
                return .number(1)
            }
        }
        let asked = Lines()
        let (log, lines) = log(level)
        log.debug("d", ("v", Probe(asked: asked)))
        log.info("i", ("v", Probe(asked: asked)))
        log.warning("w", ("v", Probe(asked: asked)))
        log.error("e", ("v", Probe(asked: asked)))
        let expected = Log.Level.allCases.filter { $0 >= level }
        #expect(lines.all.split(separator: "\n").count == expected.count)
        #expect(asked.all.count == expected.count)
        for level in expected { #expect(lines.all.contains("level=\(level) ")) }
    }
}

extension ByteWriter {
    fileprivate static func of(_ text: String) -> ByteWriter {
        var writer = ByteWriter()
        writer.append(text)
        return writer
    }
}
