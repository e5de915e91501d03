// Socket.IO played over sessions of Engine.IO: namespaces, what breaks the protocol and what comes of it, the test mode of the protocols'
// own suites, bounds, and polls that break. What the fleet's channels tell is in MonitorTranscripts.
import Base
import Domain
import SocketIO
import TestSupport
import Testing

@testable import Gateway

@Suite("Packets of Socket.IO")
struct SocketPacketTranscripts {
    private typealias Words = SocketWords
    private static let path = SocketWords.path

    private static func settings(isTestMode: Bool = false, _ adjust: (inout Limits) -> Void = { _ in }) -> Settings {
        var settings = Settings(sockets: SocketSettings(isTestMode: isTestMode))
        adjust(&settings.limits)
        return settings
    }

    // MARK: Namespaces

    @Test("a namespace that is none is refused, and the client stays; what comes behind a refusal is still heard", arguments: Chunking.all)
    func unknownNamespace(_ chunking: Chunking) {
        Stage.play(chunking, Words.webSocket("w", "sid") + """
            w > 40/admin,{"token":"x"}
            w < 44/admin,{"message":"Invalid namespace"}
            w > 40{"x":1}
            w < 40{"sid":"$name","pid":"$pid"}
            w > 40/custom
            w < 44/custom,{"message":"Invalid namespace"}
            w > 41
            w > 40
            w < 40{"sid":"$name2","pid":"$pid2"}
            w > 42["subscribe_deployment_events"]
            w < \(Words.subscribed("deployment_events", "Deployment events", "name2", 1))
            """)
    }

    @Test("who enters no namespace in time is sent away, to the millisecond; a refusal is no entry")
    func connectTimeout() {
        Stage.play(.whole, Words.polling("p", "sid") + Words.poll("p", "sid") + Words.webSocket("w", "other") + """
            w > 40/none
            w < 44/none,{"message":"Invalid namespace"}
            * wait 9999ms
            p < nothing
            w < nothing
            * wait 1ms
            p < 200 1
            w < close 1000 session is over
            """)
    }

    @Test("a packet that breaks the protocol ends its session: by polling what waits still comes, then the close packet", arguments: [
        "4", "49", "42", "42{}", "42[]", "42[1", "42[\"connect\"]", "42[\"disconnect\"]", "42[{}]", "40", "40[]", "40\"x\"",
        "42/none,[\"x\"]", "44{}", "44\"x\"", "43[]", "45[\"x\"]", "450-[\"x\"]", "4517-[\"x\"]", "451-[\"x\"]", "46[]", "41/none",
        "4299999999999999999999[\"x\"]", "bAQID",
    ])
    func malformed(_ packet: String) {
        let stage = Stage()
        stage.play(Words.inside("p", "sid") + """
            q > POST \(Self.path)&sid=$sid 42["subscribe_deployment_events"]\u{1e}\(packet)\u{1e}42["subscribe_all"]
            q < 200 ok
            \(Words.poll("p", "sid"))
            p < 200 \(Words.subscribed("deployment_events", "Deployment events", "sidname", 1))\u{1e}1
            \(Words.poll("p", "sid"))
            p < 400 {"code":1,"message":"Session ID unknown"}
            """)
        #expect(stage.network.server.context.metrics.socketSessionsFailed == 1)
        #expect(stage.network.server.context.broker.hub.subscriberCount == 0)
        stage.end()
    }

    @Test("by WebSocket the socket closes", arguments: ["49", "42", "42[\"connect\"]", "40", "44{}", "9", "5", "2", "0{}"])
    func malformedOverWebSocket(_ packet: String) {
        let stage = Stage()
        stage.play(Words.entered("w", "sid") + """
            w > \(packet)
            w < close 1000 session is over
            w > 42["subscribe_all"]
            w < closed
            """)
        #expect(stage.network.server.context.metrics.socketSessionsFailed == 1)
        #expect(stage.network.server.sockets.count == 0)
        stage.end()
    }

    @Test("who speaks in a namespace before it is in is sent away", arguments: ["42[\"x\"]", "41", "431[]"])
    func tooEarly(_ packet: String) {
        Stage.play(.whole, Words.webSocket("w", "sid") + """
            w > \(packet)
            w < close 1000 session is over
            """)
    }

