// Engine.IO played, by polling and by WebSocket: handshakes, polls, heartbeats, upgrades, refusals, and the end. What Socket.IO says over
// it is in SocketPacketTranscripts.
import Base
import Domain
import SocketIO
import TestSupport
import Testing

@testable import Gateway

@Suite("Sessions of Engine.IO")
struct SocketTranscripts {
    private typealias Words = SocketWords
    private static let path = SocketWords.path

    @Test("a session by polling: handshake, namespace, events; an answer has all that waits", arguments: Chunking.all)
    func polling(_ chunking: Chunking) {
        Stage.play(chunking, Words.polling("p", "sid") + Words.post("p", "sid", "40") + Words.poll("p", "sid") + """
            p < 200 [Content-Type: text/plain; charset=UTF-8] 40{"sid":"$name","pid":"$pid"}
            \(Words.poll("p", "sid"))
            p < nothing
            q > POST \(Self.path)&sid=$sid 42["subscribe_deployment_events"]\u{1e}42["subscribe_activity_stream"]
            q < 200 [Content-Type: text/html] ok
            p < 200 \(Words.subscribed("deployment_events", "Deployment events", "name", 1))\u{1e}\
            \(Words.subscribed("activity_stream", "Activity stream", "name", 2))
            \(Words.post("q", "sid", "41"))
            """)
    }

    @Test("a session by WebSocket, and both spellings of the path", arguments: Chunking.all)
    func webSocket(_ chunking: Chunking) {
        Stage.play(chunking, Words.entered("w", "sid") + """
            w > 42["subscribe_deployment_events"]
            w < \(Words.subscribed("deployment_events", "Deployment events", "sidname", 1))
            \(Words.webSocket("v", "other", "/socket.io?transport=websocket&EIO=4"))
            v > 40
            v < 40{"sid":"$b","pid":"$c"}
            v > 42["subscribe_deployment_events"]
            v < 42["subscribed",{"event_type":"deployment_events","message":"Deployment events subscription successful",\
            "session_id":"client_$b"}]
            w sends close 1000
            w < close 1000
            v leaves
            """)
    }

    @Test("two polls at once: the second is refused, the first gets the close packet, the session is over", arguments: Chunking.all)
    func twoPolls(_ chunking: Chunking) {
        Stage.play(chunking, Words.inside("p", "sid") + Words.poll("p", "sid") + Words.poll("q", "sid") + """
            q < 400 [Content-Type: application/json] {"code":3,"message":"Bad request"}
            p < 200 1
            \(Words.poll("p", "sid"))
            p < 400 {"code":1,"message":"Session ID unknown"}
            """)
    }

    // MARK: The heartbeat

    @Test("by polling: a ping to the millisecond, a pong in time, and the end of who does not answer")
    func pingByPolling() {
        Stage.play(.whole, Words.inside("p", "sid") + Words.poll("p", "sid") + """
            * wait 24999ms
            p < nothing
            * wait 1ms
            p < 200 2
            \(Words.poll("p", "sid"))
            * wait 19999ms
            \(Words.post("q", "sid", "3"))
            * wait 24999ms
            p < nothing
            * wait 1ms
            p < 200 2
            \(Words.poll("p", "sid"))
            * wait 19999ms
            p < nothing
            * wait 1ms
            p < 200 1
            \(Words.poll("r", "sid"))
            r < 400 {"code":1,"message":"Session ID unknown"}
            """)
    }

    @Test("by WebSocket: the same, and the socket closes")
    func pingByWebSocket() {
        Stage.play(.whole, Words.entered("w", "sid") + """
            * wait 24999ms
            w < nothing
            * wait 1ms
            w < 2
            * wait 19999ms
            w > 3
            * wait 24999ms
            w < nothing
            * wait 1ms
            w < 2
            * wait 19999ms
            w < nothing
            * wait 1ms
            w < close 1000 session is over
            w sends close 1000
            w < closed
            """)
    }

    @Test("who does not poll is not pinged, and is gone all the same; a pong that nobody asked for puts nothing off")
    func silent() {
        Stage.play(.whole, Words.inside("p", "sid") + """
            * wait 20s
            \(Words.post("q", "sid", "3"))
            * wait 24999ms
            \(Words.poll("r", "sid"))
            r < 200 2
            * wait 1ms
            \(Words.poll("r", "sid"))
            r < 400 {"code":1,"message":"Session ID unknown"}
            """)
    }

