// QueryLimit: how many entries a query asks for: `?limit=`. Digits and nothing else.
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
}
