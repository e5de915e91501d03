// QueryLimit: how many entries a query asks for, `?limit=`, and from where on, where `?cursor=` is an entry's number. Digits and nothing
// else.
internal import Base

enum QueryLimit {
    /// - Parameter text: percent-decoded; nil where there is none.
    /// - Returns: at most `max`.
    static func read(_ text: SharedBytes?, default: Int, max: Int) throws(RequestProblem) -> Int {
        guard let text, !text.isEmpty else { return `default` }
        var value = 0
        let digits = text.span
        for index in digits.indices {
            let digit = digits[index] &- UInt8(ascii: "0")
            guard digit < 10 else { throw .outOfRange(member: "limit", expected: "a whole number from 1 to \(max)") }
            // Beyond the most it need not be counted.
            value = min(value * 10 + Int(digit), max)
        }
        guard value >= 1 else { throw .outOfRange(member: "limit", expected: "a whole number from 1 to \(max)") }
        return value
    }

    /// - Parameters:
    ///   - text: percent-decoded; nil where there is none.
    ///   - expected: what a cursor is.
    /// - Returns: the number of the entry that the asked ones are before; nil where none is named.
    static func readCursor(_ text: SharedBytes?, expected: String) throws(RequestProblem) -> UInt64? {
        guard let text, !text.isEmpty else { return nil }
        var number: UInt64 = 0
        let digits = text.span
        for index in digits.indices {
            let digit = digits[index] &- UInt8(ascii: "0")
            let (tens, isTooLarge) = number.multipliedReportingOverflow(by: 10)
            guard digit < 10, !isTooLarge, tens <= .max - UInt64(digit) else { throw .outOfRange(member: "cursor", expected: expected) }
            number = tens + UInt64(digit)
        }
        return number
    }
}
