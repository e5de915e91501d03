// Goal: only a handshake opens a socket, in the role that its target names, and no byte behind it is lost.
import Base
import TestSupport
import Testing

@testable import Gateway

@Suite("Upgrades")
struct UpgradesTests {
    private static let echo = Settings(echoPath: SharedBytes("/echo"))

    @Test("§4.2: what is no handshake is told what is missing, and the connection goes on", arguments: Chunking.all)
    func refused(_ chunking: Chunking) {
        let ws = "[Upgrade: websocket] [Connection: Upgrade]"
        let key = "[Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==]"
        let upgrade = "[Upgrade: websocket] [Sec-WebSocket-Version: 13]"
        Stage.play(chunking, UpgradesTests.echo, """
            a > GET /ws
            a < 426 \(upgrade) {"error":"A WebSocket handshake is expected"}
            a > HEAD /ws \(ws) [Sec-WebSocket-Version: 13] \(key)
            a < 426 \(upgrade)
            a > GET /ws [Upgrade: websocket] [Sec-WebSocket-Version: 13] \(key)
            a < 426 {"error":"A WebSocket handshake is expected"}
            a > GET /ws \(ws) [Sec-WebSocket-Version: 8] \(key)
            a < 426 \(upgrade) {"error":"Invalid WebSocket handshake"}
            a > GET /ws \(ws) [Sec-WebSocket-Version: 13] [Sec-WebSocket-Key: short]
            a < 400 [Upgrade: -] {"error":"Invalid WebSocket handshake"}
            a > GET /ws \(ws) [Sec-WebSocket-Version: 13]
            a < 400 {"error":"Invalid WebSocket handshake"}
            a > GET /ws [Upgrade: h2c] [Connection: Upgrade] [Sec-WebSocket-Version: 13] \(key)
            a < 400 {"error":"Invalid WebSocket handshake"}
            a > GET /ws \(ws) [Sec-WebSocket-Version: 13] \(key) {"a":1}
            a < 426 {"error":"A WebSocket handshake is expected"}
            a > POST /ws
            a < 405 [Allow: GET, HEAD, OPTIONS] {"error":"Method not allowed"}
            a > GET /healthz
            a < 200 {"status":"ok"}
            """)
    }

    @Test("a worker's group and its way of getting ready are judged before the socket opens", arguments: Chunking.all)
    func roles(_ chunking: Chunking) {
        let handshake = "[Upgrade: websocket] [Connection: Upgrade] [Sec-WebSocket-Version: 13] "
            + "[Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==]"
        Stage.play(chunking, """
            a > GET /ws?group=@201 \(handshake)
            a < 400 {"error":"Invalid request: group is too long"}
            a > GET /ws?ready=later \(handshake)
            a < 400 {"error":"Invalid request: ready must be explicit, or left out"}
            a > GET /ws?group=%zz \(handshake)
            a < 400 {"error":"A percent escape is not two hexadecimal digits, or is %00."}
            a > GET /ws?group=a%00b \(handshake)
            a < 400 {"error":"A percent escape is not two hexadecimal digits, or is %00."}
            w upgrades /ws?group=%E5%9B%BE&x=1
            w < {"type":"connected","workerId":"W1-$one","message":"Connected to Task Dispatcher"}
            w > {"type":"ready"}
            c > POST /api/openai {"data":{},"group":"图","async":true}
            c < 200 {"taskId":"$task","status":"executing"}
            w < {"type":"task","taskId":"$task","payload":{"model":"default","data":{}}}
            v upgrades /ws?group=@200
            v < {"type":"connected","workerId":"W2-$two","message":"Connected to Task Dispatcher"}
            """)
    }

    @Test("frames that come in the same read as the handshake are heard", arguments: Chunking.all)
    func together(_ chunking: Chunking) {
        let stage = Stage(chunking, UpgradesTests.echo)
        let head = "GET /echo HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        let bytes = Array("GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n".utf8) + Array(head.utf8) + Wire.frame(1, Array("one".utf8))
            + Wire.frame(9, Array("two".utf8)) + Wire.frame(2, Array(repeating: 7, count: 300))
        stage.network.send(bytes, on: stage.link("a"), chunking)
        var seen = stage.take("a")
        do {
            #expect(try Wire.reply(&seen, isHead: false)?.status == 200)
            #expect(try Wire.reply(&seen, isHead: false)?.status == 101)
            #expect(try Wire.frame(&seen)?.payload == Array("one".utf8))
            #expect(try Wire.frame(&seen)?.first == 0x8a)
            #expect(try Wire.frame(&seen)?.payload == Array(repeating: 7, count: 300))
        } catch {
            Issue.record("\(error)")
        }
        #expect(seen.isEmpty)
        stage.end()
    }

    @Test("RFC 9110 §5.3: a list may stand on several lines; a key may not", arguments: Chunking.all)
    func lines(_ chunking: Chunking) {
        let head = "GET /echo HTTP/1.1\r\nHost: h\r\nConnection: keep-alive\r\nUpgrade: h2c\r\n"
            + "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        let stage = Stage(chunking, UpgradesTests.echo)
        stage.network.send(Array((head + "\r\n").utf8), on: stage.link("a"), chunking)
        stage.network.send(Array((head + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n").utf8), on: stage.link("b"), chunking)
        for (name, status) in [("a", 101), ("b", 400)] {
            var seen = stage.take(name)
            do {
                #expect(try Wire.reply(&seen, isHead: false)?.status == status)
            } catch {
                Issue.record("\(error)")
            }
        }
        stage.end()
    }

    @Test("a socket that was asked for behind a waiting request, with much behind it, is read on", arguments: Chunking.all)
    func behindWaiting(_ chunking: Chunking) {
        var settings = UpgradesTests.echo
        settings.limits.pipelinedBytesMax = 1_000
        let stage = Stage(chunking, settings)
        stage.play("""
            w upgrades /ws
            w < {"type":"connected","workerId":"$w","message":"Connected to Task Dispatcher"}
            w > {"type":"ready"}
            """)
        let task = Array("POST /api/openai HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\n\r\n{\"data\":{}}".utf8)
        let head = "GET /echo HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        let link = stage.link("a")
        stage.network.send(task + Array(head.utf8) + Wire.frame(2, Array(repeating: 7, count: 3_000)), on: link, chunking)
        stage.play("""
            w < {"type":"task","taskId":"$task","payload":{"model":"default","data":{}}}
            w > {"type":"task_complete","taskId":"$task"}
            w < {"type":"task_ack","taskId":"$task"}
            """)
        stage.network.send(Wire.frame(1, Array("later".utf8)), on: link, chunking)
        var seen = stage.take("a")
        do {
            #expect(try Wire.reply(&seen, isHead: false)?.status == 200)
            #expect(try Wire.reply(&seen, isHead: false)?.status == 101)
            #expect(try Wire.frame(&seen)?.payload == Array(repeating: 7, count: 3_000))
            #expect(try Wire.frame(&seen)?.payload == Array("later".utf8))
        } catch {
            Issue.record("\(error)")
        }
        #expect(seen.isEmpty)
        stage.end()
    }
}
