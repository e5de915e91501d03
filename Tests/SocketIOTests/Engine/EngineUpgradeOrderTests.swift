// Goal: whatever the moments at which polls, messages and the upgrade meet, each side gets what the other sent, all of it and in order.
import Base
import TestSupport
import Testing

@testable import SocketIO

@Suite struct EngineUpgradeOrderTests {
    /// A client that polls, upgrades and listens as the document says: it completes the upgrade once its poll has come back.
    private struct Client {
        enum Step { case polling, attached, probed, upgraded }

        var step = Step.polling
        var hasPoll = false
        var received: [String] = []
        var sent = 0

        mutating func take(_ lines: [String], _ delivered: inout [String]) {
            for line in lines {
                if line.hasPrefix("deliver ") {
                    delivered.append(String(line.dropFirst(8)))
                } else if line.hasPrefix("answer ") {
                    hasPoll = false
                    received += line.dropFirst(7).split(separator: "|").filter { $0.hasPrefix("4") }.map { String($0.dropFirst()) }
                } else if line == "send 3probe" {
                    step = .probed
                } else if line.hasPrefix("send 4") {
                    received.append(String(line.dropFirst(6)))
                } else if line == "close WebSocket" {
                    step = .polling
                } else {
                    Issue.record("unexpected: \(line)")
                }
            }
        }
    }

    @Test("Upgrade: messages in are messages out, in order, both ways", arguments: UInt64(1)...40)
    func order(_ seed: UInt64) {
        var random = Seeded(seed: seed)
        var settings = EngineScript.settings
        settings.queuedBytesMax = 1 << 20
        let script = EngineScript(.polling, settings)
        var client = Client()
        var delivered: [String] = []
        var sent = 0
        for _ in 0..<300 {
            let lines: [String]
            switch Int.random(in: 0..<8, using: &random) {
            case 0, 1, 2:
                lines = script.send("\(sent)", flush: Bool.random(using: &random))
                sent += 1
            case 3, 4:
                let first = client.sent
                client.sent += 1
                switch client.step {
                case .polling, .attached, .probed:
                    client.sent += 1
                    lines = script.post("4\(first)|4\(first + 1)")
                case .upgraded: lines = script.text("4\(first)")
                }
            case 5, 6:
                if client.step == .upgraded || client.hasPoll { continue }
                client.hasPoll = true
                lines = script.poll()
            default:
                switch client.step {
                case .polling:
                    client.step = .attached
                    lines = script.attach()
                case .attached: lines = Bool.random(using: &random) ? script.text("2probe") : script.text("4wrong")
                case .probed:
                    if client.hasPoll { continue }
                    client.step = .upgraded
                    lines = script.text("5")
                case .upgraded: continue
                }
            }
            client.take(lines, &delivered)
        }
        // What still waits is fetched.
        for _ in 0..<300 where script.session.queuedBytes > 0 {
            client.take(script.session.hasOpenPoll ? script.flush() : script.poll(), &delivered)
        }
        #expect(client.received == (0..<sent).map { "\($0)" })
        #expect(delivered == (0..<client.sent).map { "\($0)" })
        #expect(client.step == .upgraded)
        #expect(sent > 50 && client.sent > 50)
    }
}
