// Goal: a page that Prometheus reads, with figures that move.
import Base
import TestSupport
import Testing

@testable import Gateway

@Suite("Metrics")
struct MetricsTests {
    /// A page read as Prometheus reads it: samples by name and labels; every rule of the format that is broken is told.
    private func read(_ page: String) -> (samples: [String: Double], faults: [String]) {
        var samples: [String: Double] = [:]
        var faults: [String] = []
        var family = ""
        var type = ""
        var seen: Set<String> = []
        if !page.hasSuffix("\n") { faults.append("the last line does not end") }
        for line in page.split(separator: "\n", omittingEmptySubsequences: false).dropLast() {
            if line.hasPrefix("# HELP ") {
                let words = line.split(separator: " ", maxSplits: 3)
                guard words.count == 4, seen.insert(String(words[2])).inserted else {
                    faults.append("help: \(line)")
                    continue
                }
                family = String(words[2])
                type = ""
            } else if line.hasPrefix("# TYPE ") {
                let words = line.split(separator: " ")
                guard words.count == 4, words[2] == family, ["counter", "gauge", "histogram"].contains(words[3]) else {
                    faults.append("type: \(line)")
                    continue
                }
                type = String(words[3])
            } else {
                guard let space = line.lastIndex(of: " "), let value = Double(line[line.index(after: space)...]), value >= 0 else {
                    faults.append("sample: \(line)")
                    continue
                }
                let name = String(line[..<space])
                let base = name.prefix { $0 != "{" }
                let suffixes = type == "histogram" ? ["_bucket", "_sum", "_count"] : [""]
                if !suffixes.contains(where: { base == family + $0 }) { faults.append("a sample of no family: \(line)") }
                if type == "counter", !base.hasSuffix("_total") { faults.append("a counter's name: \(line)") }
                if !base.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_") }) { faults.append("name: \(line)") }
                if samples.updateValue(value, forKey: name) != nil { faults.append("twice: \(line)") }
            }
        }
        return (samples, faults)
    }

    private func page(_ stage: Stage) -> [String: Double] {
        stage.network.send(Stage.request("GET /metrics").bytes, on: stage.link("metrics"))
        var seen = stage.take("metrics")
        guard let reply = try? Wire.reply(&seen, isHead: false) else { return [:] }
        #expect(reply.field("Content-Type") == "text/plain; version=0.0.4; charset=utf-8")
        let (samples, faults) = read(reply.body)
        #expect(faults == [])
        return samples
    }

    @Test("every line of the page is well-formed, and the figures follow what happens")
    func figures() {
        var settings = Settings(echoPath: SharedBytes("/echo"))
        settings.limits.queueLengthMax = 0
        let stage = Stage(.whole, settings)
        let before = page(stage)
        #expect(before["signalbox_build_info{version=\"development\"}"] == 1)
        #expect(before["signalbox_connections"] == 1 && before["signalbox_websockets"] == 0)
        stage.play("""
            w upgrades /ws
            w < {"type":"connected","workerId":"$w","message":"Connected to Task Dispatcher"}
            w > {"type":"ready","concurrency":2}
            e upgrades /echo
            e > x
            e < x
            a > POST /api/openai {"data":{"n":1}}
            w < {"type":"task","taskId":"$one","payload":{"model":"default","data":{"n":1}}}
            * wait 2s
            b > POST /api/openai {"data":{"n":2}}
            w < {"type":"task","taskId":"$two","payload":{"model":"default","data":{"n":2}}}
            c > POST /api/openai {"data":{"n":3}}
            c < 503 {"error":"Queue is full"}
            c > POST /api/openai {"data":{"n":3},"group":"none"}
            c < 503 {"error":"No worker available"}
            w > {"type":"task_complete","taskId":"$one","result":1}
            w < {"type":"task_ack","taskId":"$one"}
            a < 200 {"taskId":"$one","status":"completed","result":1}
            w > {"type":"task_complete","taskId":"$one"}
            w < {"type":"error","error":"Task already completed","taskId":"$one"}
            f >> \\0
            f < 400 {"error":"The request does not begin with a method."}
            f < closed
            """)
        let after = page(stage)
        func moved(_ name: String) -> Double { (after["signalbox_" + name] ?? -1_000) - (before["signalbox_" + name] ?? -1_000) }
        #expect(moved("connections") == 5 && moved("connections_opened_total") == 6)
        #expect(moved("websockets") == 2 && moved("websockets_opened_total") == 2)
        #expect(moved("websocket_messages_received_total") == 4 && moved("websocket_messages_sent_total") == 6)
        #expect(moved("http_requests_total") == 7 && moved("http_requests_malformed_total") == 1)
        #expect(moved("http_responses_total{class=\"2xx\"}") == 2)
        #expect(moved("http_responses_total{class=\"4xx\"}") == 1 && moved("http_responses_total{class=\"5xx\"}") == 2)
        #expect(moved("tasks{state=\"executing\"}") == 1 && moved("tasks{state=\"ended\"}") == 1)
        #expect(moved("tasks_submitted_total") == 2 && moved("tasks_ended_total{state=\"completed\"}") == 1)
        #expect(moved("tasks_refused_total{reason=\"no_worker\"}") == 1 && moved("tasks_refused_total{reason=\"queue_full\"}") == 1)
        #expect(moved("worker_reports_refused_total") == 1 && moved("workers") == 1 && moved("groups") == 1)
        #expect(moved("task_duration_seconds_count") == 1 && moved("task_duration_seconds_sum") == 2)
        #expect(moved("task_duration_seconds_bucket{le=\"+Inf\"}") == 1)
        #expect(moved("task_wait_seconds_count") == 2 && moved("task_wait_seconds_sum") == 0)
        #expect(moved("turns_total") > 10)
        stage.play("b leaves\nw < {\"type\":\"cancel\",\"taskId\":\"$two\"}")
        #expect(page(stage)["signalbox_tasks_ended_total{state=\"cancelled\"}"] == 1)
        stage.end()
    }

