// JSONNumber: the number grammar of RFC 8259 §6, and numbers as Int64 and Double both ways. Texts keep their numbers as they were
// written; only who asks for a value gets one converted.
//
// Cost: an integer or a short fraction is one pass and no allocation; only a number that needs correct rounding beyond 2^53 or 10^22
// goes through the standard library.
public import Base

public enum JSONNumber {
    /// The exact integer that `text` stands for, `1e3` and `5000.0` included.
    ///
    /// - Returns: nil where `text` is no JSON number, is no integer, or is beyond 64 bits.
    public static func int(_ text: Span<UInt8>) -> Int64? {
        guard isNumber(text) else { return nil }
        return int(valid: text)
    }

    /// The double nearest to the number that `text` stands for.
    ///
    /// - Returns: nil where `text` is no JSON number, or is beyond the largest double.
    public static func double(_ text: Span<UInt8>) -> Double? {
        guard isNumber(text) else { return nil }
        return double(valid: text)
    }

    /// Appends the shortest text that reads back as `value`, a whole number without a point; `null` for infinities and NaN, for which
    /// JSON has no text.
    public static func append(_ value: Double, to writer: inout ByteWriter) {
        guard value.isFinite else {
            writer.append("null" as StaticString)
            return
        }
        if let (scaled, places) = fewPlaces(value) {
            append(scaled, places: places, isNegative: value.sign == .minus, to: &writer)
        } else {
            writer.append(value.description)
        }
    }

    // MARK: Grammar

    /// Where the number that begins at `start` ends, and whether it is digits alone.
    static func scan(_ bytes: Span<UInt8>, from start: Int) throws(JSONError) -> (end: Int, isPlain: Bool) {
        var at = start
        if at < bytes.count, bytes[at] == UInt8(ascii: "-") { at &+= 1 }
        // RFC 8259 §6: no leading zeros. What follows a zero is for the caller to refuse.
        if at < bytes.count, bytes[at] == UInt8(ascii: "0") { at &+= 1 } else { at = try digits(bytes, from: at) }
        var isPlain = true
        if at < bytes.count, bytes[at] == UInt8(ascii: ".") {
            isPlain = false
            at = try digits(bytes, from: at &+ 1)
        }
        if at < bytes.count, bytes[at] | 0x20 == UInt8(ascii: "e") {
            isPlain = false
            at &+= 1
            if at < bytes.count, bytes[at] == UInt8(ascii: "+") || bytes[at] == UInt8(ascii: "-") { at &+= 1 }
            at = try digits(bytes, from: at)
        }
        return (at, isPlain)
    }

    @inline(__always)
    private static func digits(_ bytes: Span<UInt8>, from start: Int) throws(JSONError) -> Int {
        var at = start
        while at < bytes.count, bytes[at] &- UInt8(ascii: "0") < 10 { at &+= 1 }
        guard at > start else { throw JSONError(.expectedDigit, at: at) }
        return at
    }

    private static func isNumber(_ text: Span<UInt8>) -> Bool {
        do throws(JSONError) { return try scan(text, from: 0).end == text.count } catch { return false }
    }

    // MARK: Values

    /// As ``int(_:)``, of a text that is known to be a number.
    static func int(valid text: Span<UInt8>) -> Int64? {
        let decimal = Decimal(text)
        // The magnitude ends in no zero, so a negative exponent leaves a fraction.
        guard decimal.isExact, decimal.exponent >= 0 else { return nil }
        guard decimal.magnitude != 0 else { return 0 }
        var magnitude = decimal.magnitude
        for _ in 0..<decimal.exponent {
            let (product, overflow) = magnitude.multipliedReportingOverflow(by: 10)
            if overflow { return nil }
            magnitude = product
        }
        if decimal.isNegative { return magnitude == Int64.min.magnitude ? .min : Int64(exactly: magnitude).map { -$0 } }
        return Int64(exactly: magnitude)
    }