    // MARK: The upgrade

    @Test("an upgrade: the probe, the poll comes back, and all goes on by WebSocket", arguments: Chunking.all)
    func upgrade(_ chunking: Chunking) {
        let stage = Stage(chunking)
        stage.play(Words.inside("p", "sid") + Words.post("p", "sid", "42[\"subscribe_activity_stream\"]") + Words.poll("p", "sid") + """
            p < 200 \(Words.subscribed("activity_stream", "Activity stream", "sidname", 1))
            \(Words.poll("p", "sid"))
            w upgrades /socket.io/?EIO=4&transport=websocket&sid=$sid
            w < nothing
            w > 2probe
            w < 3probe
            p < 200 6
            """)
        // Between the answer to the probe and the upgrade: it waits for the one or the other.
        stage.network.note("in between")
        #expect(stage.network.server.context.metrics.pollingSessions == 1)
        stage.play("""
            w < nothing
            w > 5
            w < 42["activity_stream",{"event_type":"activity_stream",…
            """)
        stage.network.note("behind")
        #expect(stage.network.server.context.metrics.pollingSessions == 0)
        #expect(stage.network.server.context.metrics.socketUpgrades == 1)
        stage.play("""
            w < 42["activity_stream",{"event_type":"activity_stream",…
            w < nothing
            \(Words.poll("p", "sid"))
            p < 400 {"code":3,"message":"Bad request"}
            p > POST \(Self.path)&sid=$sid 3
            p < 400 {"code":3,"message":"Bad request"}
            w > 42["unsubscribe_all"]
            w < 42["unsubscribed",{"event_type":"all","message":"All events unsubscription successful","session_id":"client_$sidname"},"4"]
            """)
        stage.end()
    }

    @Test("a second WebSocket is closed, the first goes on; so is one of a session that began by WebSocket", arguments: Chunking.all)
    func secondWebSocket(_ chunking: Chunking) {
        Stage.play(chunking, Words.inside("p", "sid") + """
            w upgrades /socket.io/?EIO=4&transport=websocket&sid=$sid
            v upgrades /socket.io/?EIO=4&transport=websocket&sid=$sid
            v < close 1000 session is over
            v sends close 1000
            v < closed
            w > 2probe
            w < 3probe
            w > 5
            u upgrades /socket.io/?EIO=4&transport=websocket&sid=$sid
            u < close 1000 session is over
            u leaves
            w > 41
            w < nothing
            \(Words.entered("x", "second"))
            y upgrades /socket.io/?EIO=4&transport=websocket&sid=$second
            y < close 1000 session is over
            x > 41
            x < nothing
            """)
    }

    @Test("an upgrade that says something else, or nothing in time: its socket closes, polling goes on")
    func failedUpgrade() {
        Stage.play(.whole, Words.inside("p", "sid") + """
            w upgrades /socket.io/?EIO=4&transport=websocket&sid=$sid
            w > 42["subscribe_all"]
            w < close 1000 session is over
            v upgrades /socket.io/?EIO=4&transport=websocket&sid=$sid
            * wait 9999ms
            v < nothing
            * wait 1ms
            v < close 1000 session is over
            u upgrades /socket.io/?EIO=4&transport=websocket&sid=$sid
            u > 2probe
            u < 3probe
            u leaves
            \(Words.post("p", "sid", "42[\"subscribe_deployment_events\"]"))
            \(Words.poll("p", "sid"))
            p < 200 \(Words.subscribed("deployment_events", "Deployment events", "sidname", 1))
            """)
    }

    // MARK: Refusals

