// MonitorCursor: a place in a list of activities or alerts: the id of the last that was shown. What it stands for is the database's to
// know.
internal import Base

enum MonitorCursor {
    /// Longer than any id that this server made.
    private static let bytesMax = 100

    /// - Parameter text: percent-decoded; nil where there is none.
    static func read(_ text: SharedBytes?) throws(RequestProblem) -> SharedBytes? {
        guard let text, !text.isEmpty else { return nil }
        guard text.count <= bytesMax else { throw .outOfRange(member: "cursor", expected: "the next_cursor of an earlier answer") }
        return text
    }
}
