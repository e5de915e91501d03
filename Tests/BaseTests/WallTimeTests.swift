// WallTime: the calendar is right on every day that has four digits for its year, and the forms are those of the texts.
import Base
import Testing

@Suite struct WallTimeTests {
    private func iso(_ milliseconds: Int64) -> String {
        var writer = ByteWriter()
        WallTime(milliseconds: milliseconds).append(iso8601To: &writer)
        return writer.seal().description
    }

    private func imf(_ milliseconds: Int64) -> String {
        var writer = ByteWriter()
        WallTime(milliseconds: milliseconds).append(imfFixdateTo: &writer)
        return writer.seal().description
    }

    @Test("RFC 9110 §5.6.7 and RFC 3339 §5.6: known points of time", arguments: [
        (784_111_777_000, "1994-11-06T08:49:37.000Z", "Sun, 06 Nov 1994 08:49:37 GMT"),
        (0, "1970-01-01T00:00:00.000Z", "Thu, 01 Jan 1970 00:00:00 GMT"),
        (-1, "1969-12-31T23:59:59.999Z", "Wed, 31 Dec 1969 23:59:59 GMT"),
        (951_782_400_000, "2000-02-29T00:00:00.000Z", "Tue, 29 Feb 2000 00:00:00 GMT"),
        (1_769_860_800_123, "2026-01-31T12:00:00.123Z", "Sat, 31 Jan 2026 12:00:00 GMT"),
        (4_107_542_399_999, "2100-02-28T23:59:59.999Z", "Sun, 28 Feb 2100 23:59:59 GMT"),
        (4_107_542_400_000, "2100-03-01T00:00:00.000Z", "Mon, 01 Mar 2100 00:00:00 GMT"),
        (253_402_300_799_999, "9999-12-31T23:59:59.999Z", "Fri, 31 Dec 9999 23:59:59 GMT"),
        (-62_167_219_200_000, "0000-01-01T00:00:00.000Z", "Sat, 01 Jan 0000 00:00:00 GMT"),
        (-62_162_035_200_001, "0000-02-29T23:59:59.999Z", "Tue, 29 Feb 0000 23:59:59 GMT"),
    ] as [(Int64, String, String)])
    func known(_ milliseconds: Int64, _ isoText: String, _ imfText: String) {
        #expect(iso(milliseconds) == isoText)
        #expect(imf(milliseconds) == imfText)
        #expect(imf(milliseconds).utf8.count == 29)
    }

    @Test("times outside of four-digit years become the nearest end, and none traps")
    func clamped() {
        #expect(iso(.max) == "9999-12-31T23:59:59.999Z")
        #expect(iso(.min) == "0000-01-01T00:00:00.000Z")
    }

    @Test("every day of ten thousand years follows the one before by the rules of the calendar")
    func everyDay() {
        var (year, month, day, weekday) = (0, 1, 1, 6)
        let weekdays = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
        let lengths = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        var wrong = 0
        var writer = ByteWriter()
        // Every 400 years are the same 146,097 days: the first and the last of them, and the turn of the century between, say it all.
        for dayNumber in Int64(-719_528)..<(-719_528 + 3_652_425) {
            if year < 401 || (1_899...2_101).contains(year) || year > 9_598 {
                let time = WallTime(milliseconds: dayNumber * 86_400_000 + 86_399_999)
                writer.removeAll()
                time.append(iso8601To: &writer)
                let span = writer.span
                if span.decimal(at: 0..<4) != year || span.decimal(at: 5..<7) != month || span.decimal(at: 8..<10) != day { wrong += 1 }
                if day == 1, imf(time.milliseconds).prefix(3) != weekdays[weekday] { wrong += 1 }
            }
            let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
            weekday = (weekday + 1) % 7
            day += 1
            if day > lengths[month - 1] + (month == 2 && isLeap ? 1 : 0) { (day, month) = (1, month + 1) }
            if month > 12 { (month, year) = (1, year + 1) }
        }
        #expect(year == 10_000)
        #expect(wrong == 0)
    }

    @Test("seconds are rounded down on both sides of 1970", arguments: [
        (0, 0), (999, 0), (1_000, 1), (-1, -1), (-1_000, -1), (-1_001, -2),
        (Int64.max, 9_223_372_036_854_775), (Int64.min, -9_223_372_036_854_776),
    ] as [(Int64, Int64)])
    func seconds(_ milliseconds: Int64, _ seconds: Int64) {
        #expect(WallTime(milliseconds: milliseconds).seconds == seconds)
    }

    @Test("the date line is the same block for a second, and right after it, also backwards")
    func dateLine() {
        var line = DateLine()
        let first = line.bytes(at: WallTime(milliseconds: 784_111_777_000))
        #expect(first.description == "Sun, 06 Nov 1994 08:49:37 GMT")
        let second = line.bytes(at: WallTime(milliseconds: 784_111_777_999))
        #expect(address(first) == address(second))
        #expect(line.bytes(at: WallTime(milliseconds: 784_111_778_000)).description == "Sun, 06 Nov 1994 08:49:38 GMT")
        #expect(line.bytes(at: WallTime(milliseconds: 784_111_776_999)).description == "Sun, 06 Nov 1994 08:49:36 GMT")
    }

    private func address(_ bytes: SharedBytes) -> UInt {
        unsafe bytes.span.withUnsafeBufferPointer { UInt(bitPattern: $0.baseAddress) }
    }
}
