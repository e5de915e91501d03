// ProcText: lines, words and figures of the kernel's text files, as proc(5) describes them. Knows no file's meaning. Reads bytes in place,
// takes any bytes at all, and counts only whole lines: one that was cut off may end within a figure.

enum ProcText {
    /// The next whole line at or behind `start`, without its end; nil where none is left.
    static func line(of text: Span<UInt8>, from start: Int) -> Range<Int>? {
        var end = start
        while end < text.count {
            if text[end] == UInt8(ascii: "\n") { return start..<end }
            end += 1
        }
        return nil
    }

    /// Takes the next word from the front of `rest`: what stands between blanks.
    static func word(of text: Span<UInt8>, in rest: inout Range<Int>) -> Range<Int>? {
        var start = rest.lowerBound
        while start < rest.upperBound, isBlank(text[start]) { start += 1 }
        var end = start
        while end < rest.upperBound, !isBlank(text[end]) { end += 1 }
        rest = end..<rest.upperBound
        return start == end ? nil : start..<end
    }

    /// Takes the next word, which must be a whole number.
    static func number(of text: Span<UInt8>, in rest: inout Range<Int>) -> UInt64? {
        guard let word = word(of: text, in: &rest) else { return nil }
        return number(of: text, word)
    }

    /// Digits and nothing else, within 64 bits.
    static func number(of text: Span<UInt8>, _ word: Range<Int>) -> UInt64? {
        if word.isEmpty { return nil }
        var number: UInt64 = 0
        for index in word {
            guard let digit = digit(text[index]) else { return nil }
            let (tens, tensOverflow) = number.multipliedReportingOverflow(by: 10)
            let (sum, sumOverflow) = tens.addingReportingOverflow(digit)
            if tensOverflow || sumOverflow { return nil }
            number = sum
        }
        return number
    }

    /// Digits, and perhaps a point and more digits.
    static func decimal(of text: Span<UInt8>, _ word: Range<Int>) -> Double? {
        var point = word.lowerBound
        while point < word.upperBound, text[point] != UInt8(ascii: ".") { point += 1 }
        guard let whole = number(of: text, word.lowerBound..<point) else { return nil }
        if point == word.upperBound { return Double(whole) }
        var part = 0.0
        var unit = 1.0
        for index in point + 1..<word.upperBound {
            guard let digit = digit(text[index]) else { return nil }
            unit /= 10
            part += unit * Double(digit)
        }
        return Double(whole) + part
    }

    /// Whether the bytes of `range` begin with `prefix`.
    static func starts(_ text: Span<UInt8>, _ range: Range<Int>, with prefix: StaticString) -> Bool {
        guard range.count >= prefix.utf8CodeUnitCount else { return false }
        for index in 0..<prefix.utf8CodeUnitCount where unsafe text[range.lowerBound + index] != prefix.utf8Start[index] { return false }
        return true
    }

    /// Whether the bytes of `range` are `word`.
    static func equal(_ text: Span<UInt8>, _ range: Range<Int>, _ word: StaticString) -> Bool {
        range.count == word.utf8CodeUnitCount && starts(text, range, with: word)
    }

    private static func digit(_ byte: UInt8) -> UInt64? {
        byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") ? UInt64(byte - UInt8(ascii: "0")) : nil
    }

    private static func isBlank(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }
}
