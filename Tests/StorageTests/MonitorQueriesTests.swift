// The fleet's past: pages and their cursors, filters, whose an activity is, and that a page of a million costs what a page of ten does.
import Base
import Domain
import Testing

@testable import Storage

struct MonitorQueriesTests {
    private static let everybodys = ActivityQuestion(visibility: .everybodys, limit: 1_000)

    private static func ids(_ page: HistoryPage<Activity>) -> [String] { page.rows.map(\.id.description) }
    private static func ids(_ page: HistoryPage<Alert>) -> [String] { page.rows.map(\.id.description) }

    // MARK: Activities

    @Test("every column of an activity comes back, those of one that says nothing more as well")
    func activityColumns() throws {
        var rig = try Rig()
        let full = Activity(
            id: SharedBytes("act-1"), kind: .modelHealthCheck, message: SharedBytes("模型 \0'\""), severity: .critical,
            resourceType: SharedBytes("deployment"), resourceID: SharedBytes("dep-1"), createdAt: time(1_700_000_000_123),
            extra: SharedBytes(#"{"a":1}"#), owner: SharedBytes("u"))
        let bare = Activity(id: SharedBytes("act-2"), kind: .modelDeployment, message: .empty, severity: .info, createdAt: time(0))
        try rig.write(.activityNoted(full), .activityNoted(bare))
        #expect(try rig.activities(MonitorQueriesTests.everybodys).rows == [bare, full])
    }

    @Test("every kind with every severity comes back as what it was, and is found by each of the two")
    func kinds() throws {
        var rig = try Rig()
        var all: [Activity] = []
        for kind in Activity.Kind.allCases {
            for severity in Severity.allCases { all.append(activity(all.count, kind, severity)) }
        }
        try rig.write(all.map { .activityNoted($0) })
        let newestFirst = Array(all.reversed())
        #expect(try rig.activities(MonitorQueriesTests.everybodys).rows == newestFirst)
        for visibility in [ActivityQuestion.Visibility.everybodys, .owned(by: nil), .owned(by: SharedBytes("u"))] {
            for kind in Activity.Kind.allCases {
                let ofKind = newestFirst.filter { $0.kind == kind }
                #expect(try rig.activities(ActivityQuestion(kind: kind, visibility: visibility, limit: 99)).rows == ofKind)
                for severity in Severity.allCases {
                    let question = ActivityQuestion(kind: kind, severity: severity, visibility: visibility, limit: 99)
                    #expect(try rig.activities(question).rows == ofKind.filter { $0.severity == severity })
                }
            }
            for severity in Severity.allCases {
                let question = ActivityQuestion(severity: severity, visibility: visibility, limit: 99)
                #expect(try rig.activities(question).rows == newestFirst.filter { $0.severity == severity })
            }
        }
    }

    @Test("a user sees what is nobody's and what is the user's own, and an admin all")
    func visibility() throws {
        var rig = try Rig()
        for (number, owner) in [nil, "u", "v", nil, "u", ""].enumerated() { try rig.write(.activityNoted(activity(number, owner: owner))) }
        func numbers(_ visibility: ActivityQuestion.Visibility) throws -> [String] {
            MonitorQueriesTests.ids(try rig.activities(ActivityQuestion(visibility: visibility, limit: 99)))
        }
        #expect(try numbers(.everybodys) == ["act-5", "act-4", "act-3", "act-2", "act-1", "act-0"])
        #expect(try numbers(.owned(by: nil)) == ["act-3", "act-0"])
        #expect(try numbers(.owned(by: SharedBytes("u"))) == ["act-4", "act-3", "act-1", "act-0"])
        #expect(try numbers(.owned(by: SharedBytes("w"))) == ["act-3", "act-0"])
    }

    @Test("page after page, behind each one's last row, is everything once, whatever the filter", arguments: [1, 2, 7, 100])
    func paging(_ limit: Int) throws {
        var rig = try Rig()
        var all: [Activity] = []
        let owners: [String?] = [nil, "u", "v"]
        for number in 0..<60 {
            let kind = Activity.Kind.allCases[number % 5]
            all.append(activity(number, kind, Severity.allCases[number % 4], owner: owners[number % 3]))
        }
        try rig.write(all.map { .activityNoted($0) })
        let visibilities: [ActivityQuestion.Visibility] = [.everybodys, .owned(by: nil), .owned(by: SharedBytes("u"))]
        for visibility in visibilities {
            for kind in [nil, Activity.Kind.downloadTask] {
                for severity in [nil, Severity.error] {
                    let wanted = all.reversed().filter { activity in
                        if let kind, activity.kind != kind { return false }
                        if let severity, activity.severity != severity { return false }
                        if case .owned(let owner) = visibility { return activity.owner == nil || activity.owner == owner }
                        return true
                    }
                    var question = ActivityQuestion(kind: kind, severity: severity, visibility: visibility, limit: limit)
                    var found: [Activity] = []
                    while true {
                        let page = try rig.activities(question)
                        found += page.rows
                        #expect(page.rows.count == limit || !page.hasMore)
                        guard page.hasMore, let last = page.rows.last, found.count <= all.count else { break }
                        question.before = last.id
                    }
                    #expect(found == wanted, "\(question)")
                }
            }
        }
    }

    @Test("behind a row that is not there lies nothing; a row that the filter leaves out is a place as well")
    func cursors() throws {
        var rig = try Rig()
        for number in 0..<4 { try rig.write(.activityNoted(activity(number, number == 2 ? .downloadTask : .userOperation))) }
        func page(_ cursor: String, _ kind: Activity.Kind?) throws -> HistoryPage<Activity> {
            try rig.activities(ActivityQuestion(before: SharedBytes(cursor), kind: kind, visibility: .everybodys, limit: 9))
        }
        #expect(try page("act-9", nil) == HistoryPage(rows: [], hasMore: false))
        #expect(try page("", nil).rows == [])
        #expect(MonitorQueriesTests.ids(try page("act-2", .userOperation)) == ["act-1", "act-0"])
        #expect(try page("act-0", nil) == HistoryPage(rows: [], hasMore: false))
    }

    @Test("a limit of none or less answers that there is more, and nothing else")
    func noLimit() throws {
        var rig = try Rig()
        try rig.write(.activityNoted(activity(1)), .alertChanged(alert(1)))
        for limit in [0, -1] {
            #expect(try rig.activities(ActivityQuestion(visibility: .everybodys, limit: limit)) == HistoryPage(rows: [], hasMore: true))
            #expect(try rig.alerts(AlertQuestion(limit: limit)) == HistoryPage(rows: [], hasMore: true))
        }
        #expect(try rig.activities(ActivityQuestion(visibility: .owned(by: nil), limit: .max)).rows.count == 1)
    }

    @Test("a page ends at its bytes, after at least one row, and says that there is more")
    func pageBytes() throws {
        var rig = try Rig { $0.answerBytesMax = 3_000 }
        let long = SharedBytes([UInt8](repeating: 0x6c, count: 1_000))
        var all: [Activity] = []
        for number in 0..<3 {
            var next = activity(number)
            (next.message, next.extra) = (long, long)
            all.append(next)
        }
        try rig.write(all.map { .activityNoted($0) })
        var question = MonitorQueriesTests.everybodys
        for (place, wanted) in all.reversed().enumerated() {
            #expect(try rig.activities(question) == HistoryPage(rows: [wanted], hasMore: place < 2))
            question.before = wanted.id
        }
    }

    // MARK: Alerts

    @Test("every column of an alert comes back, for every kind and severity")
    func alertColumns() throws {
        var rig = try Rig()
        var all: [Alert] = []
        for kind in Alert.Kind.allCases {
            for severity in Severity.allCases {
                let number = all.count
                let resource = Alert.Resource(
                    type: SharedBytes("gpu"), id: number % 2 == 0 ? SharedBytes("\(number)") : nil, value: Double(number) + 0.25,
                    threshold: 90.5, unit: SharedBytes("%"))
                all.append(
                    Alert(
                        id: SharedBytes("alert_\(number)"), kind: kind, severity: severity, title: SharedBytes("标题 \(number)"),
                        message: SharedBytes("m \(number)"), resource: resource, raisedAt: time(1_700_000_000_123),
                        resolvedAt: number % 3 == 0 ? time(1_700_000_000_456) : nil))
            }
        }
        try rig.write(all.map { .alertChanged($0) })
        #expect(try rig.alerts(AlertQuestion(limit: 99)) == HistoryPage(rows: all.reversed(), hasMore: false))
        #expect(try rig.recover().alerts == all.filter { $0.resolvedAt == nil })
    }

    @Test("alerts come by how they stand, page after page")
    func alertPages() throws {
        var rig = try Rig()
        let all = (0..<9).map { alert($0, resolved: $0 % 3 == 0 ? 2_000 : nil) }
        try rig.write(all.map { .alertChanged($0) })
        for isActive in [nil, true, false] {
            let wanted = all.reversed().filter { isActive == nil || ($0.resolvedAt == nil) == isActive }
            for limit in [1, 2, 4, 20] {
                var question = AlertQuestion(isActive: isActive, limit: limit)
                var found: [Alert] = []
                while true {
                    let page = try rig.alerts(question)
                    found += page.rows
                    guard page.hasMore, let last = page.rows.last, found.count <= all.count else { break }
                    question.before = last.id
                }
                #expect(found == wanted, "\(question)")
            }
        }
        #expect(try rig.alerts(AlertQuestion(before: SharedBytes("alert_x"), limit: 9)) == HistoryPage(rows: [], hasMore: false))
        // It was resolved while somebody turned the pages.
        #expect(
            MonitorQueriesTests.ids(try rig.alerts(AlertQuestion(before: SharedBytes("alert_3"), isActive: true, limit: 9)))
                == ["alert_2", "alert_1"])
    }

    @Test("figures that are no numbers do not keep anything from being written")
    func noNumbers() throws {
        var rig = try Rig()
        var strange = alert(1)
        (strange.resource.value, strange.resource.threshold) = (.nan, .infinity)
        try rig.write(.alertChanged(strange), .activityNoted(activity(1)))
        let found = try rig.alerts(AlertQuestion(limit: 9)).rows
        #expect(found.map(\.resource.value) == [0] && found.map(\.resource.threshold) == [.infinity])
        #expect(try rig.activities(MonitorQueriesTests.everybodys).rows.count == 1)
    }

    // MARK: Cost

    @Test(
        "nothing that is asked of the fleet's past looks at rows that are not on the page, or sorts them",
        arguments: [
            (Query.findActivity, "SEARCH activities USING COVERING INDEX sqlite_autoindex_activities_1 (id=?)"),
            (.newestActivities, "SEARCH activities USING INTEGER PRIMARY KEY (rowid<?)"),
            (.newestActivitiesOfKind, "SEARCH activities USING COVERING INDEX activities_kind (kind=? AND severity=? AND rowid<?)"),
            (
                .newestActivitiesOfOwner,
                "SEARCH activities USING COVERING INDEX activities_owner (owner=? AND kind=? AND severity=? AND rowid<?)"
            ),
            (.readActivity, "SEARCH activities USING INTEGER PRIMARY KEY (rowid=?)"),
            (.findAlert, "SEARCH alerts USING COVERING INDEX sqlite_autoindex_alerts_1 (id=?)"),
            (.newestAlerts, "SEARCH alerts USING INTEGER PRIMARY KEY (rowid<?)"),
            (.newestActiveAlerts, "SEARCH alerts USING INDEX alerts_active (number<?)"),
            (.newestResolvedAlerts, "SEARCH alerts USING INTEGER PRIMARY KEY (rowid<?)"),
        ])
    func plans(_ query: Query, _ step: String) throws {
        var database = try Database(nil)
        try Schema.current.migrate(&database)
        #expect(try database.plan(of: query) == [step])
    }

    @Test("what is forgotten is found by its age", arguments: [Query.forgetActivities, .forgetAlerts])
    func forgettingPlans(_ query: Query) throws {
        var database = try Database(nil)
        try Schema.current.migrate(&database)
        let plan = try database.plan(of: query)
        #expect(!plan.contains { $0.contains("TEMP B-TREE") }, "\(plan)")
        if case .forgetAlerts = query {
            #expect(plan.contains("SEARCH alerts USING COVERING INDEX alerts_resolved_at (resolved_at<?)"), "\(plan)")
        }
    }
}

extension Database {
    /// How SQLite means to find what `query` asks for.
    fileprivate mutating func plan(of query: Query) throws -> [String] {
        var steps: [String] = []
        try rows("EXPLAIN QUERY PLAN \(query.text)") { row throws(StorageError) in
            for _ in 0..<3 { _ = row.number() }
            steps.append(row.bytes().description)
        }
        return steps
    }
}
