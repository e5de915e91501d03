// Server-sent events played: who comes back for more than memory holds is told it out of the journal, and waits for that like for any
// other answer.
import Base
import Domain
import TestSupport
import Testing

@testable import Gateway

@Suite("Server-sent events out of the journal")
struct EventStreamReplayTranscripts {
    private static let stream = "/api/tasks/a/events"

    /// A stream that continues.
    private static func begun(_ peer: String) -> String {
        """
        \(peer) < 200 [Content-Type: text/event-stream]
        \(peer) < retry: 2000

        """
    }

    private static func events(_ peer: String, _ numbers: ClosedRange<Int>) -> String {
        numbers.map { number in
            let figure = ReplayerTests.figure(number)
            return """
                \(peer) < id: \(number + 1) | event: task_progress | data: {"type":"task_progress","task_id":"a","progress":\(figure),\
                "message":"Task progress updated to \(figure)%","timestamp":"$gt","seq":\(number + 1),\
                "step_info":{"worker_progress":\(figure)}}

                """
        }.joined()
    }

    private static func state(_ peer: String, _ word: String, _ sequence: Int) -> String {
        """
        \(peer) < 200 [Content-Type: text/event-stream]
        \(peer) < retry: 2000
        \(peer) < id: \(sequence) | event: current_status | data: {"type":"current_status","task_id":"a","status":"\(word)",…

        """
    }

    private static func ended(_ peer: String, _ sequence: Int) -> String {
        """
        \(peer) < id: \(sequence) | event: task_completed | data: {"type":"task_completed","task_id":"a","success":true,…
        \(peer) < end

        """
    }

    @Test("a stream that comes back for more than memory holds is told all of it, then what comes", arguments: Chunking.all)
    func whole(_ chunking: Chunking) {
        let stage = ReplayerTests.stage(chunking, ReplayerTests.settings())
        ReplayerTests.steps(2...20, stage)
        stage.play("""
            s > GET \(Self.stream) [Last-Event-ID: 2]
            \(Self.begun("s"))
            \(Self.events("s", 2...20))
            s < nothing
            """)
        #expect(stage.network.server.context.metrics.eventsReplayed == 19)
        ReplayerTests.steps(21...21, stage)
        stage.play("""
            \(Self.events("s", 21...21))
            # By the address, and in the form of HTTP/1.0.
            o >> GET \(Self.stream)?last_seq=19 HTTP/1.0\\r\\nHost: signalbox.test\\r\\n\\r\\n
            o < 200 [Transfer-Encoding: -] [Connection: close]
            o < retry: 2000
            \(Self.events("o", 19...21))
            """)
        stage.report("a", .completed(result: SharedBytes("1")))
        stage.play(Self.ended("s", 23) + """
            o < id: 23 | event: task_completed | data: …
            o < closed
            s > GET \(Self.stream) [Last-Event-ID: 2]
            \(Self.begun("s"))
            \(Self.events("s", 2...21))
            \(Self.ended("s", 23))
            """)
        stage.end()
    }

    @Test("while the journal is read nothing is answered, nor what is asked behind it; what happens meanwhile comes in its place")
    func waiting() {
        let stage = ReplayerTests.stage(.whole, ReplayerTests.settings())
        ReplayerTests.steps(2...20, stage)
        stage.play("""
            * hold disk
            s > GET \(Self.stream) [Last-Event-ID: 2]
            s > GET /healthz
            r > GET \(Self.stream) [Last-Event-ID: 2]
            r > GET /healthz
            h > HEAD \(Self.stream) [Last-Event-ID: 2]
            h < 200 [Content-Type: text/event-stream]
            s < nothing
            """)
        #expect(stage.network.server.context.metrics.eventStreamsOpen == 0)
        ReplayerTests.steps(21...40, stage)
        stage.play("""
            s < nothing
            * commit
            \(Self.begun("s"))
            \(Self.events("s", 2...40))
            s < nothing
            \(Self.begun("r"))
            \(Self.events("r", 2...40))
            """)
        stage.report("a", .completed(result: SharedBytes("1")))
        stage.play(Self.ended("s", 42) + Self.ended("r", 42) + """
            s < 200 {"status":"ok"}
            r < 200 {"status":"ok"}
            """)
        stage.end()
    }

