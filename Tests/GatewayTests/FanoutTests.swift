// Goal: one publication reaches everybody who hears it, in every format, written once each; and who reads slowly holds up nobody.
import Base
import Dialects
import Domain
import Glibc
import JSON
import TestSupport
import Testing
import WebSockets

@testable import Gateway

@Suite("Fanout")
struct FanoutTests {
    private static let work = """
        w upgrades /ws
        w < {"type":"connected","workerId":"$worker","message":"Connected to Task Dispatcher"}
        w > {"type":"ready"}
        a > POST /api/gpu/tasks {"data":{"n":1}}
        a < 200 {"task_id":"$task","status":"running","progress":20,"created_at":"$t","started_at":"$t","provider":null,\
        "priority":"normal","seq":1}
        w < {"type":"task","taskId":"$task","payload":{"model":"default","data":{"n":1}}}

        """

    private static let greeting = """
        g upgrades /api/gpu/tasks/$task/ws
        g < {"type":"connection_established",…
        g < {"type":"current_status",…

        """

    private static func settings(_ change: (inout Limits) -> Void = { _ in }, deflate: DeflatePolicy = .off) -> Settings {
        var settings = Settings(echoPath: SharedBytes("/echo"), deflate: deflate)
        change(&settings.limits)
        return settings
    }

    /// Sockets that hear of the task in one of the formats.
    private final class Listeners {
        let stage: Stage
        var subscribers: [SubscriberID] = []

        init(_ stage: Stage) { self.stage = stage }

        func listen(_ name: String, _ format: Format, upgrade: String = "") throws {
            stage.play("\(name) upgrades /echo\(upgrade)")
            let hub = stage.network.server.context.broker.hub
            let subscriber = try #require(hub.enter(format, target: stage.link(name).id.raw))
            let task = try #require(stage.bindings["task"].flatMap { TaskID(Array($0.utf8).span) })
            try hub.subscribe(subscriber, to: .task(task))
            subscribers.append(subscriber)
        }

        func end() {
            for subscriber in subscribers { stage.network.server.context.broker.hub.leave(subscriber) }
            stage.end()
        }
    }

    private static func texts(_ stage: Stage, _ name: String) throws -> [String] {
        var bytes = stage.take(name)
        var texts: [String] = []
        while let frame = try Wire.frame(&bytes) { texts.append(try Wire.describe(frame, nil)) }
        #expect(bytes.isEmpty)
        return texts
    }

    private func work(_ text: String, _ stage: Stage) -> [UInt8] {
        Wire.frame(1, Array(stage.bindings.fill(text).utf8))
    }

    // MARK: Formats

