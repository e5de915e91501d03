// Codecs: the formats, one operation each: bytes in, events out, and back. Inputs are what clients and workers really send.
import Base
import HTTP1
import JSON
import LoadSupport
import SocketIO
import WebSockets

enum Codecs {
    static func operations() -> [Operation] { json() + http() + webSocket() + deflate() + socketIO() }

    // MARK: JSON

    private static func json() -> [Operation] {
        let report = Array(
            (#"{"type":"task_progress","taskId":"01989651-6aa1-7b2c-9d5e-2f0c6c1f8a3b","progress":50,"#
                + #""message":"\#(words(180))","step_info":{"n":1}}"#)
                .utf8)
        let items = (0..<150).map { #"{"id":\#($0),"role":"user","content":"\#(words(60))","score":\#($0).5}"# }
        let document = Array(("[" + items.joined(separator: ",") + "]").utf8)
        return [
            indexing("index of a message of \(report.count) B", report), indexing("index of a document of \(document.count) B", document),
            lookUp(report),
        ]
    }

    private static func indexing(_ name: String, _ bytes: [UInt8]) -> Operation {
        var index = JSONIndex()
        return Operation("JSON", name) { count in
            for _ in 0..<count {
                do throws(JSONError) { try index.build(from: bytes.span) } catch { fail("JSON: \(error)") }
            }
        }
    }

    private static func lookUp(_ bytes: [UInt8]) -> Operation {
        var index = JSONIndex()
        do throws(JSONError) { try index.build(from: bytes.span) } catch { fail("JSON: \(error)") }
        return Operation("JSON", "a member by name, and its number") { count in
            for _ in 0..<count { consume(index.int("progress", of: index.root, in: bytes.span)) }
        }
    }

    // MARK: HTTP

    private static func http() -> [Operation] {
        let browser = """
            GET /api/task/01989651-6aa1-7b2c-9d5e-2f0c6c1f8a3b HTTP/1.1\r\nHost: localhost:8000\r\nConnection: keep-alive\r\n\
            User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36\r\nAccept: application/json, text/plain, */*\r\n\
            Accept-Encoding: gzip, deflate, br\r\nAccept-Language: en-GB,en;q=0.9\r\nCache-Control: no-cache\r\n\
            Referer: http://localhost:8000/\r\n\
            Sec-Fetch-Dest: empty\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Site: same-origin\r\n\r\n
            """
        let body = #"{"data":{"n":1},"async":true}"#
        let post = """
            POST /api/openai HTTP/1.1\r\nHost: localhost:8000\r\nContent-Type: application/json\r\n\
            Content-Length: \(body.utf8.count)\r\n\r\n\(body)
            """
        return [
            request("a request of a browser, \(browser.utf8.count) B", Array(browser.utf8)),
            request("a POST with its body, \(post.utf8.count) B", Array(post.utf8)),
        ]
    }

    private static func request(_ name: String, _ bytes: [UInt8]) -> Operation {
        var exchange = ServerExchange()
        let limits = HTTPLimits()
        return Operation("HTTP", name) { count in
            var head = RequestHead()
            for _ in 0..<count {
                var position = 0
                do throws(HTTPError) {
                    loop: while true {
                        switch try exchange.next(bytes.span, &position, head: &head, limits: limits) {
                        case .head, .body: continue
                        case .end: break loop
                        case .needMore, .paused, .upgraded, .closed: fail("HTTP: the request is not whole")
                        }
                    }
                } catch { fail("HTTP: \(error)") }
                consume(exchange.responded(exchange.shape))
            }
        }
    }

    // MARK: WebSocket

    private static func webSocket() -> [Operation] {
        [64, 16_384].flatMap { size in
            [
                parsing("a masked frame of \(size) B, read and unmasked", frame(size)),
                writing("a frame of \(size) B, written", Array(words(size).utf8)),
            ]
        }
    }

    private static func frame(_ size: Int) -> [UInt8] {
        var writer = ByteWriter()
        let text = Array(words(size).utf8)
        ClientFrame.append(.binary, text.span, to: &writer)
        return writer.withSpan { span in (0..<span.count).map { span[$0] } }
    }

    private static func parsing(_ name: String, _ frame: [UInt8], _ deflate: DeflateParameters? = nil, floor: String = "WebSocket")
        -> Operation
    {
        var connection = WebSocketConnection(deflate: deflate)
        let workspace = WebSocketWorkspace()
        let limits = WebSocketLimits(messageBytesMax: 16 << 20)
        var bytes = frame
        return Operation(floor, name) { count in
            for _ in 0..<count {
                // A frame is unmasked in place, and a compressed one would be none the second time.
                if deflate != nil { for place in frame.indices { bytes[place] = frame[place] } }
                var span = bytes.mutableSpan
                var position = 0
                switch connection.next(&span, &position, limits, workspace) {
                case .binary(let payload): consume(payload)
                case .needMore, .text, .ping, .pong, .close, .failed: fail("WebSocket: no message")
                }
                guard case .needMore = connection.next(&span, &position, limits, workspace) else { fail("WebSocket: a second message") }
            }
        }
    }

    private static func writing(_ name: String, _ payload: [UInt8]) -> Operation {
        var writer = ByteWriter(capacity: payload.count + 16)
        return Operation("WebSocket", name) { count in
            for _ in 0..<count {
                writer.removeAll()
                FrameWriter.append(.binary, payload.span, to: &writer)
            }
        }
    }

    // MARK: permessage-deflate

    private static func deflate() -> [Operation] {
        let offer = Array("permessage-deflate; client_no_context_takeover; server_no_context_takeover".utf8)
        guard let parameters = DeflateNegotiation.accept(offer.span, DeflatePolicy()), let client = MessageDeflate() else {
            fail("deflate: it is not to be had")
        }
        return [300, 16_384].flatMap { size in
            let text = Array(sentences(size).utf8)
            var payload = ByteWriter()
            client.deflate(text.span, into: &payload)
            var frame = ByteWriter()
            ClientFrame.append(.binary, payload, isCompressed: true, to: &frame)
            let bytes = frame.withSpan { span in (0..<span.count).map { span[$0] } }
            return [
                parsing("a message of \(size) B, read and inflated", bytes, parameters, floor: "Deflate"),
                Operation("Deflate", "a message of \(size) B, deflated into a frame") { count in
                    for _ in 0..<count { consume(CompressedFrame.make(.text, text.span, parameters)) }
                },
            ]
        }
    }

    // MARK: Engine.IO and Socket.IO

    private static func socketIO() -> [Operation] {
        let event = Array(##"42["subscribe",{"channels":["system","models"],"since":1234}]"##.utf8)
        let payload = Array(#"{"event_type":"activity_stream","data":{"message":"\#(words(200))"}}"#.utf8)
        var index = JSONIndex()
        var writer = ByteWriter(capacity: 1024)
        let limits = PacketLimits()
        return [
            Operation("Engine.IO", "a packet, read") { count in
                for _ in 0..<count {
                    do throws(EngineError) { consume(try EnginePacket.read(event.span)) } catch { fail("Engine.IO: \(error)") }
                }
            },
            Operation("Socket.IO", "an event of \(event.count - 1) B, read with its index") { count in
                for _ in 0..<count {
                    do throws(PacketError) {
                        consume(try PacketReader.read(event.span.extracting(1...), index: &index, limits: limits))
                    } catch { fail("Socket.IO: \(error)") }
                }
            },
            Operation("Socket.IO", "an event of \(payload.count) B, written") { count in
                for _ in 0..<count {
                    writer.removeAll()
                    PacketWriter.packet(.event, namespace: Span(), payload: payload.span, to: &writer)
                }
            },
        ]
    }

    // MARK: texts

    static func words(_ count: Int) -> String { String(repeating: "x", count: count) }

    /// Text that compresses as text does.
    private static func sentences(_ count: Int) -> String {
        let vocabulary = ["the", "worker", "has", "done", "step", "of", "task", "and", "goes", "on", "with", "model", "layer", "token"]
        var text = ""
        var state: UInt32 = 7
        while text.utf8.count < count {
            state = state &* 1_664_525 &+ 1_013_904_223
            text += vocabulary[Int(state >> 16) % vocabulary.count] + " \(state >> 24) "
        }
        return String(text.prefix(count))
    }
}
