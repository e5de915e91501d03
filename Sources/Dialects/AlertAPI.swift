// AlertAPI: the alerts over HTTP, those that last and those that are over: reads what is asked for, writes a page. An alert is document E's
// object with its two points of time behind it. Knows no HTTP beyond the texts of a query.
public import Base
public import Domain
internal import JSON

public enum AlertAPI {
    /// Alerts that are answered where `?limit=` says nothing, and the most that are answered at all.
    public static let limitDefault = 50
    public static let limitMax = 1_000

    /// Reads the query of GET /api/alerts; an empty value counts as none.
    ///
    /// - Parameters: percent-decoded; nil where there is none.
    public static func readQuestion(
        limit: SharedBytes?, cursor: SharedBytes?, active: SharedBytes?
    ) throws(RequestProblem) -> AlertQuestion {
        var question = AlertQuestion(limit: try QueryLimit.read(limit, default: limitDefault, max: limitMax))
        question.before = try MonitorCursor.read(cursor)
        if let active, !active.isEmpty {
            if active.span.equals("true", at: 0..<active.count) {
                question.isActive = true
            } else if active.span.equals("false", at: 0..<active.count) {
                question.isActive = false
            } else {
                throw .wrongType(member: "active", expected: "true or false")
            }
        }
        return question
    }

    /// The answer to GET /api/alerts.
    ///
    /// - Parameters:
    ///   - alerts: newest first.
    ///   - active: how many last, of all that there are.
    ///   - hasMore: whether older ones follow.
    public static func write(_ alerts: [Alert], active: Int, hasMore: Bool, to writer: inout ByteWriter) {
        writer.object {
            $0.member(
                "alerts",
                array: { list in
                    for alert in alerts {
                        list.element(object: {
                            $0.alertFields(alert)
                            $0.member("raised_at", iso8601: alert.raisedAt)
                            $0.member("resolved_at", iso8601: alert.resolvedAt)
                        })
                    }
                })
            $0.member("count", int: alerts.count)
            $0.member("active", int: active)
            $0.member("next_cursor", stringOrNull: hasMore ? alerts.last?.id : nil)
        }
    }
}
