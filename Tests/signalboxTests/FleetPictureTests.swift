// FleetPictureTests: what `signalbox top` makes of a server's answers.
import Base
import Testing

@testable import signalbox

struct FleetPictureTests {
    private static let fleet = SharedBytes(
        #"{"workers":[{"worker_id":"W1-0a","group":"a","models":["m1"],"concurrency":4,"busy":2,"draining":false,"#
            + #""gpus":[{"usage_percent":23.4},{}]},{"worker_id":"W2","group":"a\u001b[2J","models":[],"concurrency":1,"busy":0,"#
            + #""draining":true,"gpus":[]}],"total_workers":2}"#)

    private func metrics(completed: Int) -> [String: Double] {
        FleetPicture.samples(
            in: SharedBytes(
                """
                # HELP x
                signalbox_tasks{state="executing"} 2
                signalbox_tasks{state="queued"} 5
                signalbox_tasks_ended_total{state="completed"} \(completed)
                signalbox_memory_bytes 2.5e7
                """))
    }

    @Test("groups, workers, figures; what others wrote moves nothing on the screen")
    func lines() {
        var picture = FleetPicture(fleet: Self.fleet)
        picture.samples = metrics(completed: 10)
        let lines = picture.lines("http://x", after: nil, width: 1_000)
        #expect(lines[0] == "signalbox top   http://x   2 workers   2 executing   5 queued   0 sockets   23 MiB")
        #expect(lines[1] == "0 submitted   10 completed   0 failed   0 cancelled")
        #expect(lines.contains("a                   1        2/4         m1"))
        #expect(lines.contains("W1-0a               a                   #####..... 2/4          23%         m1"))
        #expect(lines.contains { $0.hasPrefix("W2                  a?[2J               .......... draining") })
        #expect(lines.allSatisfy { line in line.unicodeScalars.allSatisfy { $0.value >= 0x20 } })
        #expect(picture.lines("http://x", after: nil, width: 50).allSatisfy { $0.count <= 50 })
    }

    @Test("rates come of two pictures")
    func rates() {
        var before = FleetPicture(fleet: Self.fleet)
        before.samples = metrics(completed: 10)
        var picture = before
        picture.samples = metrics(completed: 25)
        #expect(picture.lines("x", after: (before, .seconds(2)), width: 500)[1].contains("25 completed (7.5/s)"))
        // A server that began anew counts from nothing.
        #expect(before.lines("x", after: (picture, .seconds(2)), width: 500)[1].contains("10 completed (0.0/s)"))
    }

    @Test("tasks, and answers that are none")
    func tasks() {
        var picture = FleetPicture(fleet: SharedBytes("no JSON"))
        #expect(picture.workers.isEmpty)
        let answer = SharedBytes(
            #"{"success":true,"data":{"tasks":[{"task_id":"t","status":"running","progress":40.5,"message":null}],"next_cursor":null}}"#)
        picture.tasks = FleetPicture.tasks(in: answer)
        let lines = picture.lines("x", after: nil, width: 500)
        #expect(lines[1] == "(no figures: /metrics is not for this token)")
        #expect(lines.contains { $0.hasPrefix("t                                     running   ####...... 40%") })
        for other in ["[]", "{}", #"{"data":5}"#, #"{"data":{"tasks":{}}}"#] { #expect(FleetPicture.tasks(in: SharedBytes(other)) == nil) }
        #expect(FleetPicture(fleet: SharedBytes(#"{"workers":[5,{}]}"#)).workers.map(\.id) == ["?"])
    }
}