    @Test("whatever was taken in has ended or is here: tasks of requests, and those of outside programs")
    func sums() {
        let stage = Stage()
        stage.play("""
            w upgrades /ws
            w < {"type":"connected","workerId":"$w","message":"Connected to Task Dispatcher"}
            w > {"type":"ready"}
            a > POST /api/openai {"data":{"n":1},"async":true}
            w < {"type":"task","taskId":"$one","payload":{"model":"default","data":{"n":1}}}
            a < 200 {"taskId":"$one","status":"executing"}
            a > POST /api/openai {"data":{"n":2},"async":true}
            a < 200 {"taskId":"$two","status":"queued"}
            w > {"type":"task_error","taskId":"$one","error":"no"}
            w < {"type":"task","taskId":"$two","payload":{"model":"default","data":{"n":2}}}
            w < {"type":"task_ack","taskId":"$one"}
            """)
        for (task, isDone) in [("x", false), ("y", true), ("z", false)] {
            stage.play("""
                p > POST /api/task/register {"task_id":"\(task)","user_id":1}
                p < 200 {"success":true,"data":{"task_id":"\(task)","seq":1}}
                """)
            guard isDone else { continue }
            stage.play("""
                p > POST /api/task/task/\(task)/completed {}
                p < 200 {"success":true,"data":{"task_id":"\(task)","seq":2}}
                """)
        }
        let page = page(stage)
        func figure(_ name: String) -> Double { page["signalbox_" + name] ?? -1_000 }
        #expect(figure("tasks_submitted_total") == 2 && figure("tasks_registered_total") == 3 && figure("tasks_restored_total") == 0)
        #expect(figure("tasks_reported") == 2 && figure("tasks{state=\"executing\"}") == 1 && figure("tasks{state=\"queued\"}") == 0)
        #expect(figure("tasks_ended_total{state=\"completed\"}") == 1 && figure("tasks_ended_total{state=\"failed\"}") == 1)
        stage.end()
    }

    @Test("SECURITY 38: no label tells what a client wrote, and the page does not grow with its groups and names")
    func labels() {
        let stage = Stage()
        let before = page(stage).count
        stage.play("""
            w upgrades /ws?group=evil%22%0agroup
            w < {"type":"connected","workerId":"$w","message":"Connected to Task Dispatcher"}
            w > {"type":"ready","models":["a\\"b","c"]}
            a > GET /never/heard/of
            a < 404 {"error":"Not found"}
            """)
        #expect(page(stage).count == before)
        stage.end()
    }

    @Test("buckets are cumulative, and their bounds rise")
    func buckets() {
        let stage = Stage()
        stage.play("a > GET /healthz\na < 200 {\"status\":\"ok\"}")
        let samples = page(stage)
        let name = "signalbox_turn_duration_seconds_bucket{le=\""
        let buckets = samples.filter { $0.key.hasPrefix(name) && !$0.key.hasSuffix("+Inf\"}") }
            .map { (bound: Double($0.key.split(separator: "\"")[1]) ?? -1, count: $0.value) }.sorted { $0.bound < $1.bound }
        #expect(buckets.count > 5)
        for (left, right) in zip(buckets, buckets.dropFirst()) { #expect(left.bound < right.bound && left.count <= right.count) }
        #expect(samples["signalbox_turn_duration_seconds_bucket{le=\"+Inf\"}"] == samples["signalbox_turn_duration_seconds_count"])
        stage.end()
    }
}