    @Test("an acknowledgement that nobody asked for is nothing; an event that the document does not have is answered",
        arguments: Chunking.all)
    func strange(_ chunking: Chunking) {
        Stage.play(chunking, Words.entered("w", "sid") + """
            w > 431["x"]
            w < nothing
            w > 42["dance",{"a":1}]
            w < 42["error",{"message":"Unknown event","event":"dance"},"0"]
            w > 42[7]
            w < 42["error",{"message":"Unknown event","event":"7"},"0"]
            w > 4212["subscribe_"]
            w < 42["error",{"message":"Unknown event","event":"subscribe_"},"0"]
            w > 42["\\u0073ubscribe_\\\"all"]
            w < 42["error",{"message":"Unknown event","event":"subscribe_\\"all"},"0"]
            w > 42["\\u0073ubscribe_activity_stream"]
            w < 42["subscribed",{"event_type":"activity_stream",…
            """)
    }

    // MARK: Bounds

    @Test("attachments: as many as the limit, in time, nothing between them", arguments: Chunking.all)
    func attachments(_ chunking: Chunking) {
        let settings = Self.settings { $0.attachmentsMax = 2 }
        let place = #"{"_placeholder":true,"num":"#
        Stage.play(chunking, settings, Words.entered("w", "sid") + """
            w > 452-["x",\(place)0},\(place)1}]
            w sends binary a
            * wait 19999ms
            w sends binary b
            w < 42["error",{"message":"Unknown event","event":"x"},"0"]
            w > 451-["y",\(place)0}]
            * wait 5001ms
            w < 2
            w sends binary c
            w < 42["error",{"message":"Unknown event","event":"y"},"0"]
            w > 3
            w > 451-["z",\(place)0}]
            * wait 19999ms
            w < nothing
            * wait 1ms
            w < close 1000 session is over
            \(Words.entered("v", "second"))
            v > 453-["x",\(place)0},\(place)1},\(place)2}]
            v < close 1000 session is over
            \(Words.entered("u", "third"))
            u > 451-["x",\(place)0}]
            u > 42["x"]
            u < close 1000 session is over
            \(Words.entered("t", "fourth"))
            t sends binary x
            t < close 1000 session is over
            """)
    }

    @Test("a binary packet whose parts together are too long")
    func longAttachments() {
        let settings = Self.settings { $0.socketPayloadMax = 100 }
        Stage.play(.whole, settings, """
            w upgrades /socket.io/?EIO=4&transport=websocket
            w < 0{"sid":"$sid","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":100}
            w > 40
            w < 40{"sid":"$name","pid":"$pid"}
            w > 451-["x",{"_placeholder":true,"num":0}]
            w sends binary @90
            w < close 1000 session is over
            """)
    }

    @Test("so many packets a second and as many at once, over all transports; more ends the session and nobody else's")
    func pace() {
        let settings = Self.settings { $0.socketPacketsPerSecondMax = 4 }
        let stage = Stage(.whole, settings)
        stage.play(Words.entered("v", "other") + Words.entered("w", "sid") + """
            w > 42["a"]
            w < 42["error",{"message":"Unknown event","event":"a"},"0"]
            w > 42["b"]
            w < 42["error",{"message":"Unknown event","event":"b"},"0"]
            w > 42["c"]
            w < 42["error",{"message":"Unknown event","event":"c"},"0"]
            * wait 250ms
            w > 42["d"]
            w < 42["error",{"message":"Unknown event","event":"d"},"0"]
            * wait 249ms
            w > 42["e"]
            w < close 1000 session is over
            v > 42["a"]
            v < 42["error",{"message":"Unknown event","event":"a"},"0"]
            """)
        #expect(stage.network.server.context.metrics.socketClientsTooFast == 1)
        stage.play(Words.inside("p", "third") + Words.poll("p", "third") + """
            q > POST \(Self.path)&sid=$third 42["a"]\u{1e}42["b"]\u{1e}42["c"]\u{1e}42["d"]\u{1e}42["e"]\u{1e}42["f"]
            q < 200 ok
            p < 200 42["error",{"message":"Unknown event","event":"a"},"0"]\u{1e}\
            42["error",{"message":"Unknown event","event":"b"},"0"]\u{1e}\
            42["error",{"message":"Unknown event","event":"c"},"0"]\u{1e}1
            """)
        #expect(stage.network.server.context.metrics.socketClientsTooFast == 2)
        stage.end()
    }

    @Test("as many sessions by polling as may be; one that upgrades makes room")
    func tooMany() {
        let settings = Self.settings { $0.pollingSessionsMax = 1 }
        Stage.play(.whole, settings, Words.inside("p", "sid") + """
            q > GET \(Self.path)
            q < 503 {"code":3,"message":"Too many sessions"}
            w upgrades /socket.io/?EIO=4&transport=websocket&sid=$sid
            w > 2probe
            w < 3probe
            w > 5
            \(Words.inside("q", "second"))
            r > GET \(Self.path)
            r < 503 {"code":3,"message":"Too many sessions"}
            \(Words.post("q", "second", "1"))
            \(Words.inside("r", "third"))
            """)
    }