    @Test("what no session takes is refused in the official server's words", arguments: [
        ("GET /socket.io/", 0), ("GET /socket.io/?EIO=4", 0), ("GET /socket.io/?EIO=4&transport=abc", 0),
        ("GET /socket.io/?EIO=4&transport=flashsocket", 0), ("GET /socket.io/?EIO=4&transport=", 0),
        ("GET /socket.io/?transport=polling", 5), ("GET /socket.io/?transport=polling&EIO=abc", 5),
        ("GET /socket.io/?transport=polling&EIO=3", 5),
        ("GET /socket.io/?EIO=4&transport=polling&sid=abc", 1),
        ("GET /socket.io/?EIO=4&transport=polling&sid=0123456789abcdef0123456789abcdef", 1),
        ("GET /socket.io/?EIO=4&transport=polling&sid=", 1),
        ("POST /socket.io/?EIO=4&transport=polling", 2), ("PUT /socket.io/?EIO=4&transport=polling", 2),
        ("DELETE /socket.io/?EIO=4&transport=polling", 2), ("PATCH /socket.io/?EIO=4&transport=polling 40", 2),
        ("POST /socket.io/?transport=polling", 2), ("POST /socket.io/?EIO=3&transport=polling 40", 2), ("POST /socket.io/", 0),
        ("GET /socket.io/?EIO=4&transport=websocket", 3), ("POST /socket.io/?EIO=4&transport=websocket", 2),
        ("GET /socket.io/?EIO=4&transport=polling \(SocketPeer.upgrade)", 3),
        ("GET /socket.io/?EIO=4&transport=websocket&sid=0123456789abcdef0123456789abcdef \(SocketPeer.upgrade)", 1),
        ("GET /socket.io/?EIO=3&transport=websocket \(SocketPeer.upgrade)", 5),
    ])
    func refusals(_ request: String, _ code: Int) {
        let words = ["Transport unknown", "Session ID unknown", "Bad handshake method", "Bad request", "Forbidden",
            "Unsupported protocol version"]
        Stage.play(.whole, """
            p > \(request)
            p < 400 [Content-Type: application/json] [Access-Control-Allow-Origin: -] {"code":\(code),"message":"\(words[code])"}
            """)
    }

    @Test("HEAD is no handshake and no poll; with a session other methods are bad requests, and it goes on")
    func methods() {
        Stage.play(.whole, Words.inside("p", "sid") + """
            h > HEAD \(Self.path)
            h < 400 [Content-Length: 43]
            h > HEAD \(Self.path)&sid=$sid
            h < 400
            h > PUT \(Self.path)&sid=$sid x
            h < 400 {"code":3,"message":"Bad request"}
            h > DELETE \(Self.path)&sid=$sid
            h < 400 {"code":3,"message":"Bad request"}
            \(Words.post("p", "sid", "41"))
            n > GET /engine.io/?EIO=4&transport=polling
            n < 404 {"error":"Not found"}
            """)
    }

    @Test("a transport that the operator switched off is unknown, and not offered")
    func switchedOff() {
        let socket = Settings(sockets: SocketSettings(transports: [.webSocket]))
        Stage.play(.whole, socket, """
            p > GET \(Self.path)
            p < 400 {"code":0,"message":"Transport unknown"}
            p > OPTIONS \(Self.path)
            p < 204
            \(Words.webSocket("w", "sid"))
            """)
        let polling = Settings(sockets: SocketSettings(transports: [.polling]))
        Stage.play(.whole, polling, """
            p > GET \(Self.path)
            p < 200 0{"sid":"$sid","upgrades":[],\(Words.times)}
            p > GET /socket.io/?EIO=4&transport=websocket \(SocketPeer.upgrade)
            p < 400 {"code":0,"message":"Transport unknown"}
            p > GET /socket.io/?EIO=4&transport=websocket&sid=$sid \(SocketPeer.upgrade)
            p < 400 {"code":0,"message":"Transport unknown"}
            """)
    }

    // MARK: Pages of other origins