    /// As ``double(_:)``, of a text that is known to be a number.
    static func double(valid text: Span<UInt8>) -> Double? {
        let decimal = Decimal(text)
        // Both operands are exact below these bounds, so the one operation rounds once and right.
        if decimal.isExact, decimal.magnitude <= 1 << 53, decimal.exponent >= -22, decimal.exponent <= 22 {
            let power = powerOfTen(decimal.exponent.magnitude)
            let magnitude = Double(decimal.magnitude)
            let value = decimal.exponent < 0 ? magnitude / power : magnitude * power
            return decimal.isNegative ? -value : value
        }
        guard let value = Double(JSONString.text(valid: text)), value.isFinite else { return nil }
        return value
    }

    private static func powerOfTen(_ exponent: UInt) -> Double {
        var power = 1.0
        for _ in 0..<exponent { power *= 10 }
        return power
    }

    /// The magnitude of `value` as an integer over 10^places, where few places hold it exactly enough to read back the same.
    private static func fewPlaces(_ value: Double) -> (scaled: Int, places: Int)? {
        var power = 1.0
        for places in 0...6 {
            let scaled = (value.magnitude * power).rounded()
            // Below 15 digits no two decimals share a double, so the first that reads back is the shortest.
            guard scaled < 1e15 else { return nil }
            if scaled / power == value.magnitude { return (Int(scaled), places) }
            power *= 10
        }
        return nil
    }

    private static func append(_ scaled: Int, places: Int, isNegative: Bool, to writer: inout ByteWriter) {
        var power = 1
        for _ in 0..<places { power *= 10 }
        if isNegative { writer.append(UInt8(ascii: "-")) }
        writer.append(decimal: scaled / power)
        guard places > 0 else { return }
        writer.append(UInt8(ascii: "."))
        var fraction = scaled % power
        for _ in 0..<places {
            power /= 10
            writer.append(UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: fraction / power))
            fraction %= power
        }
    }
}

/// A number as ±magnitude × 10^exponent, the magnitude without zeros at its end.
private struct Decimal {
    var isNegative = false
    var magnitude: UInt64 = 0
    var exponent = 0
    /// False where the digits were too many for the magnitude.
    var isExact = true

    /// - Parameter text: a number that the grammar has passed.
    init(_ text: Span<UInt8>) {
        var at = 0
        var zeros = 0
        var isFraction = false
        while at < text.count {
            let byte = text[at]
            let digit = byte &- UInt8(ascii: "0")
            if digit < 10 {
                if isFraction { exponent -= 1 }
                if digit != 0 {
                    push(digit, after: zeros)
                    zeros = 0
                } else if magnitude != 0 {
                    zeros += 1
                }
            } else if byte == UInt8(ascii: ".") {
                isFraction = true
            } else if byte == UInt8(ascii: "-") {
                isNegative = true
            } else {
                exponent += Decimal.exponent(text, from: at + 1)
                break
            }
            at += 1
        }
        if magnitude == 0 { exponent = 0 } else { exponent += zeros }
    }

    private mutating func push(_ digit: UInt8, after zeros: Int) {
        guard isExact else { return }
        if magnitude != 0 {
            for _ in 0...zeros {
                let (product, overflow) = magnitude.multipliedReportingOverflow(by: 10)
                if overflow {
                    isExact = false
                    return
                }
                magnitude = product
            }
        }
        let (sum, overflow) = magnitude.addingReportingOverflow(UInt64(digit))
        if overflow { isExact = false } else { magnitude = sum }
    }

    /// The exponent written from `start`, held where no text that fits a limit could bring it back into range.
    private static func exponent(_ text: Span<UInt8>, from start: Int) -> Int {
        var at = start
        let isNegative = text[at] == UInt8(ascii: "-")
        if isNegative || text[at] == UInt8(ascii: "+") { at += 1 }
        var value = 0
        while at < text.count {
            value = min(value * 10 + Int(text[at] &- UInt8(ascii: "0")), 1 << 40)
            at += 1
        }
        return isNegative ? -value : value
    }
}
