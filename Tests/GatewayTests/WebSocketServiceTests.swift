// Goal: messages in order and whole in both directions, closing handshakes that end, bounds on silence and on what waits.
import Base
import TestSupport
import Testing

@testable import Gateway
@testable import WebSockets

@Suite("WebSocketService")
struct WebSocketServiceTests {
    private static func settings(_ change: (inout Settings) -> Void = { _ in }) -> Settings {
        var settings = Settings(echoPath: SharedBytes("/echo"))
        change(&settings)
        return settings
    }

    @Test("the echo role: every kind of message, in pieces or not, controls between the pieces", arguments: Chunking.all)
    func echo(_ chunking: Chunking) {
        Stage.play(chunking, Self.settings(), """
            a upgrades /echo
            a > hello, 世界
            a < hello, 世界
            a sends binary \u{1}raw
            a < binary \u{1}raw
            a > @70000
            a < @70000
            a sends begin one 
            a sends ping in between
            a < pong in between
            a sends finish two
            a < one two
            a sends ping
            a < pong
            a sends pong unasked
            a < nothing
            a sends close 1000 bye
            a < close 1000
            a < closed
            """)
    }

    @Test("what one read brings comes back in its order, whatever stands between whole messages", arguments: Chunking.all)
    func echoOfMany(_ chunking: Chunking) throws {
        let stage = Stage(chunking, Self.settings())
        stage.play("a upgrades /echo")
        let before = stage.network.server.context.metrics
        let long = [UInt8](repeating: UInt8(ascii: "l"), count: 70_000)
        let part = Wire.frame(1, Array("be".utf8))
        let frames: [[UInt8]] = [
            Wire.frame(1, Array("one".utf8)), Wire.frame(2, [1, 2]), Wire.frame(9, Array("beat".utf8)), Wire.frame(1, []),
            [part[0] & 0x7f] + part.dropFirst(), Wire.frame(0, Array("gun".utf8)), Wire.frame(1, long), Wire.frame(1, Array("last".utf8)),
        ]
        stage.network.send(frames.flatMap { $0 }, on: stage.link("a"), chunking)
        var output = stage.take("a")
        var seen: [String] = []
        while let frame = try Wire.frame(&output) { seen.append("\(frame.first & 15):\(String(decoding: frame.payload, as: UTF8.self))") }
        #expect(seen == [
            "1:one", "2:\u{1}\u{2}", "10:beat", "1:", "1:begun", "1:\(String(repeating: "l", count: 70_000))", "1:last",
        ])
        let metrics = stage.network.server.context.metrics
        #expect(metrics.messagesIn - before.messagesIn == 6 && metrics.messagesOut - before.messagesOut == 6)
        stage.end()
    }

    @Test("§5.5.1: a close frame is answered with its code, whatever the role, and nothing comes behind it", arguments: Chunking.all)
    func closing(_ chunking: Chunking) {
        Stage.play(chunking, Self.settings(), """
            a upgrades /echo
            a sends close
            a < close
            a < closed
            w upgrades /ws
            w < {"type":"connected","workerId":"$w","message":"Connected to Task Dispatcher"}
            w > {"type":"ready"}
            c > POST /api/openai {"data":{}}
            w < {"type":"task","taskId":"$task","payload":{"model":"default","data":{}}}
            w sends close 4001 going
            w < close 4001
            w < closed
            c < 500 {"taskId":"$task","status":"failed","error":"Worker disconnected"}
            b upgrades /echo
            b sends unmasked x
            b < close 1002 $why
            b < closed
            d upgrades /echo
            d sends close 1005
            d < close 1002 $other
            d < closed
            e upgrades /echo
            e >> \\0\\0
            e < close 1002 $third
            e < closed
            """)
    }

    @Test("SECURITY 10, 11: a message beyond the limit ends the socket with 1009, announced or added up")
    func limits() {
        var settings = Self.settings()
        settings.limits.messageBytesMax = 1_000
        let stage = Stage(.whole, settings)
        stage.play("""
            a upgrades /echo
            a > @1000
            a < @1000
            b upgrades /echo
            b sends begin @999
            b < nothing
            b sends finish xx
            b < close 1009 $why
            b < closed
            """)
        // A frame of 2⁶³ - 1 bytes is refused at its header.
        stage.network.send([0x82, 0xff, 0x7f] + Array(repeating: 0xff, count: 7) + [0, 0, 0, 0], on: stage.link("a"))
        stage.play("""
            a < close 1009 $why
            a < closed
            """)
        stage.end()
    }

    @Test("a silent socket is pinged, and closed when it stays silent; one that answers lives", arguments: Chunking.all)
    func silence(_ chunking: Chunking) {
        Stage.play(chunking, Self.settings(), """
            a upgrades /echo
            b upgrades /echo
            * wait 29s
            a < nothing
            * wait 1s
            a < ping
            b < ping
            b sends pong
            * wait 29s
            a < nothing
            * wait 1s
            a < close 1008 no answer to pings
            a < closed
            b < ping
            b sends pong
            * wait 15s
            b > x
            b < x
            * wait 29s
            b < nothing
            * wait 1s
            b < ping
            """)
    }

    @Test("a socket that is being closed and does not read leaves the reactor its sleep")
    func closingSilently() {
        let stage = Stage(.whole, Self.settings())
        stage.play("""
            a upgrades /echo
            a stalls
            a > @100
            a sends close 1000
            """)
        #expect(stage.network.wait(.seconds(45)), "the timer of a closing socket spins")
        stage.play("""
            a reads
            a < @100
            a < close 1000
            a < closed
            """)
        stage.end()
    }

    @Test("SECURITY 16: a consumer that does not read gets 1013 behind what waits, and no more", arguments: [Chunking.whole, .seeded(1)])
    func slowConsumer(_ chunking: Chunking) {
        let settings = Self.settings { $0.limits.queuedBytesMax = 10_000 }
        Stage.play(chunking, settings, """
            w upgrades /ws
            w < {"type":"connected","workerId":"$w","message":"Connected to Task Dispatcher"}
            w > {"type":"ready","concurrency":100}
            w stalls
            a > POST /api/openai {"data":{"x":"@4000"},"async":true}
            a < 200 {"taskId":"$one","status":"executing"}
            a > POST /api/openai {"data":{"x":"@4000"},"async":true}
            a < 200 {"taskId":"$two","status":"executing"}
            a > POST /api/openai {"data":{"x":"@4000"},"async":true}
            a < 200 {"taskId":"$three","status":"executing"}
            # The payloads of tasks in hand do not count against a worker; once nobody wants them they are what it does not read.
            a > POST /api/task/$one/cancel
            a < 200 {"taskId":"$one","status":"cancelled"}
            a > POST /api/task/$two/cancel
            a < 200 {"taskId":"$two","status":"cancelled"}
            a > POST /api/task/$three/cancel
            a < 200 {"taskId":"$three","status":"cancelled"}
            a > POST /api/openai {"data":{}}
            a < 503 {"error":"No worker available"}
            w reads
            w < {"type":"task","taskId":"$one","payload":{"model":"default","data":{"x":"@4000"}}}
            w < {"type":"task","taskId":"$two","payload":{"model":"default","data":{"x":"@4000"}}}
            w < {"type":"task","taskId":"$three","payload":{"model":"default","data":{"x":"@4000"}}}
            w < {"type":"cancel","taskId":"$one"}
            w < {"type":"cancel","taskId":"$two"}
            w < {"type":"cancel","taskId":"$three"}
            w < close 1013 messages are read too slowly
            w < closed
            """)
    }

    @Test("a worker's large message is read by the pool; what it says behind it waits", arguments: Chunking.all)
    func pool(_ chunking: Chunking) {
        let settings = Self.settings { $0.limits.inlineWorkBytes = 1_000 }
        Stage.play(chunking, settings, """
            * hold jobs
            w upgrades /ws
            w < {"type":"connected","workerId":"$w","message":"Connected to Task Dispatcher"}
            w > {"type":"ready","concurrency":2}
            a > POST /api/openai {"data":{"n":1}}
            b > POST /api/openai {"data":{"n":2}}
            w < {"type":"task","taskId":"$one","payload":{"model":"default","data":{"n":1}}}
            w < {"type":"task","taskId":"$two","payload":{"model":"default","data":{"n":2}}}
            w > {"type":"task_complete","taskId":"$one","result":"@2000"}
            w > {"type":"task_complete","taskId":"$one","result":"too late"}
            w > {"type":"task_complete","taskId":"$two","result":2}
            w > {"type":"dance","x":"@2000"}
            w > {"type":"ping"}
            w < nothing
            a < nothing
            b < nothing
            c > GET /healthz
            c < 200 {"status":"ok"}
            * jobs 1
            * job 0
            w < {"type":"task_ack","taskId":"$one"}
            w < {"type":"error","error":"Task already completed","taskId":"$one"}
            w < {"type":"task_ack","taskId":"$two"}
            w < nothing
            a < 200 {"taskId":"$one","status":"completed","result":"@2000"}
            b < 200 {"taskId":"$two","status":"completed","result":2}
            * jobs 1
            * job 0
            w < {"type":"error","error":"Unknown message type: dance"}
            w < {"type":"pong"}
            w > {"type":"task_complete","x":"@2000"}
            * jobs 1
            w leaves
            * job 0
            c < nothing
            """)
    }

    @Test("what one message of a worker causes goes out before the next one is answered, also where both come in one read")
    func order() {
        let stage = Stage(.whole, Self.settings())
        stage.play("""
            w upgrades /ws
            w < {"type":"connected","workerId":"$w","message":"Connected to Task Dispatcher"}
            w > {"type":"ready"}
            a > POST /api/openai {"data":{"n":1}}
            w < {"type":"task","taskId":"$one","payload":{"model":"default","data":{"n":1}}}
            b > POST /api/openai {"data":{"n":2}}
            """)
        let words = ["task_complete", "task_complete", "drain", "ping"]
            .map { "{\"type\":\"\($0)\",\"taskId\":\"\(stage.bindings["one"] ?? "")\"}" }
        stage.network.send(words.flatMap { Wire.frame(1, Array($0.utf8)) }, on: stage.link("w"))
        stage.play("""
            w < {"type":"task_ack","taskId":"$one"}
            w < {"type":"task","taskId":"$two","payload":{"model":"default","data":{"n":2}}}
            w < {"type":"error","error":"Task already completed","taskId":"$one"}
            w < {"type":"pong"}
            a < 200 {"taskId":"$one","status":"completed","result":null}
            w > {"type":"task_complete","taskId":"$two"}
            w < {"type":"task_ack","taskId":"$two"}
            w < {"type":"drain"}
            b < 200 {"taskId":"$two","status":"completed","result":null}
            """)
        stage.end()
    }

    @Test("large messages are compressed by the pool and leave in order, whatever the order they come home in", arguments: Chunking.all)
    func lanes(_ chunking: Chunking) {
        let settings = Self.settings {
            $0.limits.inlineWorkBytes = 1_000
            $0.deflate = DeflatePolicy()
        }
        Stage.play(chunking, settings, """
            * hold jobs
            a upgrades /echo [Sec-WebSocket-Extensions: permessage-deflate]
            b upgrades /echo
            a > small
            a < small
            a > @500
            a < z:@500
            a > @2000
            a > @500
            a > @3000
            a > tiny
            a > @4000
            b > @5000
            b < @5000
            a < nothing
            * jobs 3
            * job 2
            * job 1
            a sends ping still here
            a < pong still here
            a < nothing
            * job 0
            a < z:@2000
            a < z:@500
            a < z:@3000
            a < tiny
            a < z:@4000
            a > @1500
            a > last
            a sends close 1000
            a < nothing
            * job 0
            a < z:@1500
            a < last
            a < close 1000
            a < closed
            c upgrades /echo [Sec-WebSocket-Extensions: permessage-deflate]
            c > @2000
            c sends ping x
            c < pong x
            * jobs 1
            c leaves
            * job 0
            """)
    }

    @Test("RFC 7692 §7.1.1: a server that keeps its context stays readable when the pool compresses in between")
    func keptContext() {
        let settings = Self.settings {
            $0.limits.inlineWorkBytes = 1_000
            $0.deflate = DeflatePolicy(keepsServerContext: true)
        }
        Stage.play(.whole, settings, """
            a upgrades /echo [Sec-WebSocket-Extensions: permessage-deflate]
            a > the quick brown fox jumps over the lazy dog, 0123456789 times, and then once more for luck
            a < z:the quick brown fox jumps over the lazy dog, 0123456789 times, and then once more for luck
            a > the quick brown fox jumps over the lazy dog, 0123456789 times, and then once more for luck
            a < z:the quick brown fox jumps over the lazy dog, 0123456789 times, and then once more for luck
            a > @2000
            a < z:@2000
            a > the quick brown fox jumps over the lazy dog, 0123456789 times, and then once more for luck
            a < z:the quick brown fox jumps over the lazy dog, 0123456789 times, and then once more for luck
            a > the quick brown fox jumps over the lazy dog, 0123456789 times, and then once more for luck
            a < z:the quick brown fox jumps over the lazy dog, 0123456789 times, and then once more for luck
            """)
    }

    @Test("stopping while a close frame waits in a lane cuts nothing off")
    func stopBehindLane() {
        let settings = Self.settings {
            $0.limits.inlineWorkBytes = 1_000
            $0.deflate = DeflatePolicy()
        }
        Stage.play(.whole, settings, """
            * hold jobs
            a upgrades /echo [Sec-WebSocket-Extensions: permessage-deflate]
            b upgrades /echo [Sec-WebSocket-Extensions: permessage-deflate]
            a > @2000
            a sends close 1000
            b > @2000
            * stop
            a < nothing
            b < nothing
            * job 1
            b < z:@2000
            b < close 1001 server is shutting down
            b < closed
            * lasting
            * job 0
            a < z:@2000
            a < close 1000
            a < closed
            * over
            """)
    }

    @Test("compressed messages come in, whole and cut, and bombs end the socket (SECURITY 12)", arguments: Chunking.all)
    func inflating(_ chunking: Chunking) {
        let settings = Self.settings {
            $0.limits.messageBytesMax = 100_000
            $0.deflate = DeflatePolicy()
        }
        let stage = Stage(chunking, settings)
        stage.play("a upgrades /echo [Sec-WebSocket-Extensions: permessage-deflate]")
        func compressed(_ count: Int) -> [UInt8] {
            let parameters = DeflateParameters(
                keepsServerContext: false, keepsClientContext: false, serverWindowBits: 15, clientWindowBits: 15, level: 6,
                memoryLevel: 8, namesServerWindow: false, namesClientWindow: false)
            let frame = CompressedFrame.make(.text, Array(repeating: UInt8(ascii: "x"), count: count).span, parameters)
            var bytes = frame.span.indices.map { frame.span[$0] }
            guard let taken = try? Wire.frame(&bytes) else { return [] }
            return Wire.frame(1, taken.payload, reserved: taken.first & 0x40)
        }
        stage.network.send(compressed(3_000), on: stage.link("a"), chunking)
        stage.play("a < z:@3000")
        stage.network.send(compressed(100_001), on: stage.link("a"), chunking)
        stage.play("""
            a < close 1009 $why
            a < closed
            """)
        stage.end()
    }

    @Test("after our own close frame nothing follows, not even a pong")
    func nothingBehindClose() {
        let settings = Self.settings { $0.limits.queuedBytesMax = 1_000 }
        let stage = Stage(.whole, settings)
        stage.play("""
            a upgrades /echo
            a stalls
            """)
        let bytes = Wire.frame(1, Array(repeating: 120, count: 1_001)) + Wire.frame(9, [1]) + Wire.frame(1, [120])
        stage.network.send(bytes, on: stage.link("a"))
        stage.play("""
            a reads
            a < @1001
            a < close 1013 messages are read too slowly
            a < closed
            """)
        stage.end()
    }
}