    @Test("an allowed page may read everything, a refusal too; a foreign one is refused; none is asked nothing", arguments: Chunking.all)
    func origins(_ chunking: Chunking) {
        let settings = Settings(origins: [SharedBytes("https://app.example")])
        let fields = """
            [Access-Control-Allow-Origin: https://app.example] [Access-Control-Allow-Credentials: true] [Vary: Origin]
            """
        Stage.play(chunking, settings, """
            p > GET \(Self.path) [Origin: https://app.example]
            p < 200 \(fields) 0{"sid":"$sid","upgrades":["websocket"],\(Words.times)}
            p > POST \(Self.path)&sid=$sid [Origin: https://app.example] 40
            p < 200 \(fields) ok
            p > GET \(Self.path)&sid=$sid [Origin: https://app.example]
            p < 200 \(fields) 40{"sid":"$name","pid":"$pid"}
            p > GET \(Self.path)&sid=x [Origin: https://app.example]
            p < 400 \(fields) {"code":1,"message":"Session ID unknown"}
            p > OPTIONS \(Self.path) [Origin: https://app.example]
            p < 204 \(fields) [Access-Control-Allow-Methods: GET, POST] [Access-Control-Allow-Headers: Content-Type, Authorization] \
            [Allow: GET, POST, OPTIONS]
            f > GET \(Self.path) [Origin: https://evil.example]
            f < 403 [Access-Control-Allow-Origin: -] {"code":4,"message":"Forbidden"}
            f > OPTIONS \(Self.path) [Origin: https://evil.example]
            f < 403 [Access-Control-Allow-Origin: -] {"code":4,"message":"Forbidden"}
            f > GET \(Self.path)&sid=$sid [Origin: null]
            f < 403 {"code":4,"message":"Forbidden"}
            f > GET /socket.io/?EIO=4&transport=websocket [Origin: https://evil.example] \(SocketPeer.upgrade)
            f < 403 {"code":4,"message":"Forbidden"}
            n > GET \(Self.path)
            n < 200 [Access-Control-Allow-Origin: -] [Vary: -] 0{"sid":"$other","upgrades":["websocket"],\(Words.times)}
            n > OPTIONS \(Self.path)
            n < 204 [Access-Control-Allow-Origin: -] [Access-Control-Allow-Methods: GET, POST]
            w upgrades /socket.io/?EIO=4&transport=websocket [Origin: https://app.example]
            w < 0{"sid":"$third","upgrades":[],\(Words.times)}
            """)
    }

    @Test("in the test mode every page may")
    func anyOrigin() {
        let settings = Settings(sockets: SocketSettings(isTestMode: true))
        Stage.play(.whole, settings, """
            p > GET \(Self.path) [Origin: https://evil.example]
            p < 200 [Access-Control-Allow-Origin: *] 0{"sid":"$sid","upgrades":["websocket"],\(Words.times)}
            p > GET \(Self.path)
            p < 200 [Access-Control-Allow-Origin: *] 0{"sid":"$other","upgrades":["websocket"],\(Words.times)}
            """)
    }

    // MARK: Bodies

    private static var small: Settings {
        var settings = Settings()
        settings.limits.socketPayloadMax = 100
        return settings
    }

    private static let smallTimes = #""pingInterval":25000,"pingTimeout":20000,"maxPayload":100"#

    private static let chunked = "q >> POST \(path)&sid=$sid HTTP/1.1\\r\\nHost: a\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n"

    @Test("a body of maxPayload is taken, a longer one ends its session, however its length is told", arguments: Chunking.all)
    func largeBodies(_ chunking: Chunking) {
        let begin = """
            p > GET \(Self.path)
            p < 200 0{"sid":"$sid","upgrades":["websocket"],\(Self.smallTimes)}
            \(Words.post("p", "sid", "40"))
            \(Words.poll("p", "sid"))
            p < 200 40{"sid":"$name","pid":"$pid"}
            \(Words.post("p", "sid", "42[\"@94\"]"))
            \(Words.poll("p", "sid"))
            p < 200 42["error",{"message":"Unknown event","event":"@64"},"0"]
            \(Words.poll("p", "sid"))

            """
        Stage.play(chunking, Self.small, begin + """
            q > POST \(Self.path)&sid=$sid 42["@95"]
            q < 413 {"code":3,"message":"Payload is larger than maxPayload"}
            p < 200 1
            \(Words.poll("p", "sid"))
            p < 400 {"code":1,"message":"Session ID unknown"}
            """)
        Stage.play(chunking, Self.small, begin + """
            \(Self.chunked)65\\r\\n42["@95"]\\r\\n0\\r\\n\\r\\n
            q < 413 {"code":3,"message":"Payload is larger than maxPayload"}
            p < 200 1
            """)
        Stage.play(chunking, Self.small, begin + """
            \(Self.chunked)64\\r\\n42["@94"]\\r\\n0\\r\\n\\r\\n
            q < 200 ok
            p < 200 42["error",{"message":"Unknown event","event":"@64"},"0"]
            """)
    }

