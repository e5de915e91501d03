// ByteSearch: where one run of bytes lies in another, and the decimals behind it. For messages of a few hundred bytes; it knows
// nothing of JSON or HTTP beyond that they are bytes.

extension Span where Element == UInt8 {
    /// Where `needle` begins at or after `start`; nil when nowhere.
    public func firstIndex(of needle: [UInt8], from start: Int = 0) -> Int? {
        guard let first = needle.first, start >= 0 else { return nil }
        var position = start
        while position <= count - needle.count {
            if self[position] == first, hasPrefix(needle, at: position) { return position }
            position += 1
        }
        return nil
    }

    /// Whether `needle` lies at `start`.
    public func hasPrefix(_ needle: [UInt8], at start: Int = 0) -> Bool {
        guard start >= 0, start <= count - needle.count else { return false }
        for index in 0..<needle.count where self[start + index] != needle[index] { return false }
        return true
    }

    /// The decimal number that begins at `start`; nil when there is none or it does not fit.
    public func decimal(at start: Int) -> Int? {
        var value = 0
        var position = start
        while position < count, self[position] >= 48, self[position] <= 57 {
            let (product, tooLarge) = value.multipliedReportingOverflow(by: 10)
            let (sum, tooLargeToo) = product.addingReportingOverflow(Int(self[position]) - 48)
            guard !tooLarge, !tooLargeToo else { return nil }
            value = sum
            position += 1
        }
        return position > start ? value : nil
    }
}