    // MARK: Polls

    @Test("requests behind a poll on its connection wait for it, and are answered in their order", arguments: Chunking.all)
    func pipelined(_ chunking: Chunking) {
        Stage.play(chunking, Words.inside("p", "sid") + Words.poll("p", "sid") + """
            p > GET /healthz
            p > POST \(Self.path)&sid=$sid 42["subscribe_activity_stream"]
            p > GET \(Self.path)&sid=$sid
            p < nothing
            \(Words.post("q", "sid", "42[\"subscribe_deployment_events\"]"))
            p < 200 \(Words.subscribed("deployment_events", "Deployment events", "sidname", 1))
            p < 200 {"status":"ok"}
            p < 200 ok
            p < 200 \(Words.subscribed("activity_stream", "Activity stream", "sidname", 2))
            """)
    }

    /// A request that came with the one before, in the same bytes.
    private static let subscription = """
        POST \(path)&sid=$other HTTP/1.1\\r\\nHost: a\\r\\nContent-Length: 33\\r\\n\\r\\n42["subscribe_deployment_events"]
        """

    @Test("what comes behind one session's poll for another session, with its own poll open, is answered with the same turn",
        arguments: Chunking.all)
    func pipelinedForAnother(_ chunking: Chunking) {
        Stage.play(chunking, Words.inside("p", "sid") + Words.inside("r", "other") + Words.poll("r", "other") + """
            p >> GET \(Self.path)&sid=$sid HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n\(Self.subscription)
            p < nothing
            r < nothing
            \(Words.post("q", "sid", "42[\"subscribe_activity_stream\"]"))
            p < 200 \(Words.subscribed("activity_stream", "Activity stream", "sidname", 1))
            p < 200 ok
            r < 200 \(Words.subscribed("deployment_events", "Deployment events", "othername", 2))
            """)
    }

    @Test("so is what comes behind a stream whose end had to wait for room")
    func pipelinedBehindAStream() {
        let settings = Self.settings {
            $0.conflatedBytesMin = 300
            $0.waitingLogBytesMax = 0
        }
        Stage.play(.whole, settings, HubTranscripts.work + Words.inside("r", "other") + Words.poll("r", "other") + """
            s >> GET /api/tasks/$task/events HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n\(Self.subscription)
            s < 200 [Content-Type: text/event-stream]
            s < retry: 2000
            s < id: 1 | event: current_status | data: {…
            s stalls
            w > {"type":"task_logs","taskId":"$task","logs":"@400"}
            w > {"type":"task_complete","taskId":"$task","result":[1, 2]}
            w < {"type":"task_ack","taskId":"$task"}
            r < nothing
            s reads
            r < 200 \(Words.subscribed("deployment_events", "Deployment events", "othername", 4))
            s < id: 2 | event: task_logs | data: …
            s < id: 3 | event: task_completed | data: …
            s < end
            s < 200 ok
            """)
    }

    @Test("a poll whose connection breaks takes its session along, whose client may come back; a connection without a poll takes nothing",
        arguments: Chunking.all)
    func brokenPoll(_ chunking: Chunking) {
        let stage = Stage(chunking)
        stage.play(Words.inside("p", "sid") + """
            p leaves
            \(Words.post("q", "sid", "42[\"subscribe_activity_stream\"]"))
            \(Words.poll("r", "sid"))
            r < 200 \(Words.subscribed("activity_stream", "Activity stream", "sidname", 1))
            \(Words.poll("r", "sid"))
            r leaves
            """)
        #expect(stage.network.server.sockets.count == 0)
        stage.network.note("meanwhile")
        stage.play("""
            q > POST \(Self.path)&sid=$sid 42["subscribe_all"]
            q < 400 {"code":1,"message":"Session ID unknown"}
            \(Words.webSocket("w", "second"))
            w > 40{"pid":"$sidpid","offset":"1"}
            w < 40{"sid":"$sidname","pid":"$sidpid"}
            w < 42["activity_stream",{"event_type":"activity_stream",…
            w < nothing
            """)
        stage.end()
    }

    @Test("a client that closes its session: the open poll is let go, and nothing is told")
    func closedByClient() {
        Stage.play(.whole, Words.inside("p", "sid") + Words.poll("p", "sid") + Words.post("q", "sid", "1\u{1e}42[\"subscribe_all\"]") + """
            p < 200 6
            \(Words.poll("p", "sid"))
            p < 400 {"code":1,"message":"Session ID unknown"}
            \(Words.entered("w", "second"))
            w > 1
            w < close 1000 session is over
            """)
    }