    @Test("a body that is no payload ends its session, and its poll is told", arguments: [
        "9", "x", "5", "2", "2probe", "0{}", "1x", "b!!!", "b@5", "42[\"a\"]\u{1e}", "\u{1e}42[\"a\"]", "42[\"a\"]\u{1e}9",
        "bAQI=\u{1e}bAQ",
    ])
    func malformed(_ body: String) {
        Stage.play(.whole, Words.inside("p", "sid") + Words.poll("p", "sid") + """
            q > POST \(Self.path)&sid=$sid \(body)
            q < 400 {"code":3,"message":"Bad request"}
            p < 200 1
            \(Words.poll("q", "sid"))
            q < 400 {"code":1,"message":"Session ID unknown"}
            """)
    }

    @Test("an empty body, and one that is not UTF-8")
    func notText() {
        for content in [[UInt8](), [0x34, 0xff]] {
            let stage = Stage()
            stage.play(Words.inside("p", "sid") + Words.poll("p", "sid"))
            let target = "\(Self.path)&sid=\(stage.bindings["sid"] ?? "")"
            let head = "POST \(target) HTTP/1.1\r\nHost: a\r\nContent-Length: \(content.count)\r\n\r\n"
            stage.network.send(Array(head.utf8) + content, on: stage.link("q"))
            stage.play("""
                q < 400 {"code":3,"message":"Bad request"}
                p < 200 1
                """)
            stage.end()
        }
    }

    @Test("a WebSocket message of maxPayload is taken, a longer one closes the socket")
    func largeMessage() {
        Stage.play(.whole, Self.small, """
            w upgrades /socket.io/?EIO=4&transport=websocket
            w < 0{"sid":"$sid","upgrades":[],\(Self.smallTimes)}
            w > 40
            w < 40{"sid":"$name","pid":"$pid"}
            w > 42["@94"]
            w < 42["error",{"message":"Unknown event","event":"@64"},"0"]
            w > 42["@95"]
            w < close 1009 $words
            """)
    }

    // MARK: The end

    @Test("a server that stops answers open polls, closes sockets, and is over at once", arguments: Chunking.all)
    func stop(_ chunking: Chunking) {
        let stage = Stage(chunking)
        stage.play(Words.inside("p", "sid") + Words.poll("p", "sid") + Words.inside("q", "second") + Words.entered("w", "third") + """
            * stop
            p < 200 [Connection: close] 1
            p < closed
            q < closed
            w < close 1001 server is shutting down
            w sends close 1001
            w < closed
            * over
            """)
        stage.end()
    }

    @Test("a server that stops does not wait for the rest of a session's request", arguments: Chunking.all)
    func stopInTheMiddle(_ chunking: Chunking) {
        Stage.play(chunking, Words.inside("p", "sid") + """
            q >> POST \(Self.path)&sid=$sid HTTP/1.1\\r\\nHost: a\\r\\nContent-Length: 10\\r\\n\\r\\n42
            * stop
            p < closed
            q < 503 {"error":"Server is shutting down"}
            q < closed
            * over
            """)
    }

    @Test("while a request is waited for polls go on, and nobody begins")
    func drain() {
        Stage.play(.whole, HubTranscripts.work + Words.inside("p", "sid") + Words.poll("p", "sid") + """
            s > POST /api/openai {"data":{"n":2}}
            w < {"type":"task","taskId":"$second","payload":{"model":"default","data":{"n":2}}}
            * stop
            * lasting
            p < nothing
            \(Words.post("q", "sid", "42[\"subscribe_deployment_events\"]"))
            p < 200 [Connection: close] 42["subscribed",{"event_type":"deployment_events",\
            "message":"Deployment events subscription successful","session_id":"client_$sidname"},"$offset"]
            n > GET \(Self.path)
            n < 503 {"code":3,"message":"Too many sessions"}
            s leaves
            w < {"type":"cancel","taskId":"$second"}
            * lasting
            * wait 10s
            w < close 1001 server is shutting down
            w leaves
            * over
            """)
    }
}
