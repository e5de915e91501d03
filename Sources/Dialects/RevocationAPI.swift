// RevocationAPI: tokens that are refused before their end, over HTTP, in the words of tokens: reads whose, writes pages and what was done.
// Knows no HTTP beyond the number of a status and the texts of a query, and closes nothing.
public import Base
public import Domain
public import JSON

public enum RevocationAPI {
    /// Revocations that are answered where `?limit=` says nothing, and the most that are answered at all.
    public static let limitDefault = 50
    public static let limitMax = 500

    // MARK: Requests

    /// Whose tokens are to be refused.
    public struct Order: Sendable, Equatable {
        public var user: SharedBytes
        /// The last second, since 1970, whose tokens are meant; nil for the present one.
        public var before: Int64?

        public init(user: SharedBytes, before: Int64? = nil) {
            self.user = user
            self.before = before
        }
    }

    /// Reads the body of POST /api/revocations.
    ///
    /// Tokens that are still to be issued are nobody's to revoke, but for as much as the clocks of two machines may differ.
    public static func readOrder(
        _ body: Span<UInt8>, _ index: JSONIndex, at now: WallTime, scratch: inout ByteWriter
    ) throws(RequestProblem) -> Order {
        let members = try Members(index)
        guard let user = try members.textOrNumber("user_id", Principal.userBytesMax, body, &scratch) else {
            throw .missing(member: "user_id")
        }
        guard TaskID(user.span) != nil else {
            throw .outOfRange(member: "user_id", expected: "1 to \(Principal.userBytesMax) bytes of printable text")
        }
        guard let node = members.node("before", in: body) else { return Order(user: user) }
        let latest = now.seconds + TokenRules.leewayMax.milliseconds / 1_000
        guard let before = index.int(node, in: body), before >= 0, before <= latest else {
            throw .outOfRange(member: "before", expected: "a whole number of seconds since 1970, and not in the future")
        }
        return Order(user: user, before: before)
    }

    /// Reads the query of GET /api/revocations; an empty value counts as none.
    ///
    /// - Parameters: percent-decoded; nil where there is none.
    /// - Returns: how many, and the number that they are before.
    public static func readQuestion(
        limit: SharedBytes?, cursor: SharedBytes?
    ) throws(RequestProblem) -> (limit: Int, before: UInt64?) {
        (
            try QueryLimit.read(limit, default: limitDefault, max: limitMax),
            try QueryLimit.readCursor(cursor, expected: "the next_cursor of an earlier answer")
        )
    }

    // MARK: Answers

    /// The answer to GET /api/revocations.
    ///
    /// - Parameter revocations: newest first.
    public static func write(_ revocations: [Revocation], hasMore: Bool, to writer: inout ByteWriter) {
        writer.object {
            $0.member(
                "revocations",
                array: { list in
                    for revocation in revocations { list.element(object: { $0.fields(of: revocation) }) }
                })
            $0.member("count", int: revocations.count)
            if hasMore, let last = revocations.last {
                $0.member("next_cursor", string: String(last.number))
            } else {
                $0.nullMember("next_cursor")
            }
        }
    }

    /// The answer to POST /api/revocations, and to POST /api/logout.
    ///
    /// - Parameter closed: sockets, streams and sessions that ended with it.
    public static func write(_ revocation: Revocation, closed: Int, to writer: inout ByteWriter) {
        writer.object {
            $0.fields(of: revocation)
            $0.member("closed", int: closed)
        }
    }

    /// The answer to DELETE /api/revocations/{user_id}.
    public static func writeRemoved(_ user: SharedBytes, to writer: inout ByteWriter) {
        writer.object {
            $0.member("user_id", string: user)
            $0.member("removed", bool: true)
        }
    }

    /// - Returns: the status.
    public static func write(_ refusal: RevocationRefusal, to writer: inout ByteWriter) -> Int {
        switch refusal {
        case .tooMany:
            writeError("Too many users have revoked tokens: forget some", to: &writer)
            return 503
        case .unknown:
            writeError("Revocation not found", to: &writer)
            return 404
        }
    }
}

extension JSONObjectWriter {
    fileprivate mutating func fields(of revocation: Revocation) {
        member("user_id", string: revocation.user)
        member("before", int: revocation.before)
        member("revoked_at", int: revocation.revokedAt.seconds)
        member("revoked_by", stringOrNull: revocation.revokedBy)
    }
}