    @Test("who polls no more is dropped where too much waits for it; nobody else is")
    func overflow() throws {
        let settings = Self.settings { $0.socketQueuedBytesMax = 4_000 }
        let network = FakeNetwork(settings)
        let lazy = try SocketPeer(network, .polling).connect()
        let eager = try SocketPeer(network, .polling).connect()
        let socket = try SocketPeer(network, .webSocket).connect()
        let last = try SocketPeer(network, .polling).connect()
        for peer in [lazy, eager, socket, last] {
            try peer.subscribe("activity_stream")
            _ = peer.take()
        }
        // The poll that is open is answered; no other follows.
        lazy.keepsPolling = false
        for number in 0..<20 {
            network.note("message \(number)")
            for peer in [eager, socket, last] { try peer.listen() }
        }
        for peer in [eager, socket, last] {
            #expect(peer.take().count == 20)
            #expect(!peer.isOver)
        }
        #expect(network.server.context.metrics.socketSessionsSlow == 1)
        #expect(network.server.sockets.count == 3)
        #expect(network.server.context.broker.hub.subscriberCount == 3)
        // It was no fault of the protocol: it may come back.
        let again = try SocketPeer(network, .webSocket).connect("{\"pid\":\"\(lazy.pid ?? "")\",\"offset\":\"4\"}")
        #expect(again.name == lazy.name)
        #expect(again.take().count == 20)
        network.checkEnd()
    }

    // MARK: The test mode

    @Test("the suites' own paths: everything comes back by /engine.io/", arguments: Chunking.all)
    func echo(_ chunking: Chunking) {
        let path = "/engine.io/?EIO=4&transport=polling"
        Stage.play(chunking, Self.settings(isTestMode: true), Words.polling("p", "sid", path) + """
            \(Words.poll("p", "sid", path))
            \(Words.post("q", "sid", "4hello\u{1e}bAQIDBA==\u{1e}4", path))
            p < 200 4hello\u{1e}bAQIDBA==\u{1e}4
            # The one door does not know the other's sessions.
            \(Words.poll("p", "sid"))
            p < 400 {"code":1,"message":"Session ID unknown"}
            \(Words.webSocket("w", "second", "/engine.io/?EIO=4&transport=websocket"))
            w > 4hello
            w < 4hello
            w sends binary xyz
            w < binary xyz
            * wait 11s
            w < nothing
            """)
    }

    @Test("the suites' namespaces and events, binary parts both ways", arguments: Chunking.all)
    func suite(_ chunking: Chunking) {
        let place = #"{"_placeholder":true,"num":"#
        Stage.play(chunking, Self.settings(isTestMode: true), Words.webSocket("w", "sid") + """
            w > 40
            w < 40{"sid":"$name"}
            w < 42["auth",{}]
            w > 40/custom,{"token":"abc"}
            w < 40/custom,{"sid":"$custom"}
            w < 42/custom,["auth",{"token":"abc"}]
            w > 40/random
            w < 44/random,{"message":"Invalid namespace"}
            w > 42["message",1,"2",{"3":[false]}]
            w < 42["message-back",1,"2",{"3":[false]}]
            w > 42["message"]
            w < 42["message-back"]
            w > 42456["message-with-ack",1,"2",{"3":[false]}]
            w < 43456[1,"2",{"3":[false]}]
            w > 420["message-with-ack"]
            w < 430[]
            w > 42["message-with-ack"]
            w > 42["other"]
            w > 42/custom,["message"]
            w < nothing
            w > 452-["message",\(place)0},\(place)1}]
            w sends binary one
            w sends binary two
            w < 452-["message-back",\(place)0},\(place)1}]
            w < binary one
            w < binary two
            w > 451-789["message-with-ack",\(place)0}]
            w sends binary three
            w < 461-789[\(place)0}]
            w < binary three
            w > 41/custom,
            w > 42["message"]
            w < 42["message-back"]
            \(Words.polling("p", "second"))
            q > POST \(Self.path)&sid=$second 40{"a":1}\u{1e}451-["message",\(place)0}]\u{1e}bAQID\u{1e}\
            451-7["message-with-ack",\(place)0}]\u{1e}bBAU=
            q < 200 ok
            \(Words.poll("p", "second"))
            p < 200 40{"sid":"$other"}\u{1e}42["auth",{"a":1}]\u{1e}451-["message-back",\(place)0}]\u{1e}bAQID\u{1e}\
            461-7[\(place)0}]\u{1e}bBAU=
            """)
    }
}
