// FleetPicture: what `signalbox top` shows, as lines of text: from the answers of /api/fleet, /metrics and, for whom there is a token,
// /api/task/tasks. Asks nobody and draws nothing. What others named is shown without control characters: they would be the terminal's.
import Base
import JSON

struct FleetPicture {
    struct Worker {
        var id: String
        var group: String
        var models: [String]
        var busy: Int
        var concurrency: Int
        var isDraining: Bool
        var gpus: String
    }

    struct Task {
        var id: String
        var status: String
        var progress: Double
        var message: String
    }

    var workers: [Worker] = []
    /// The tasks of the token's user; nil where there is no token.
    var tasks: [Task]?
    /// Samples of /metrics by name and labels; nil where one may not see them.
    var samples: [String: Double]?

    // MARK: Answers

    init(fleet: SharedBytes) {
        guard let index = FleetPicture.index(fleet), let list = index.member("workers", of: index.root, in: fleet.span),
            index.kind(of: list) == .array
        else { return }
        for node in index.elements(of: list) where index.kind(of: node) == .object {
            func strings(_ name: StaticString, _ body: (JSONNode) -> String?) -> [String] {
                guard let list = index.member(name, of: node, in: fleet.span), index.kind(of: list) == .array else { return [] }
                return index.elements(of: list).compactMap(body)
            }
            let gpus = strings("gpus") { gpu in
                index.kind(of: gpu) == .object
                    ? index.double("usage_percent", of: gpu, in: fleet.span).map { "\(Int(min(max($0, 0), 999)))%" } : nil
            }
            workers.append(
                Worker(
                    id: index.string("worker_id", of: node, in: fleet.span) ?? "?",
                    group: index.string("group", of: node, in: fleet.span) ?? "?",
                    models: strings("models") { index.string($0, in: fleet.span) },
                    busy: Int(index.int("busy", of: node, in: fleet.span) ?? 0),
                    concurrency: Int(index.int("concurrency", of: node, in: fleet.span) ?? 0),
                    isDraining: index.bool("draining", of: node, in: fleet.span) ?? false, gpus: gpus.joined(separator: " ")))
        }
    }

    /// - Returns: nil where the answer holds no tasks.
    static func tasks(in text: SharedBytes) -> [Task]? {
        guard let index = index(text), let data = index.member("data", of: index.root, in: text.span), index.kind(of: data) == .object,
            let list = index.member("tasks", of: data, in: text.span), index.kind(of: list) == .array
        else { return nil }
        return index.elements(of: list).filter { index.kind(of: $0) == .object }.map { node in
            Task(
                id: index.string("task_id", of: node, in: text.span) ?? "?", status: index.string("status", of: node, in: text.span) ?? "?",
                progress: index.double("progress", of: node, in: text.span) ?? 0,
                message: index.string("message", of: node, in: text.span) ?? "")
        }
    }

    /// The samples of a page of Prometheus' text format: `name{labels} value`.
    static func samples(in page: SharedBytes) -> [String: Double] {
        var samples: [String: Double] = [:]
        for line in page.description.split(separator: "\n") where !line.hasPrefix("#") {
            guard let space = line.lastIndex(of: " "), let value = Double(line[line.index(after: space)...]) else { continue }
            samples[String(line[..<space])] = value
        }
        return samples
    }

    private static func index(_ text: SharedBytes) -> JSONIndex? {
        var index = JSONIndex()
        guard (try? index.build(from: text.span)) != nil, index.kind(of: index.root) == .object else { return nil }
        return index
    }

    // MARK: Lines