    @Test("a task that ends while the journal is read is told to its end, and the connection goes on")
    func overtaken() {
        let stage = ReplayerTests.stage(.whole, ReplayerTests.settings())
        ReplayerTests.steps(2...20, stage)
        stage.play("""
            * hold disk
            s > GET \(Self.stream) [Last-Event-ID: 2]
            s > GET /healthz
            """)
        stage.report("a", .completed(result: SharedBytes("1")))
        stage.play("""
            * commit
            \(Self.begun("s"))
            \(Self.events("s", 2...20))
            \(Self.ended("s", 22))
            s < 200 {"status":"ok"}
            """)
        stage.end()
    }

    @Test("streams are read for one after the other where there are many; who goes lets the next one have its turn")
    func leaving() {
        let stage = ReplayerTests.stage(.whole, ReplayerTests.settings { $0.replaysMax = 1 })
        ReplayerTests.steps(2...20, stage)
        stage.play("""
            * hold disk
            s > GET \(Self.stream) [Last-Event-ID: 2]
            q > GET \(Self.stream) [Last-Event-ID: 2]
            r > GET \(Self.stream) [Last-Event-ID: 2]
            t > GET \(Self.stream) [Last-Event-ID: 18]
            s leaves
            q leaves
            * commit
            * commit
            \(Self.begun("r"))
            \(Self.events("r", 2...20))
            \(Self.begun("t"))
            \(Self.events("t", 18...20))
            """)
        stage.report("a", .completed(result: SharedBytes("1")))
        stage.play(Self.ended("r", 22) + Self.ended("t", 22))
        stage.end()
    }

    @Test("what the journal cannot tell is no reason to wait for ever: the stream begins with how things stand")
    func lost() {
        let stage = ReplayerTests.stage(.whole, ReplayerTests.settings())
        ReplayerTests.steps(2...20, stage)
        stage.play("""
            * break disk
            s > GET \(Self.stream) [Last-Event-ID: 2]
            \(Self.state("s", "running", 21))
            * mend disk
            """)
        ReplayerTests.steps(21...21, stage)
        stage.play(Self.events("s", 21...21))
        stage.report("a", .completed(result: SharedBytes("1")))
        stage.play(Self.ended("s", 23))
        stage.end()
    }

    @Test("a server that stops waits for the journal as for any answer, and not beyond its time")
    func stop() {
        for isLate in [false, true] {
            let stage = ReplayerTests.stage(.whole, ReplayerTests.settings())
            ReplayerTests.steps(2...20, stage)
            stage.play("""
                * hold disk
                s > GET \(Self.stream) [Last-Event-ID: 2]
                * stop
                s < nothing
                * lasting
                """)
            if isLate {
                stage.play("""
                    * wait 10s
                    s < 503 [Connection: close] {"error":"Server is shutting down"}
                    s < closed
                    * commit
                    * over
                    """)
            } else {
                stage.play("""
                    * commit
                    s < 200 [Connection: close]
                    s < retry: 2000
                    \(Self.events("s", 2...20))
                    s < end
                    s < closed
                    * over
                    """)
            }
            stage.end()
        }
    }

    @Test("a name that is another task's when the journal has answered: not found where it is not for the client, else a first time")
    func replaced() throws {
        var settings = try Tokens.settings()
        settings.limits.historyLengthMax = 5
        let stage = Stage(.whole, settings)
        stage.register("a", of: "u")
        ReplayerTests.steps(1...20, stage)
        stage.play("""
            * hold disk
            s > GET \(Self.stream)?token=\(try Tokens.token("u")) [Last-Event-ID: 2]
            s > GET /healthz
            r > GET \(Self.stream)?token=\(try Tokens.token("x", .admin)) [Last-Event-ID: 2]
            r > GET /healthz
            """)
        let id = try #require(stage.network.server.context.broker.activeTasks(of: SharedBytes("u")).first?.id)
        stage.report("a", .completed(result: SharedBytes("1")))
        stage.act { broker, now in _ = broker.remove(id, at: now) }
        stage.register("a", of: "v")
        stage.report("a", .completed(result: SharedBytes("1")))
        stage.play("""
            * commit
            s < 404 {"error":"Task not found or expired"}
            s < 200 {"status":"ok"}
            \(Self.state("r", "completed", 2))
            \(Self.ended("r", 2))
            r < 200 {"status":"ok"}
            * mend disk
            """)
        stage.end()
    }
}
