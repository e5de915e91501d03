// Goal: an idle WebSocket is small, what it needs for a while is there as long as it is needed, and no longer.
import Base
import Domain
import Glibc
import TestSupport
import Testing
import WebSockets

@testable import Gateway

@Suite("Burden")
struct BurdenTests {
    /// What the allocator set aside for an object; malloc.h is in no module.
    private func bytes(of object: AnyObject) throws -> Int {
        typealias Size = @convention(c) (UnsafeMutableRawPointer?) -> Int
        guard let symbol = unsafe dlsym(nil, "malloc_usable_size") else { throw Missing() }
        return unsafe unsafeBitCast(symbol, to: Size.self)(unsafe Unmanaged.passUnretained(object).toOpaque())
    }

    private func conversation(_ stage: Stage, _ name: String) throws -> WebSocketConversation {
        guard case .webSocket(let conversation) = stage.network.server.context.conversation(stage.link(name).id) else {
            throw Missing()
        }
        return conversation
    }

    private struct Missing: Error {}

    @Test("one that is idle is an object of some hundred bytes, and nothing besides")
    func idle() throws {
        let stage = Stage(.whole, Settings(echoPath: SharedBytes("/echo")))
        stage.play("""
            a upgrades /echo
            a > hello
            a < hello
            a sends ping
            a < pong
            """)
        let one = try conversation(stage, "a")
        #expect(one.burden == nil)
        #expect(try bytes(of: one) <= 104)
        #expect(one.principal.user == nil && MemoryLayout<Principal>.size == 8)
    }

    @Test("a message in pieces is carried until it is whole, and nothing is left of it once the connection is looked at")
    func unfinished() throws {
        var settings = Settings(echoPath: SharedBytes("/echo"))
        settings.limits.pingInterval = .seconds(10)
        let stage = Stage(.whole, settings)
        stage.play("""
            a upgrades /echo
            a sends begin abc
            """)
        let one = try conversation(stage, "a")
        #expect(one.burden?.inputCounted == 3 && one.socket.pendingBytes == 3)
        stage.play("""
            a sends finish de
            a < abcde
            * wait 6s
            a > x
            a < x
            * wait 5s
            """)
        #expect(one.burden == nil && one.socket.pendingBytes == 0)
    }

    @Test("what is carried is kept, whichever it is")
    func kept() {
        let carrying: [(Burden) -> Void] = [
            { $0.leftover.append(SharedBytes("x").span) }, { $0.inputCounted = 1 }, { $0.messageNotedAt = 1 }, { _ = $0.reserve(bytes: 1) },
            { $0.backlog = Backlog(logBytesMax: 1) }, { $0.lines = [SharedBytes("x")] }, { $0.queuedBytes = 1 },
        ]
        for carry in carrying {
            let one = WebSocketConversation(
                id: ConnectionID(slot: 0, generation: 1), role: .echo, principal: .anonymous, deflate: nil, at: Instant(nanoseconds: 0))
            one.unburden()
            #expect(one.burden == nil)
            carry(one.carry())
            one.unburden()
            #expect(one.burden != nil)
        }
    }
}
