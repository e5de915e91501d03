// Goal: a session lives, moves to WebSocket and ends as the protocol document and its test suite say.
import Base
import TestSupport
import Testing

@testable import SocketIO

@Suite struct EngineSessionTests {
    private static let openByPolling = #"0{"sid":"s","upgrades":["websocket"],"pingInterval":300,"pingTimeout":200,"maxPayload":64}"#
    private static let openByWebSocket = #"0{"sid":"s","upgrades":[],"pingInterval":300,"pingTimeout":200,"maxPayload":64}"#

    /// A session whose probe was answered.
    private func probed() -> EngineScript {
        let script = EngineScript(.polling)
        _ = script.attach()
        _ = script.text("2probe")
        return script
    }

    /// A session that has moved to WebSocket.
    private func upgraded() -> EngineScript {
        let script = probed()
        _ = script.text("5")
        return script
    }

    // MARK: Handshake

    @Test("Handshake: the open packet answers the first request, or is the first message")
    func handshake() {
        let polling = EngineScript(.polling, keepsHandshake: true)
        #expect(polling.lines() == ["answer " + Self.openByPolling])
        #expect(polling.session.transport == .polling)
        let webSocket = EngineScript(.webSocket, keepsHandshake: true)
        #expect(webSocket.lines() == ["send " + Self.openByWebSocket])
        #expect(webSocket.session.transport == .webSocket)
    }

    // MARK: HTTP long-polling

