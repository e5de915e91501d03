// MonitorQueries: what can be asked of the store about the fleet's past, and what is read of it at the start. Reads only; each page is
// bounded in rows and bytes. A cursor is the name of a row: behind one that is not there, or no more, lies nothing, because what is
// forgotten is the oldest.
//
// Cost: a page of activities is at most 40 stretches of an index, each as long as the limit, and a look-up for each row of the page:
// about a millisecond for 100 rows, however many there are and whatever the filter leaves out.
import Base
import Domain

extension Store {
    // MARK: Activities

    /// Activities, newest first.
    func activities(_ question: ActivityQuestion) throws(StorageError) -> HistoryPage<Activity> {
        var gathering = Gathering<Activity>(question.limit, settings)
        guard let end = try number(of: question.before, .findActivity) else { return gathering.page }
        var numbers = try newest(question, before: end, limit: gathering.wanted)
        // Each stretch is in order, but not one with the other.
        numbers.sort(by: >)
        for number in numbers.prefix(gathering.wanted) {
            var isWanted = true
            try database.rows(.readActivity, { $0.add(number) }) { row throws(StorageError) in
                let activity = try row.activity()
                isWanted = gathering.take(activity, activity.message.count + activity.extra.count)
                return false
            }
            if !isWanted { break }
        }
        return gathering.page
    }

    /// The numbers of the rows that may stand on the page, and of some more.
    private func newest(_ question: ActivityQuestion, before end: Int64, limit: Int) throws(StorageError) -> [Int64] {
        var numbers: [Int64] = []
        func stretch(_ query: Query, _ bind: (inout Arguments) -> Void) throws(StorageError) {
            try database.rows(
                query,
                {
                    bind(&$0)
                    $0.add(end)
                    $0.add(limit)
                },
                { row throws(StorageError) in
                    numbers.append(row.number())
                    return true
                })
        }
        let kinds = question.kind.map { [$0] } ?? Activity.Kind.allCases
        let severities = question.severity.map { [$0] } ?? Severity.allCases
        let owners: [SharedBytes?]
        switch question.visibility {
        case .everybodys where question.kind == nil && question.severity == nil:
            try stretch(.newestActivities) { _ in }
            return numbers
        case .everybodys:
            for kind in kinds {
                for severity in severities {
                    try stretch(.newestActivitiesOfKind) {
                        $0.add(kind.rawValue)
                        $0.add(severity.rawValue)
                    }
                }
            }
            return numbers
        case .owned(let owner): owners = owner.map { [nil, $0] } ?? [nil]
        }
        for owner in owners {
            for kind in kinds {
                for severity in severities {
                    try stretch(.newestActivitiesOfOwner) {
                        $0.add(text: owner)
                        $0.add(kind.rawValue)
                        $0.add(severity.rawValue)
                    }
                }
            }
        }
        return numbers
    }

    // MARK: Alerts

    /// Alerts, those raised last first.
    func alerts(_ question: AlertQuestion) throws(StorageError) -> HistoryPage<Alert> {
        var gathering = Gathering<Alert>(question.limit, settings)
        guard let end = try number(of: question.before, .findAlert) else { return gathering.page }
        let wanted = gathering.wanted
        let query: Query =
            switch question.isActive {
            case nil: .newestAlerts
            case true?: .newestActiveAlerts
            case false?: .newestResolvedAlerts
            }
        try database.rows(
            query,
            {
                $0.add(end)
                $0.add(wanted)
            },
            { row throws(StorageError) in
                let alert = try row.alert()
                return gathering.take(alert, alert.title.count + alert.message.count)
            })
        return gathering.page
    }

    /// The number that the rows of a page lie below.
    ///
    /// - Returns: nil where there is no such row as the cursor names.
    private func number(of cursor: SharedBytes?, _ query: Query) throws(StorageError) -> Int64? {
        guard let cursor else { return .max }
        var found: Int64?
        try database.rows(query, { $0.add(text: cursor) }) { row throws(StorageError) in
            found = row.number()
            return false
        }
        return found
    }

    // MARK: At the start

    func unresolvedAlerts() throws(StorageError) -> [Alert] {
        var alerts: [Alert] = []
        try database.rows(.unresolvedAlerts) { row throws(StorageError) in
            alerts.append(try row.alert())
            return true
        }
        return alerts
    }

    func deployments() throws(StorageError) -> [Deployment] {
        var deployments: [Deployment] = []
        try database.rows(.deployments) { row throws(StorageError) in
            deployments.append(try row.deployment())
            return true
        }
        return deployments
    }
}

extension Row {
    fileprivate mutating func activity() throws(StorageError) -> Activity {
        Activity(
            id: bytes(), kind: try value(Activity.Kind.self), message: bytes(), severity: try value(Severity.self),
            resourceType: optionalBytes(), resourceID: optionalBytes(), createdAt: time(), extra: bytes(), owner: optionalBytes())
    }

    fileprivate mutating func alert() throws(StorageError) -> Alert {
        Alert(
            id: bytes(), kind: try value(Alert.Kind.self), severity: try value(Severity.self), title: bytes(), message: bytes(),
            resource: Alert.Resource(
                type: bytes(), id: optionalBytes(), value: optionalDouble() ?? 0, threshold: optionalDouble() ?? 0, unit: bytes()),
            raisedAt: time(), resolvedAt: optionalTime())
    }

    fileprivate mutating func deployment() throws(StorageError) -> Deployment {
        Deployment(
            id: bytes(), form: try form(), status: try value(Deployment.Status.self), health: try value(Deployment.Health.self),
            note: bytes(), createdAt: time(), deployedAt: optionalTime())
    }

    private mutating func form() throws(StorageError) -> Deployment.Form {
        Deployment.Form(
            modelID: bytes(), name: bytes(), modelSource: optionalBytes(), host: optionalBytes(), port: try port(), healthPath: bytes(),
            cpuCores: optionalDouble(), memoryLimit: optionalBytes(), containerID: optionalBytes(),
            startTimeout: TimeSpan(nanoseconds: number()))
    }

    private mutating func port() throws(StorageError) -> UInt16? {
        guard let number = optionalNumber() else { return nil }
        guard let port = UInt16(exactly: number) else { throw .corrupt("a port that is none") }
        return port
    }
}
