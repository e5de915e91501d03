// ActivityAPI: the stream of activities over HTTP: reads one that somebody posts, and what of the past is asked for; writes one, and a
// page. An activity is document E's object of the same name. Knows no HTTP beyond the texts of a query.
public import Base
public import Domain
public import JSON

public enum ActivityAPI {
    // MARK: Requests

    /// Activities that are answered where `?limit=` says nothing, and the most that are answered at all.
    public static let limitDefault = 50
    public static let limitMax = 1_000

    /// Reads the body of POST /api/activities.
    ///
    /// - Parameters:
    ///   - owner: whose it is to be; nil for everybody's.
    ///   - scratch: used and left as it was.
    public static func readDraft(
        _ body: Span<UInt8>, _ index: JSONIndex, owner: SharedBytes?, limits: Limits, scratch: inout ByteWriter
    ) throws(RequestProblem) -> ActivityDraft {
        let members = try Members(index)
        guard let type = try members.text("activity_type", bytesMax: limits.nameBytesMax, in: body, &scratch) else {
            throw .missing(member: "activity_type")
        }
        let kind = try Activity.Kind.read(type, as: "activity_type")
        var severity = Severity.info
        if let word = try members.text("severity", bytesMax: limits.nameBytesMax, in: body, &scratch) {
            severity = try Severity.read(word, as: "severity")
        }
        let message = try members.text("message", bytesMax: limits.activityMessageBytesMax, in: body, &scratch)
        guard let message, !message.isEmpty else { throw .missing(member: "message") }
        let resourceType = try members.text("resource_type", bytesMax: limits.nameBytesMax, in: body, &scratch)
        let resourceID = try members.text("resource_id", bytesMax: limits.nameBytesMax, in: body, &scratch)
        let extra = try members.raw("extra_data", .object, "an object", in: body)
        if let extra, extra.count > limits.activityExtraBytesMax {
            throw .outOfRange(member: "extra_data", expected: "at most \(limits.activityExtraBytesMax) bytes long")
        }
        return ActivityDraft(
            kind: kind, message: message, severity: severity, resourceType: resourceType, resourceID: resourceID,
            extra: extra.map { SharedBytes(copying: body.extracting($0)) } ?? .empty, owner: owner)
    }

    /// Reads the query of GET /api/activities; an empty value counts as none.
    ///
    /// - Parameters: percent-decoded; nil where there is none.
    public static func readQuestion(
        limit: SharedBytes?, cursor: SharedBytes?, kind: SharedBytes?, severity: SharedBytes?, visibility: ActivityQuestion.Visibility
    ) throws(RequestProblem) -> ActivityQuestion {
        var question = ActivityQuestion(
            visibility: visibility, limit: try QueryLimit.read(limit, default: limitDefault, max: limitMax))
        question.before = try MonitorCursor.read(cursor)
        if let kind, !kind.isEmpty { question.kind = try Activity.Kind.read(kind, as: "activity_type") }
        if let severity, !severity.isEmpty { question.severity = try Severity.read(severity, as: "severity") }
        return question
    }

    // MARK: Answers

    /// The answer to POST /api/activities.
    public static func write(_ activity: Activity, to writer: inout ByteWriter) {
        writer.object { $0.activity(activity) }
    }

    /// The answer to GET /api/activities.
    ///
    /// - Parameters:
    ///   - activities: newest first.
    ///   - hasMore: whether older ones follow.
    public static func write(_ activities: [Activity], hasMore: Bool, to writer: inout ByteWriter) {
        writer.object {
            $0.member(
                "activities", array: { list in for activity in activities { list.element(object: { $0.activity(activity) }) } })
            $0.member("count", int: activities.count)
            $0.member("next_cursor", stringOrNull: hasMore ? activities.last?.id : nil)
        }
    }
}