    @Test("HTTP long-polling: a POST's messages are delivered in order, text and binary")
    func post() {
        let script = EngineScript(.polling)
        #expect(script.post("4hello") == ["deliver hello"])
        #expect(
            script.post("4test1|bAQIDBA==|4test3|bBQ==|b") == [
                "deliver test1", "deliver 1 2 3 4", "deliver test3", "deliver 5", "deliver ",
            ])
        #expect(script.post("6") == [])
    }

    @Test("HTTP long-polling: what waits leaves with the next poll; an open poll is answered once a turn")
    func poll() {
        let script = EngineScript(.polling)
        #expect(script.send("a") == [])
        #expect(script.send([1, 2, 3, 4]) == [])
        #expect(script.poll() == ["answer 4a|bAQIDBA=="])
        #expect(script.session.queuedBytes == 0)
        #expect(script.poll() == [])
        #expect(script.send("b", flush: false) == [])
        #expect(script.send("c") == ["answer 4b|4c"])
        #expect(script.send("d") == [])
    }

    @Test("HTTP long-polling: an answer holds as many packets and bytes as a payload may, and a larger message goes alone")
    func answerBounds() {
        let script = EngineScript(.polling)
        for index in 0..<10 { _ = script.send("\(index)") }
        #expect(script.poll() == ["answer 40|41|42|43|44|45|46|47"])
        #expect(script.poll() == ["answer 48|49"])
        let long = String(repeating: "x", count: 40)
        let longest = String(repeating: "y", count: 80)
        for text in [long, long, longest, "z"] { _ = script.send(text) }
        #expect(script.poll() == ["answer 4" + long])
        #expect(script.poll() == ["answer 4" + long])
        #expect(script.poll() == ["answer 4" + longest])
        #expect(script.poll() == ["answer 4z"])
    }

    @Test("HTTP long-polling: a second poll ends the session; the first is answered with a close packet")
    func concurrentPolls() {
        let script = EngineScript(.polling)
        #expect(script.poll() == [])
        #expect(script.poll() == ["answer 1", "ended violation(SocketIO.EngineError.concurrentPoll)", "refused concurrentPoll"])
        #expect(script.poll() == ["refused sessionEnded"])
        #expect(script.post("4a") == ["refused sessionEnded"])
        #expect(script.attach() == ["refused sessionEnded"])
        #expect(script.deadline == nil)
        #expect(script.session.transport == nil)
    }

    @Test(
        "HTTP long-polling: a malformed payload is refused whole and ends the session",
        arguments: [
            ("abc", EngineError.unknownPacketType), ("", .emptyPacket), ("4a|", .emptyPacket), ("4a|bA", .invalidBase64),
            ("4a|2", .unexpectedPacket),
            ("2probe", .unexpectedPacket), ("5", .unexpectedPacket), ("0{}", .unexpectedPacket), ("4|4|4|4|4|4|4|4|4", .tooManyPackets),
            ("4" + String(repeating: "x", count: 64), .payloadTooLarge),
        ])
    func malformedPost(_ payload: String, _ error: EngineError) {
        let script = EngineScript(.polling)
        _ = script.poll()
        #expect(script.post(payload) == ["answer 1", "ended violation(SocketIO.EngineError.\(error))", "refused \(error)"])
        #expect(script.poll() == ["refused sessionEnded"])
    }

    @Test("HTTP long-polling: a payload that is not UTF-8 is refused; one of exactly maxPayload is taken")
    func payloadEdges() {
        let script = EngineScript(.polling)
        let largest = String(repeating: "x", count: 63)
        #expect(script.post("4" + largest) == ["deliver " + largest])
        #expect(script.post([0x34, 0xff]) == ["ended violation(SocketIO.EngineError.invalidUTF8)", "refused invalidUTF8"])
    }

    @Test("HTTP long-polling: a poll whose connection went ends the session; one that was answered does not")
    func pollLost() {
        let script = EngineScript(.polling)
        _ = script.poll()
        _ = script.send("a")
        #expect(script.pollLost() == [])
        _ = script.poll()
        #expect(script.pollLost() == ["ended transportLost"])
        let moving = EngineScript(.polling)
        _ = moving.poll()
        _ = moving.attach()
        #expect(moving.pollLost() == ["close WebSocket", "ended transportLost"])
    }

    @Test("a session is open until it closes, also while what waits still leaves")
    func openness() {
        let script = EngineScript(.polling)
        #expect(script.session.isOpen)
        _ = script.send("a", flush: false)
        _ = script.close()
        #expect(!script.session.isOpen && script.session.transport == .polling)
    }

    @Test("Handshake: no upgrade is offered where there is none")
    func noUpgrade() {
        var settings = EngineScript.settings
        settings.offersUpgrade = false
        var text = ByteWriter()
        EngineHandshake.write(sid: SharedBytes("s").span, .polling, settings, into: &text)
        #expect(text.seal().description.contains("\"upgrades\":[]"))
    }

    @Test("HTTP long-polling: more than may wait ends the session, and to the byte")
    func overload() {
        var settings = EngineScript.settings
        settings.queuedBytesMax = 2 * (EngineSession.messageOverhead + 4)
        let script = EngineScript(.polling, settings)
        #expect(script.send("abc") == [])
        #expect(script.send("abc") == [])
        #expect(script.session.queuedBytes == settings.queuedBytesMax)
        #expect(script.send("") == ["ended overloaded"])
        let closer = EngineScript(.polling, settings)
        _ = closer.send("abc")
        #expect(closer.send("abcd") == ["ended overloaded"])
        #expect(script.send("a") == [])
        #expect(script.session.queuedBytes == 0)
    }

    @Test("HTTP long-polling: a message larger than all that may wait waits alone")
    func largeMessage() {
        var settings = EngineScript.settings
        settings.queuedBytesMax = EngineSession.messageOverhead + 4
        let script = EngineScript(.polling, settings)
        let long = String(repeating: "x", count: 100)
        #expect(script.send(long) == [])
        #expect(script.poll() == ["answer 4" + long])
        #expect(script.session.queuedBytes == 0)
        #expect(script.poll() == [])
        #expect(script.send(long) == ["answer 4" + long])
        _ = script.send(long)
        #expect(script.send("") == ["ended overloaded"])
    }

    // MARK: WebSocket

    @Test("WebSocket: messages are delivered and sent one by one, text and binary")
    func webSocket() {
        let script = EngineScript(.webSocket)
        #expect(script.text("4hello") == ["deliver hello"])
        #expect(script.binary([1, 2]) == ["deliver 1 2"])
        #expect(script.text("6") == [])
        #expect(script.send("a") == ["send 4a"])
        #expect(script.send([7, 8]) == ["send 7 8"])
        #expect(script.session.queuedBytes == 0)
    }

    @Test(
        "WebSocket: an invalid packet ends the session",
        arguments: [
            ("abc", EngineError.unknownPacketType), ("", .emptyPacket), ("2", .unexpectedPacket),
            ("2probe", .unexpectedPacket),
            ("5", .unexpectedPacket), ("0", .unexpectedPacket), ("1x", .unexpectedContent), ("bAQIDBA==", .unknownPacketType),
            ("4" + String(repeating: "x", count: 64), .payloadTooLarge),
        ])
    func malformedText(_ text: String, _ error: EngineError) {
        let script = EngineScript(.webSocket)
        #expect(script.text(text) == ["close WebSocket", "ended violation(SocketIO.EngineError.\(error))"])
        #expect(script.text("4a") == [])
        #expect(script.binary([1]) == [])
    }

    @Test("WebSocket: a binary message is held to maxPayload too")
    func binaryTooLarge() {
        let script = EngineScript(.webSocket)
        #expect(script.binary(Array(repeating: 1, count: 64)).count == 1)
        #expect(
            script.binary(Array(repeating: 1, count: 65)) == ["close WebSocket", "ended violation(SocketIO.EngineError.payloadTooLarge)"])
    }

    // MARK: Heartbeat

    @Test("Heartbeat: by polling, each ping leaves with a poll and each pong starts the interval anew")
    func pollingHeartbeat() {
        let script = EngineScript(.polling)
        #expect(script.deadline == 300)
        for round in Int64(0)..<3 {
            #expect(script.poll() == [])
            #expect(script.advance(round * 310 + 299) == [])
            #expect(script.advance(round * 310 + 300) == ["answer 2"])
            #expect(script.deadline == round * 310 + 500)
            script.milliseconds += 10
            #expect(script.post("3") == [])
            #expect(script.deadline == (round + 1) * 310 + 300)
        }
    }

    @Test("Heartbeat: over WebSocket the ping is sent at once")
    func webSocketHeartbeat() {
        let script = EngineScript(.webSocket)
        #expect(script.advance(300) == ["send 2"])
        #expect(script.advance(499) == [])
        #expect(script.text("3") == [])
        #expect(script.deadline == 799)
        #expect(script.advance(799) == ["send 2"])
        #expect(script.advance(999) == ["close WebSocket", "ended pingTimeout"])
        #expect(script.deadline == nil)
    }

    @Test("Heartbeat: a ping that no poll was there for comes first in the next one")
    func owedPing() {
        let script = EngineScript(.polling)
        _ = script.send("a")
        #expect(script.advance(300) == [])
        #expect(script.poll() == ["answer 2|4a"])
        #expect(script.poll() == [])
        #expect(script.post("3") == [])
        #expect(script.deadline == 600)
    }

    @Test("Heartbeat: a polling session without pong is gone after interval and timeout, with a poll open or none")
    func pollingGone() {
        let silent = EngineScript(.polling)
        #expect(silent.advance(300) == [])
        #expect(silent.advance(499) == [])
        #expect(silent.advance(500) == ["ended pingTimeout"])
        #expect(silent.poll() == ["refused sessionEnded"])
        let listening = EngineScript(.polling)
        _ = listening.advance(300)
        #expect(listening.poll() == ["answer 2"])
        #expect(listening.poll() == [])
        #expect(listening.advance(500) == ["answer 1", "ended pingTimeout"])
    }

    @Test("Heartbeat: a poll that comes before the late timer is refused all the same")
    func latePoll() {
        let script = EngineScript(.polling)
        _ = script.advance(300)
        script.milliseconds = 500
        #expect(script.poll() == ["ended pingTimeout", "refused sessionEnded"])
    }

    @Test("Heartbeat: a pong that nobody asked for puts no ping off")
    func unaskedPong() {
        let script = EngineScript(.webSocket)
        script.milliseconds = 200
        #expect(script.text("3") == [])
        #expect(script.deadline == 300)
    }

    @Test("Heartbeat: a turn that comes far too late still leaves the client its time")
    func lateTurn() {
        let script = EngineScript(.webSocket)
        #expect(script.advance(10_000) == ["send 2"])
        #expect(script.deadline == 10_200)
    }

    // MARK: Upgrade

    @Test("Upgrade: probe, noop for the open poll, upgrade packet, and what waited leaves over the WebSocket")
    func upgrade() {
        let script = EngineScript(.polling)
        #expect(script.poll() == [])
        #expect(script.attach() == [])
        #expect(script.text("2probe") == ["send 3probe", "answer 6"])
        #expect(script.send("a") == [])
        #expect(script.send([9]) == [])
        #expect(script.session.transport == .polling)
        #expect(script.text("5") == ["send 4a", "send 9"])
        #expect(script.session.transport == .webSocket)
        #expect(script.session.queuedBytes == 0)
        #expect(script.text("4hello") == ["deliver hello"])
        #expect(script.send("b") == ["send 4b"])
    }

    @Test("Upgrade: before the probe a poll stays open; after it every poll comes back at once")
    func pollsWhileUpgrading() {
        let script = EngineScript(.polling)
        _ = script.attach()
        #expect(script.poll() == [])
        #expect(script.send("a") == ["answer 4a"])
        #expect(script.text("2probe") == ["send 3probe"])
        #expect(script.poll() == ["answer 6"])
        _ = script.send("b")
        #expect(script.poll() == ["answer 4b"])
        #expect(script.post("4late") == ["deliver late"])
        #expect(script.text("5") == [])
    }

    @Test("Upgrade: HTTP requests and another WebSocket are refused after it, and change nothing")
    func afterUpgrade() {
        let script = upgraded()
        #expect(script.poll() == ["refused pollingAfterUpgrade"])
        #expect(script.post("4a") == ["refused pollingAfterUpgrade"])
        #expect(script.attach() == ["refused secondWebSocket"])
        #expect(script.send("b") == ["send 4b"])
        #expect(EngineScript(.webSocket).attach() == ["refused secondWebSocket"])
        #expect(probed().attach() == ["refused secondWebSocket"])
    }

    @Test(
        "Upgrade: a WebSocket that says anything but the probe is closed, and polling goes on",
        arguments: ["2", "2probf", "2probe ", "4a", "5", "x", ""])
    func wrongProbe(_ text: String) {
        let script = EngineScript(.polling)
        _ = script.poll()
        _ = script.attach()
        #expect(script.text(text) == ["close WebSocket"])
        #expect(script.send("a") == ["answer 4a"])
        #expect(script.attach() == [])
    }

    @Test(
        "Upgrade: a WebSocket that says anything but the upgrade packet after its probe is closed",
        arguments: ["2probe", "4a", "5x", "3", ""])
    func wrongUpgrade(_ text: String) {
        let script = probed()
        #expect(script.text(text) == ["close WebSocket"])
        #expect(script.poll() == [])
        #expect(script.send("a") == ["answer 4a"])
    }

    @Test("Upgrade: a binary message during it closes the WebSocket")
    func binaryWhileUpgrading() {
        #expect(probed().binary([1]) == ["close WebSocket"])
        let attached = EngineScript(.polling)
        _ = attached.attach()
        #expect(attached.binary([1]) == ["close WebSocket"])
    }

    @Test("Upgrade: a WebSocket that is lost during it leaves polling as it was")
    func lostWhileUpgrading() {
        let script = EngineScript(.polling)
        _ = script.poll()
        _ = script.attach()
        #expect(script.webSocketLost() == [])
        #expect(script.send("a") == ["answer 4a"])
        let late = probed()
        #expect(late.webSocketLost() == [])
        #expect(late.poll() == [])
    }

    @Test("Upgrade: one that hangs is given up, before the probe and after it")
    func upgradeTimeout() {
        let script = EngineScript(.polling)
        _ = script.poll()
        _ = script.attach()
        #expect(script.deadline == 100)
        #expect(script.advance(99) == [])
        #expect(script.advance(100) == ["close WebSocket"])
        #expect(script.deadline == 300)
        _ = script.attach()
        script.milliseconds = 150
        #expect(script.text("2probe") == ["send 3probe", "answer 6"])
        #expect(script.advance(250) == ["close WebSocket"])
        #expect(script.poll() == [])
    }

    @Test("Upgrade: a ping that falls due during it is sent over whichever transport comes first")
    func pingWhileUpgrading() {
        for completes in [true, false] {
            let script = EngineScript(.polling)
            script.milliseconds = 290
            _ = script.attach()
            _ = script.text("2probe")
            #expect(script.advance(300) == [])
            _ = script.send("a")
            #expect((completes ? script.text("5") : script.poll()) == (completes ? ["send 2", "send 4a"] : ["answer 2|4a"]))
            #expect(script.deadline == (completes ? 500 : 390))
        }
    }

    // MARK: Close

    @Test("Close: the client's close packet releases its open poll with a noop")
    func closedByPollingClient() {
        let script = EngineScript(.polling)
        _ = script.poll()
        #expect(script.post("4bye|1|4never") == ["deliver bye", "answer 6", "ended closedByClient"])
        #expect(script.poll() == ["refused sessionEnded"])
    }

    @Test("Close: the client's close packet over WebSocket closes it, and a lost WebSocket ends the session")
    func closedByWebSocketClient() {
        let closed = EngineScript(.webSocket)
        #expect(closed.text("1") == ["close WebSocket", "ended closedByClient"])
        #expect(closed.webSocketLost() == [])
        #expect(upgraded().webSocketLost() == ["ended transportLost"])
    }

    @Test("Close: an end during the upgrade closes the second transport too")
    func closedWhileUpgrading() {
        let script = EngineScript(.polling)
        _ = script.poll()
        _ = script.attach()
        #expect(script.post("1") == ["answer 6", "close WebSocket", "ended closedByClient"])
        #expect(probed().post("1") == ["close WebSocket", "ended closedByClient"])
    }

    @Test("Close: the server's close leaves with the open poll, after what waits")
    func closedByServer() {
        let script = EngineScript(.polling)
        _ = script.poll()
        _ = script.send("bye", flush: false)
        #expect(script.close() == ["answer 4bye|1", "ended closedByServer"])
        #expect(script.close() == [])
        #expect(upgraded().close() == ["close WebSocket", "ended closedByServer"])
    }

    @Test("Close: without an open poll the server's close waits for the next one, but not for ever")
    func closeWaits() {
        let script = EngineScript(.polling)
        _ = script.send("bye")
        #expect(script.close() == [])
        #expect(script.send("late") == [])
        #expect(script.post("4nobody listens") == [])
        #expect(script.attach() == ["refused sessionEnded"])
        #expect(script.poll() == ["answer 4bye|1", "ended closedByServer"])
        let alone = probed()
        #expect(alone.close() == ["close WebSocket"])
        #expect(alone.deadline == 200)
        #expect(alone.advance(199) == [])
        #expect(alone.advance(200) == ["ended closedByServer"])
    }

    @Test("Close: a session that is aborted is over at once, whatever waits and wherever it stands")
    func abort() {
        let polling = EngineScript(.polling)
        _ = polling.send("waits")
        #expect(polling.abort() == ["ended closedByServer"])
        #expect(polling.session.deadline == nil && polling.session.queuedBytes == 0)
        #expect(polling.poll() == ["refused sessionEnded"])
        let open = EngineScript(.polling)
        _ = open.poll()
        #expect(open.abort() == ["answer 1", "ended closedByServer"])
        #expect(probed().abort() == ["close WebSocket", "ended closedByServer"])
        #expect(upgraded().abort() == ["close WebSocket", "ended closedByServer"])
        let closing = EngineScript(.polling)
        _ = closing.close()
        #expect(closing.session.isClosing)
        #expect(closing.abort() == ["ended closedByServer"])
        #expect(!closing.session.isClosing && closing.abort() == [])
    }

    @Test("Close: more than one payload that waits takes more than one poll")
    func closeDrains() {
        let script = EngineScript(.polling)
        for _ in 0..<10 { _ = script.send("a") }
        _ = script.close()
        #expect(script.poll() == ["answer 4a|4a|4a|4a|4a|4a|4a|4a"])
        #expect(script.poll() == ["answer 4a|4a|1", "ended closedByServer"])
    }
}