    /// - Parameters:
    ///   - before: the picture that this one follows, and how long ago that was: what rates are made of.
    ///   - width: characters of a line.
    func lines(_ server: String, after before: (picture: FleetPicture, time: TimeSpan)?, width: Int) -> [String] {
        var lines = [headline(server), rates(after: before), ""]
        lines.append(FleetPicture.row([("GROUP", 20), ("WORKERS", 9), ("BUSY", 12), ("MODELS", 0)]))
        for name in Set(workers.map(\.group)).sorted() {
            let members = workers.filter { $0.group == name }
            let models = Set(members.flatMap(\.models)).sorted().joined(separator: " ")
            let busy = "\(members.reduce(0) { $0 + $1.busy })/\(members.reduce(0) { $0 + $1.concurrency })"
            lines.append(FleetPicture.row([(name, 20), ("\(members.count)", 9), (busy, 12), (models, 0)]))
        }
        lines += ["", FleetPicture.row([("WORKER", 20), ("GROUP", 20), ("BUSY", 24), ("GPUS", 12), ("MODELS", 0)])]
        for worker in workers {
            let state = worker.isDraining ? "draining" : "\(worker.busy)/\(worker.concurrency)"
            let bar = FleetPicture.bar(Double(worker.busy), of: Double(worker.concurrency)) + " " + state
            let models = worker.models.joined(separator: " ")
            lines.append(FleetPicture.row([(worker.id, 20), (worker.group, 20), (bar, 24), (worker.gpus, 12), (models, 0)]))
        }
        if let tasks {
            lines += ["", FleetPicture.row([("TASK", 38), ("STATUS", 10), ("PROGRESS", 20), ("MESSAGE", 0)])]
            for task in tasks {
                let bar = FleetPicture.bar(task.progress, of: 100) + " \(Int(min(max(task.progress, 0), 100)))%"
                lines.append(FleetPicture.row([(task.id, 38), (task.status, 10), (bar, 20), (task.message, 0)]))
            }
        }
        return lines.map { String($0.prefix(width)) }
    }

    private func headline(_ server: String) -> String {
        var words = ["signalbox top", FleetPicture.plain(server), "\(workers.count) workers"]
        if let samples {
            func figure(_ name: String) -> Int { Int(samples["signalbox_" + name] ?? 0) }
            words += ["\(figure(#"tasks{state="executing"}"#)) executing", "\(figure(#"tasks{state="queued"}"#)) queued"]
            words += ["\(figure("websockets")) sockets", "\(figure("memory_bytes") >> 20) MiB"]
        }
        return words.joined(separator: "   ")
    }

    /// How much is done, and, from the second picture on, how fast.
    private func rates(after before: (picture: FleetPicture, time: TimeSpan)?) -> String {
        guard let samples else { return "(no figures: /metrics is not for this token)" }
        let names = [
            ("submitted", "tasks_submitted_total"), ("completed", #"tasks_ended_total{state="completed"}"#),
            ("failed", #"tasks_ended_total{state="failed"}"#), ("cancelled", #"tasks_ended_total{state="cancelled"}"#),
        ]
        return names.map { word, name in
            let now = samples["signalbox_" + name] ?? 0
            guard let before, let then = before.picture.samples?["signalbox_" + name], before.time > .zero else {
                return "\(Int(now)) \(word)"
            }
            let rate = max(now - then, 0) * 1_000 / Double(max(before.time.milliseconds, 1))
            return "\(Int(now)) \(word) (\((rate * 10).rounded() / 10)/s)"
        }.joined(separator: "   ")
    }

    private static func bar(_ part: Double, of whole: Double) -> String {
        let filled = whole > 0 ? Int((min(max(part / whole, 0), 1) * 10).rounded()) : 0
        return String(repeating: "#", count: filled) + String(repeating: ".", count: 10 - filled)
    }

    /// Texts in columns; the last one is as wide as it is.
    private static func row(_ columns: [(text: String, width: Int)]) -> String {
        var line = ""
        for (text, width) in columns {
            let cell = plain(text)
            guard width > 0 else { return line + cell }
            line += cell.count < width ? cell + String(repeating: " ", count: width - cell.count) : String(cell.prefix(width - 1)) + " "
        }
        return line
    }

    private static func plain(_ text: String) -> String {
        String(
            String.UnicodeScalarView(
                text.unicodeScalars.map { scalar in
                    scalar.value < 0x20 || (0x7f..<0xa0).contains(scalar.value) ? "?" : scalar
                }))
    }
}
