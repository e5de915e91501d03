// WallTime: the time of day, for people and for messages, and its two written forms. Does its own calendar and reads no clock: the
// reactor samples one a turn. Nothing waits on it, because it can jump; deadlines are Instants.

/// A point of civil time: milliseconds since 1970-01-01T00:00:00Z, leap seconds not counted.
public struct WallTime: Comparable, Hashable, Sendable {
    public let milliseconds: Int64

    @inlinable public init(milliseconds: Int64) { self.milliseconds = milliseconds }

    /// Whole seconds since 1970, rounded down.
    @inlinable public var seconds: Int64 {
        let (whole, rest) = milliseconds.quotientAndRemainder(dividingBy: 1_000)
        return rest < 0 ? whole - 1 : whole
    }

    @inlinable public static func < (left: WallTime, right: WallTime) -> Bool { left.milliseconds < right.milliseconds }

    /// Appends the form of the HTTP Date field, 29 bytes: `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 §5.6.7).
    public func append(imfFixdateTo writer: inout ByteWriter) {
        let civil = CivilTime(self)
        writer.append(text: "SunMonTueWedThuFriSat", civil.weekday)
        writer.append(", ")
        writer.append(digits: civil.day, 2)
        writer.append(UInt8(ascii: " "))
        writer.append(text: "JanFebMarAprMayJunJulAugSepOctNovDec", civil.month - 1)
        writer.append(UInt8(ascii: " "))
        writer.append(digits: civil.year, 4)
        writer.append(UInt8(ascii: " "))
        writer.append(clock: civil)
        writer.append(" GMT")
    }

    /// Appends the form of messages and logs, 24 bytes: `2026-01-31T12:00:00.123Z` (ISO 8601, RFC 3339 §5.6).
    public func append(iso8601To writer: inout ByteWriter) {
        let civil = CivilTime(self)
        writer.append(digits: civil.year, 4)
        writer.append(UInt8(ascii: "-"))
        writer.append(digits: civil.month, 2)
        writer.append(UInt8(ascii: "-"))
        writer.append(digits: civil.day, 2)
        writer.append(UInt8(ascii: "T"))
        writer.append(clock: civil)
        writer.append(UInt8(ascii: "."))
        writer.append(digits: civil.millisecond, 3)
        writer.append(UInt8(ascii: "Z"))
    }
}

/// The value of the HTTP Date field: written once a second, handed out as the same bytes in between.
public struct DateLine {
    private var second = Int64.min
    private var text = SharedBytes.empty

    public init() {}

    /// The 29 bytes of `now`.
    public mutating func bytes(at now: WallTime) -> SharedBytes {
        let wanted = now.seconds
        if wanted != second || text.isEmpty {
            var writer = ByteWriter(capacity: 32)
            now.append(imfFixdateTo: &writer)
            text = writer.seal()
            second = wanted
        }
        return text
    }
}

/// A point of time in the proleptic Gregorian calendar, UTC.
private struct CivilTime {
    let year: Int
    /// 1 to 12.
    let month: Int
    /// 1 to 31.
    let day: Int
    /// Days since Sunday.
    let weekday: Int
    let hour: Int
    let minute: Int
    let second: Int
    let millisecond: Int

    /// The years 0000 to 9999, which have four digits; what lies outside becomes the nearest end.
    private static let writable: ClosedRange<Int64> = -62_167_219_200_000...253_402_300_799_999

    init(_ time: WallTime) {
        let clamped = Int(min(max(time.milliseconds, CivilTime.writable.lowerBound), CivilTime.writable.upperBound))
        // Days are counted from 0000-03-01: then the leap day is the last day of its year, and the months follow a straight line.
        let sinceMarch = clamped + 719_468 * 86_400_000
        let offset = sinceMarch < 0 ? 146_097 : 0
        let days = (sinceMarch + offset * 86_400_000) / 86_400_000
        let rest = (sinceMarch + offset * 86_400_000) % 86_400_000
        millisecond = rest % 1_000
        second = rest / 1_000 % 60
        minute = rest / 60_000 % 60
        hour = rest / 3_600_000
        // 0000-03-01 was a Wednesday.
        weekday = (days + 3) % 7
        // 400 years are 146,097 days, 100 are 36,524, four are 1,461.
        let era = days / 146_097
        let dayOfEra = days % 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        // Five months from March are 153 days.
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
        month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0) - (offset == 0 ? 0 : 400)
    }
}

extension ByteWriter {
    /// Appends `value` with leading zeros.
    fileprivate mutating func append(digits value: Int, _ width: Int) {
        var unit = 1
        for _ in 1..<width { unit *= 10 }
        while unit > 0 {
            append(UInt8(ascii: "0") + UInt8(value / unit % 10))
            unit /= 10
        }
    }

    fileprivate mutating func append(clock civil: CivilTime) {
        append(digits: civil.hour, 2)
        append(UInt8(ascii: ":"))
        append(digits: civil.minute, 2)
        append(UInt8(ascii: ":"))
        append(digits: civil.second, 2)
    }

    /// Appends the three letters at `index` of a row of three-letter names.
    fileprivate mutating func append(text names: StaticString, _ index: Int) {
        unsafe append(names.utf8Start + index * 3, 3)
    }
}
