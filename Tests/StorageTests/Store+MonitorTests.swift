// What the records of the fleet leave behind: once or anew, gone or back at the next start, and forgotten by age.
import Base
import Domain
import Testing

@testable import Storage

struct StoreMonitorTests {
    @Test("of more activities than are kept the oldest go, in as many steps as it takes", arguments: [1, 3, 500])
    func surplus(_ rows: Int) throws {
        var rig = try Rig {
            $0.sweepRows = rows
            $0.activitiesMax = 4
        }
        for number in 1...10 { try rig.write(.activityNoted(activity(number, at: 1_000))) }
        #expect(try rig.forget(before: 500) == 6)
        #expect(try rig.forget(before: 500) == 0)
        let left = try rig.activities(ActivityQuestion(visibility: .everybodys, limit: 99)).rows
        #expect(left.map(\.id) == (7...10).reversed().map { activity($0, at: 1_000).id })
    }

    @Test("an activity that is written again is one, as it was first, and keeps its place")
    func repeated() throws {
        var rig = try Rig()
        try rig.write(.activityNoted(activity(1)), .activityNoted(activity(2)), .activityNoted(activity(1, .downloadTask)))
        try rig.write(.activityNoted(activity(1, .modelDeployment)))
        #expect(try rig.activities(ActivityQuestion(visibility: .everybodys, limit: 9)).rows == [activity(2), activity(1)])
    }

    @Test("of an alert the newest word stands, in the place where it was raised")
    func alerts() throws {
        var rig = try Rig()
        try rig.write(.alertChanged(alert(1)), .alertChanged(alert(2)), .alertChanged(alert(1, .critical)))
        #expect(try rig.alerts(AlertQuestion(limit: 9)).rows == [alert(2), alert(1, .critical)])
        var last = alert(1, .error, at: 1_600, resolved: 3_000)
        (last.kind, last.title, last.message) = (.gpuThreshold, SharedBytes("t"), SharedBytes("m"))
        last.resource = Alert.Resource(type: SharedBytes("gpu"), id: SharedBytes("0"), value: 1, threshold: 2, unit: SharedBytes("u"))
        try rig.write(.alertChanged(last))
        #expect(try rig.alerts(AlertQuestion(limit: 9)).rows == [alert(2), last])
        #expect(try rig.recover().alerts == [alert(2)])
    }

    @Test("alerts that last come back in the order in which they were raised")
    func recoveredAlerts() throws {
        var rig = try Rig()
        try rig.write(.alertChanged(alert(1, at: 3_000)), .alertChanged(alert(2, at: 1_000)), .alertChanged(alert(3, at: 1_000)))
        try rig.write(.alertChanged(alert(4, at: 500, resolved: 600)))
        #expect(try rig.recover().alerts.map(\.id) == [2, 3, 1].map { alert($0).id })
    }

    @Test("every word of a deployment comes back at the next start, for every status and health")
    func deploymentColumns() throws {
        let scratch = try Scratch()
        var all: [Deployment] = []
        for status in Deployment.Status.allCases {
            for health in Deployment.Health.allCases {
                let number = all.count
                let form = Deployment.Form(
                    modelID: SharedBytes("模型-\(number)"), name: SharedBytes("name \(number)"), modelSource: SharedBytes("hub"),
                    host: SharedBytes("gpu-1"), port: .max, healthPath: SharedBytes("/v1/health?a=1"), cpuCores: 2.5,
                    memoryLimit: SharedBytes("16Gi"), containerID: SharedBytes("c-\(number)"),
                    startTimeout: TimeSpan(nanoseconds: 1_500_000_001))
                all.append(
                    Deployment(
                        id: SharedBytes("dep-\(100 + number)"), form: form, status: status, health: health, note: SharedBytes("no answer"),
                        createdAt: time(1_700_000_000_123), deployedAt: time(1_700_000_000_456)))
            }
        }
        let bare = deployment(1, at: 1_700_000_000_124)
        do {
            var rig = try Rig(scratch.location)
            try rig.write(all.map { .deploymentChanged($0) })
            try rig.write(.deploymentChanged(bare), .activityNoted(activity(1)), .alertChanged(alert(1)))
            try rig.journal.close()
        }
        let rig = try Rig(scratch.location)
        let found = try rig.recover()
        #expect(found.deployments == all + [bare] && found.alerts == [alert(1)])
        #expect(try rig.activities(ActivityQuestion(visibility: .everybodys, limit: 9)).rows == [activity(1)])
    }