    @Test("one event, five formats, fifty watchers each: five encodings, and everybody has the event once")
    func once() throws {
        let stage = Stage(.whole, Self.settings())
        stage.play(Self.work)
        let listeners = Listeners(stage)
        for number in 0..<50 {
            for format in [Format.task, .user, .hub, .hubBatched] { try listeners.listen("\(format)\(number)", format) }
            stage.play("""
                s\(number) > GET /api/tasks/$task/events
                s\(number) < 200
                s\(number) < retry: 2000
                s\(number) < id: 1 | event: current_status…
                """)
        }
        let before = stage.network.server.context.metrics
        for round in 2...3 {
            stage.play(#"w > {"type":"task_progress","taskId":"$task","progress":50,"message":"half"}"#)
            for number in 0..<50 {
                stage.play("""
                    task\(number) < {"type":"task_progress","task_id":"$task","progress":60,"message":"half","timestamp":"$t",\
                    "seq":\(round),"step_info":{"worker_progress":50}}
                    s\(number) < id: \(round) | event: task_progress | data: {"type":"task_progress","task_id":"$task","progress":60,\
                    "message":"half","timestamp":"$t","seq":\(round),"step_info":{"worker_progress":50}}
                    user\(number) < {"type":"task_status","task_id":"$task",…
                    hub\(number) < {"type":"progress","task_id":"$task",…
                    hubBatched\(number) < {"type":"progress","task_id":"$task",…
                    """)
            }
        }
        let after = stage.network.server.context.metrics
        #expect(after.encodings - before.encodings == 10)
        #expect(after.deliveries - before.deliveries == 500)
        #expect(after.messagesOut - before.messagesOut == 500)
        listeners.end()
    }

    @Test("a format without a word for the event is not written, and a failure is as many messages as its document has")
    func words() throws {
        let stage = Stage(.whole, Self.settings())
        stage.play(Self.work)
        let listeners = Listeners(stage)
        for format in [Format.task, .user, .hub, .hubBatched] { try listeners.listen("\(format)", format) }
        let before = stage.network.server.context.metrics.encodings
        stage.play(#"w > {"type":"task_logs","taskId":"$task","logs":"l"}"#)
        #expect(stage.network.server.context.metrics.encodings - before == 1)
        for name in ["user", "hub", "hubBatched"] { #expect(stage.take(name) == []) }
        #expect(try Self.texts(stage, "task").count == 1)
        stage.play("""
            w > {"type":"task_error","taskId":"$task","error":"no memory"}
            w < {"type":"task_ack","taskId":"$task"}
            """)
        let task = try Self.texts(stage, "task")
        #expect(task.count == 2 && task[0].hasPrefix(#"{"type":"task_error""#) && task[1].hasPrefix(#"{"type":"task_completed""#))
        #expect(try Self.texts(stage, "user").count == 1)
        let hub = try Self.texts(stage, "hub")
        #expect(hub.count == 2 && hub[0].hasPrefix(#"{"type":"status""#) && hub[1].hasPrefix(#"{"type":"error""#))
        #expect(try Self.texts(stage, "hubBatched") == [hub[0] + "\n" + hub[1]])
        listeners.end()
    }

    @Test("compressed: once for all who keep no context, for each who does", arguments: [false, true])
    func compressed(_ keepsContext: Bool) throws {
        let stage = Stage(.whole, Self.settings(deflate: DeflatePolicy(keepsServerContext: keepsContext)))
        stage.play(Self.work)
        let listeners = Listeners(stage)
        for number in 0..<3 { try listeners.listen("z\(number)", .hub, upgrade: " [Sec-WebSocket-Extensions: permessage-deflate]") }
        for _ in 0..<3 {
            stage.play(#"w > {"type":"task_progress","taskId":"$task","progress":50,"message":"@100"}"#)
            for number in 0..<3 { stage.play(#"z\#(number) < z:{"type":"progress","task_id":"$task",…"#) }
        }
        stage.play("""
            w > {"type":"task_error","taskId":"$task","error":"@100"}
            w < {"type":"task_ack","taskId":"$task"}
            """)
        for number in 0..<3 {
            stage.play("""
                z\(number) < z:{"type":"status",…
                z\(number) < z:{"type":"error",…
                """)
        }
        listeners.end()
    }

    @Test("what a turn tells somebody in a row is one piece of output, in each format", arguments: [Format.task, .user, .hub])
    func inARow(_ format: Format) throws {
        let stage = Stage(.whole, Self.settings())
        stage.play(Self.work)
        let listeners = Listeners(stage)
        try listeners.listen("a", format)
        try listeners.listen("b", .hubBatched)
        let link = stage.link("a")
        link.stalls = true
        let report = work(#"{"type":"task_progress","taskId":"$task","progress":10,"message":"half"}"#, stage)
        stage.network.send(report + report + report, on: stage.link("w"))
        var slices = unsafe [iovec](repeating: iovec(), count: 8)
        let count = unsafe slices.withUnsafeMutableBufferPointer { unsafe stage.network.outbox.gather(link.id, into: $0, bytesMax: .max) }
        #expect(count == 1)
        stage.network.read(link)
        #expect(try Self.texts(stage, "a").count == 3)
        #expect(try Self.texts(stage, "b").count == 1)
        listeners.end()
    }

    // MARK: Several messages in a frame

    @Test("all messages of a turn leave in one frame, a line each, and what is said to one alone keeps its place")
    func lines() throws {
        let stage = Stage(.whole, Self.settings())
        stage.play(Self.work)
        let listeners = Listeners(stage)
        try listeners.listen("plain", .hub)
        try listeners.listen("b", .hubBatched)
        let network = stage.network
        network.post(
            work(#"{"type":"task_progress","taskId":"$task","progress":10}"#, stage)
                + work(#"{"type":"task_progress","taskId":"$task","progress":20,"message":"@300"}"#, stage),
            on: stage.link("w"))
        // In the same turn, behind the worker.
        network.send(Wire.frame(1, Array("hello".utf8)), on: stage.link("b"))
        let plain = try Self.texts(stage, "plain")
        #expect(plain.count == 2)
        #expect(try Self.texts(stage, "b") == [plain.joined(by: "\n"), "hello"])
        network.send(
            work(#"{"type":"task_progress","taskId":"$task","progress":30}"#, stage)
                + work(#"{"type":"task_error","taskId":"$task","error":"e"}"#, stage),
            on: stage.link("w"))
        stage.play(#"w < {"type":"task_ack","taskId":"$task"}"#)
        #expect(try Self.texts(stage, "b") == [Self.texts(stage, "plain").joined(by: "\n")])
        listeners.end()
    }

    @Test("a frame of several messages is no longer than it may be; a longer message has one of its own")
    func longLines() throws {
        let stage = Stage(.whole, Self.settings { $0.batchBytesMax = 1_000 })
        stage.play(Self.work)
        let listeners = Listeners(stage)
        try listeners.listen("plain", .hub)
        try listeners.listen("b", .hubBatched)
        func report(_ length: Int) -> [UInt8] {
            let message = String(repeating: "x", count: length)
            return work(#"{"type":"task_progress","taskId":"$task","progress":10,"message":"\#(message)"}"#, stage)
        }
        let (short, long) = (report(34), report(3_000))
        stage.network.send(short + short + short + short + long + short, on: stage.link("w"))
        let plain = try Self.texts(stage, "plain")
        let lengths = plain.map { $0.utf8.count }
        try #require(lengths.count == 6 && lengths[0] * 3 + 2 <= 1_000 && lengths[0] * 4 + 3 > 1_000)
        #expect(try Self.texts(stage, "b") == [plain[0..<3].joined(by: "\n"), plain[3], plain[4], plain[5]])
        listeners.end()
    }

    @Test("lines that nobody's turn has sent yet keep the loop awake, and a socket that closes takes them along")
    func lastLines() throws {
        let stage = Stage(.whole, Self.settings())
        stage.play(Self.work)
        let listeners = Listeners(stage)
        try listeners.listen("b", .hubBatched)
        // The worker's end is told when the turn's own end has passed; its task ends with it.
        stage.play("w leaves")
        #expect(try Self.texts(stage, "b").count == 1)
        listeners.end()
    }

    // MARK: Who reads too slowly

    private static func slow(_ change: (inout Limits) -> Void = { _ in }) -> Settings {
        settings {
            $0.conflatedBytesMin = 300
            $0.waitingLogBytesMax = 600
            change(&$0)
        }
    }

    @Test("who does not read gets newest progress, a note of what was left out, and the end; others are not held back")
    func stalls() {
        let stage = Stage(.whole, Self.slow())
        stage.play(Self.work + Self.greeting + """
            h upgrades /api/gpu/tasks/$task/ws
            h < {"type":"connection_established",…
            h < {"type":"current_status",…
            g stalls
            w > {"type":"task_logs","taskId":"$task","logs":"@200"}
            h < {"type":"task_logs",…
            w > {"type":"task_progress","taskId":"$task","progress":10}
            h < {"type":"task_progress",…
            w > {"type":"task_logs","taskId":"$task","logs":"two"}
            h < {"type":"task_logs","task_id":"$task","logs":"two",…
            w > {"type":"task_logs","taskId":"$task","logs":"three"}
            h < {"type":"task_logs",…
            w > {"type":"task_logs","taskId":"$task","logs":"four"}
            h < {"type":"task_logs",…
            g > {"type":"ping"}
            w > {"type":"task_progress","taskId":"$task","progress":20}
            h < {"type":"task_progress",…
            w > {"type":"task_error","taskId":"$task","error":"no memory"}
            w < {"type":"task_ack","taskId":"$task"}
            h < {"type":"task_error",…
            h < {"type":"task_completed",…
            g reads
            g < {"type":"task_logs",…
            g < {"type":"gap","task_id":"$task","first_seq":4,"last_seq":5,"timestamp":"$now"}
            g < {"type":"task_logs","task_id":"$task","logs":"four",…
            g < {"type":"pong","timestamp":"$now"}
            g < {"type":"task_progress","task_id":"$task","progress":48,…
            g < {"type":"task_error",…
            g < {"type":"task_completed",…
            g < nothing
            g > {"type":"ping"}
            g < {"type":"pong","timestamp":"$now"}
            """)
        let metrics = stage.network.server.context.metrics
        #expect(metrics.backlogs == 1 && metrics.conflated == 1 && metrics.logsLeftOut == 2)
        stage.end()
    }

    @Test("a reader that takes a little at a time has every end, each task's numbers growing", arguments: [1, 50, 200], [false, true])
    func trickle(_ takes: Int, _ batches: Bool) throws {
        let stage = Stage(.whole, Self.slow())
        stage.play(Self.work)
        let listeners = Listeners(stage)
        try listeners.listen("b", batches ? .hubBatched : .hub)
        let link = stage.link("b")
        link.takes = takes
        for step in 1...60 {
            stage.network.send(
                work(#"{"type":"task_progress","taskId":"$task","progress":\#(step),"message":"@100"}"#, stage), on: stage.link("w"))
        }
        stage.play("""
            w > {"type":"task_error","taskId":"$task","error":"no memory"}
            w < {"type":"task_ack","taskId":"$task"}
            """)
        for _ in 0..<20_000 where stage.network.outbox.queuedBytes(link.id) > 0 { stage.network.read(link) }
        let messages = try Self.texts(stage, "b").flatMap { $0.components(separatedBy: "\n") }
        let numbers = messages.compactMap { message in
            message.components(separatedBy: #""seq":"#).last.flatMap { Int($0.prefix { $0.isNumber }) }
        }
        #expect(numbers == numbers.sorted() && numbers.count == messages.count)
        #expect(numbers.last == 62 && messages.last?.hasPrefix(#"{"type":"error""#) == true)
        #expect(messages.dropLast().last?.hasPrefix(#"{"type":"status""#) == true)
        #expect(Set(numbers).count == numbers.count - 1, "a failure's two messages have its number, and no other is told twice")
        #expect(stage.network.server.context.metrics.conflated > 0)
        listeners.end()
    }

    @Test("1013 behind what was queued, when queue and backlog together are too much")
    func tooSlow() {
        let stage = Stage(.whole, Self.slow { $0.queuedBytesMax = 4_000 })
        stage.play(Self.work + Self.greeting + """
            g stalls
            w > {"type":"task_logs","taskId":"$task","logs":"@400"}
            w > {"type":"task_progress","taskId":"$task","progress":10}
            w > {"type":"task_complete","taskId":"$task","result":"@4000"}
            w < {"type":"task_ack","taskId":"$task"}
            g reads
            g < {"type":"task_logs",…
            g < close 1013 messages are read too slowly
            g sends close 1013
            g < closed
            """)
        #expect(stage.network.server.context.metrics.slowConsumers == 1)
        stage.end()
    }

    @Test("a server that stops tells a slow reader first what it was to be told")
    func stops() {
        Stage.play(.whole, Self.slow(), Self.work + Self.greeting + """
            g stalls
            w > {"type":"task_logs","taskId":"$task","logs":"@400"}
            w > {"type":"task_progress","taskId":"$task","progress":10}
            w > {"type":"task_complete","taskId":"$task","result":[1]}
            w < {"type":"task_ack","taskId":"$task"}
            * stop
            g reads
            g < {"type":"task_logs",…
            g < {"type":"task_progress",…
            g < {"type":"task_completed",…
            g < close 1001 server is shutting down
            g sends close 1001
            g < closed
            w < {"type":"drain"}
            w < close 1001 server is shutting down
            w sends close 1001
            w < closed
            """)
    }

    // MARK: What has gone out

    @Test("a session comes back to what may not have gone out: never to less", arguments: [Format.hub, .hubBatched])
    func safeNumber(_ format: Format) throws {
        let stage = Stage(.whole, Self.slow())
        stage.play(Self.work)
        let listeners = Listeners(stage)
        try listeners.listen("b", format)
        let context = stage.network.server.context
        let sender = stage.network.server.sender
        let link = stage.link("b")
        guard case .webSocket(let conversation) = context.conversation(link.id) else { return }
        let start = context.broker.hub.number
        func report() {
            let report = #"{"type":"task_progress","taskId":"$task","progress":10,"message":"\#(String(repeating: "x", count: 200))"}"#
            stage.network.send(work(report, stage), on: stage.link("w"))
        }
        report()
        #expect(sender.safeNumber(of: conversation) == start + 1)
        link.stalls = true
        for _ in 0..<5 {
            report()
            #expect(sender.safeNumber(of: conversation) == start + 1)
        }
        link.stalls = false
        stage.network.read(link)
        #expect(sender.safeNumber(of: conversation) == start + 6)
        link.stalls = true
        for _ in 0..<5 { report() }
        stage.network.leave(link, .broken(errno: 104))
        #expect(sender.safeNumber(of: conversation) == start + 6, "also when the connection is gone")
        _ = stage.take("b")
        listeners.end()
    }

    @Test("what is published behind a close frame was not told")
    func safeNumberWhileClosing() throws {
        let stage = Stage(.whole, Self.settings())
        stage.play(Self.work)
        let listeners = Listeners(stage)
        try listeners.listen("b", .hub)
        let server = stage.network.server
        let link = stage.link("b")
        guard case .webSocket(let conversation) = server.context.conversation(link.id) else { return }
        let start = server.context.broker.hub.number
        link.stalls = true
        server.sender.close(conversation, .goingAway)
        stage.play(#"w > {"type":"task_progress","taskId":"$task","progress":10}"#)
        #expect(server.context.broker.hub.number == start + 1)
        #expect(server.sender.safeNumber(of: conversation) == start)
        stage.play("""
            b reads
            b < close 1001 server is shutting down
            """)
        #expect(server.sender.safeNumber(of: conversation) == start)
        listeners.end()
    }
}

extension Sequence where Element == String {
    fileprivate func joined(by separator: String) -> String { reduce("") { $0.isEmpty ? $1 : $0 + separator + $1 } }
}