    @Test("deployments come back by their coming and then by name; the newest word stands, and one that was removed is gone")
    func deployments() throws {
        var rig = try Rig()
        let first = try rig.recover()
        #expect(first.deployments.isEmpty && first.alerts.isEmpty)
        try rig.write(
            .deploymentChanged(deployment(3)), .deploymentChanged(deployment(2)), .deploymentChanged(deployment(1, at: 2_000)),
            .deploymentChanged(deployment(3, .running)))
        #expect(try rig.recover().deployments == [deployment(2), deployment(3, .running), deployment(1, at: 2_000)])
        var changed = deployment(2, .failed)
        (changed.form.port, changed.form.name, changed.note, changed.deployedAt) = (80, SharedBytes("other"), SharedBytes("n"), time(9))
        try rig.write(.deploymentChanged(changed), .deploymentRemoved(deployment(3).id), .deploymentRemoved(SharedBytes("dep-9")))
        #expect(try rig.recover().deployments == [changed, deployment(1, at: 2_000)])
        // Removed and registered again within one group, and the other way round.
        try rig.write(
            .deploymentRemoved(changed.id), .deploymentChanged(deployment(2, .stopped)), .deploymentChanged(deployment(4)),
            .deploymentRemoved(deployment(4).id))
        #expect(try rig.recover().deployments == [deployment(2, .stopped), deployment(1, at: 2_000)])
    }

    @Test("old activities and old resolved alerts are forgotten in steps; what lasts and what is registered stays", arguments: [1, 3, 500])
    func forgetting(_ rows: Int) throws {
        var rig = try Rig { $0.sweepRows = rows }
        for number in 1...10 {
            try rig.write(
                .activityNoted(activity(number, at: number * 100)), .alertChanged(alert(number, at: 1, resolved: number * 100)),
                .alertChanged(alert(100 + number, at: number * 100)), .deploymentChanged(deployment(number, at: number)))
        }
        #expect(try rig.forget(before: 501) == 10)
        let activities = try rig.activities(ActivityQuestion(visibility: .everybodys, limit: 99)).rows
        #expect(activities.map(\.createdAt.milliseconds) == [1_000, 900, 800, 700, 600])
        let resolved = try rig.alerts(AlertQuestion(isActive: false, limit: 99)).rows
        #expect(resolved.compactMap(\.resolvedAt?.milliseconds) == [1_000, 900, 800, 700, 600])
        let found = try rig.recover()
        #expect(found.alerts.count == 10 && found.deployments.count == 10)
        #expect(try rig.forget(before: 501) == 0)
        // Behind a row that was forgotten lay nothing but what was forgotten with it.
        let behind = ActivityQuestion(before: activity(5).id, visibility: .everybodys, limit: 9)
        #expect(try rig.activities(behind) == HistoryPage(rows: [], hasMore: false))
        // Numbers go on: what is new is newer than what was there.
        _ = try rig.forget(before: 5_000)
        try rig.write(.activityNoted(activity(11)), .activityNoted(activity(12)))
        #expect(try rig.activities(ActivityQuestion(visibility: .everybodys, limit: 1)).rows == [activity(12)])
    }

    @Test("records of the fleet stand between those of tasks without a change to either")
    func mixed() throws {
        var rig = try Rig()
        try rig.write(
            .submitted(image(1)), .activityNoted(activity(1)), .ended(ending(1)), .deploymentChanged(deployment(1)), .logged(log(1, 3)),
            .alertChanged(alert(1)))
        let found = try rig.recover()
        #expect(found.ended.map(\.ending) == [ending(1)] && found.deployments == [deployment(1)] && found.alerts == [alert(1)])
        #expect(try rig.logs(name(1)).rows == [log(1, 3)])
    }

    @Test("in memory old activities give way to new ones when the room is full")
    func fullMemory() throws {
        var rig = try Rig { $0.memoryPagesMax = 200 }
        let long = SharedBytes([UInt8](repeating: 0x6c, count: 4_000))
        for number in 0..<400 {
            var next = activity(number)
            next.message = long
            try rig.write(.activityNoted(next))
        }
        #expect(rig.listener.failures.isEmpty)
        let page = try rig.activities(ActivityQuestion(visibility: .everybodys, limit: 1))
        #expect(page.rows.map(\.id) == [activity(399).id])
    }
}
