// Goal: one successor at a time gets the sockets; until it has said go, or after it has gone, the host serves on; garbage harms nobody.
import Base
import Reactor
import Testing

@testable import signalbox

/// A loop that is turned by hand, with a door, and what the door told.
private final class House: LoopHost {
    let folder: Folder
    let loop: EventLoop
    private(set) var door: TakeoverDoor?
    var told: [TakeoverDoor.Turn] = []
    var isServing = true
    var now = SystemClock.now()
    var path: String { folder.path + "/door" }

    init() throws {
        folder = try Folder()
        loop = try EventLoop(outbox: Outbox(), settings: EventLoop.Settings())
        let bound = try loop.listen(on: SocketAddress("127.0.0.1:0"))
        let log = Log(level: .error, format: .text) { _ in }
        door = try TakeoverDoor(
            PassingSocket.listening(at: path), loop: loop, version: "9.9", wanted: [bound: "127.0.0.1:0"], log: log)
    }

    func attended(_ raw: Int32, at now: Instant) {
        guard let turn = door?.attended(raw, isServing: isServing, at: self.now) else { return }
        if turn != .none { told.append(turn) }
    }

    /// Turns the loop until nothing happens any more.
    func settle() throws {
        repeat { try loop.turn(self, waitingAtMost: .zero) } while loop.lastTurn.events > 0
    }

    func say(_ text: String, from peer: PassingSocket) throws -> PassingSocket.Reception {
        _ = peer.send(text)
        try settle()
        return peer.receive()
    }

    /// A successor that has the sockets.
    func offered() throws -> PassingSocket {
        let peer = try #require(try PassingSocket.connected(to: path))
        guard case .message(let text, let passed) = try say(TakeoverWords.hello(version: "1").text, from: peer) else {
            throw Mistake(sentence: "there was no offer")
        }
        #expect(TakeoverWords(text) == .offer(version: "9.9", [.init(wanted: "127.0.0.1:0", ownsFile: false)]))
        #expect(passed.count == 2)
        #expect(try EventLoop.addressOfListener(passed[1]) == loop.openListeners[0].address)
        passed.forEach(PassingSocket.close)
        return peer
    }

    func refused(_ peer: PassingSocket, _ reason: String) {
        #expect(peer.receive() == .message(TakeoverWords.refused(reason).text, []))
        #expect(peer.receive() == .ended)
    }

    func opened(_ id: ConnectionID, from peer: PeerAddress, at now: Instant) {}
    func received(_ id: ConnectionID, _ bytes: inout MutableSpan<UInt8>, at now: Instant) {}
    func closed(_ id: ConnectionID, _ cause: CloseCause, at now: Instant) {}
    func completionsArrived(at now: Instant) {}
    var nextDeadline: Instant? { nil }
    func timersDue(at now: Instant) {}
    func turnBegan(at now: Instant) {}
    func signalled(_ signal: Int32, at now: Instant) {}
    func turnEnded(at now: Instant, lastTurn: TurnFigures) {}
    func roomCame(at now: Instant) {}
}

struct TakeoverDoorTests {
    @Test("hello, offer, go, yours; and the door is closed here, but not for those who come later")
    func whole() throws {
        let house = try House()
        let peer = try house.offered()
        #expect(house.told == [])
        #expect(try house.say(TakeoverWords.go.text, from: peer) == .nothing)
        #expect(house.told == [.giveWay])
        #expect(house.door?.sayYours() == true)
        #expect(peer.receive() == .message(TakeoverWords.yours.text, []))
        // It is over: whatever becomes of the successor now is not this process's affair.
        #expect(try house.say("more", from: peer) == .nothing)
        #expect(house.told == [.giveWay] && house.door?.sayYours() == false)
        try house.settle()
        #expect(house.told == [.giveWay])
    }

    @Test("a successor that leaves before it said go changes nothing, and makes room for the next", arguments: ["knocked", "offered"])
    func early(_ stage: String) throws {
        let house = try House()
        do {
            let peer = stage == "knocked" ? try #require(try PassingSocket.connected(to: house.path)) : try house.offered()
            try house.settle()
            _ = peer.raw
        }
        try house.settle()
        _ = try house.offered()
        #expect(house.told == [])
    }

    @Test("a successor that leaves behind its go lets the host serve on, and makes room for the next")
    func late() throws {
        let house = try House()
        do {
            let peer = try house.offered()
            _ = try house.say(TakeoverWords.go.text, from: peer)
        }
        try house.settle()
        #expect(house.told == [.giveWay, .serveOn])
        _ = try house.offered()
    }

    @Test("one at a time")
    func busy() throws {
        let house = try House()
        let first = try house.offered()
        let second = try #require(try PassingSocket.connected(to: house.path))
        try house.settle()
        house.refused(second, "another process is taking over")
        _ = try house.say(TakeoverWords.go.text, from: first)
        #expect(house.told == [.giveWay])
    }

    @Test(
        "what is not understood is refused, and nothing is passed",
        arguments: ["", "garbage", "signalbox-takeover-0\nhello 1", TakeoverWords.go.text, TakeoverWords.yours.text, "\u{0}\u{1}\u{2}"])
    func garbage(_ text: String) throws {
        let house = try House()
        let peer = try #require(try PassingSocket.connected(to: house.path))
        switch try house.say(text, from: peer) {
        case .message(let words, let passed):
            #expect(passed == [] && TakeoverWords(words) == .refused("what was said is not understood"))
        case .ended: break
        case .nothing, .failed: #expect(Bool(false), "neither an answer nor an end")
        }
        _ = try house.offered()
        #expect(house.told == [])
    }

    @Test("a successor that says nothing has its time, and then there is room for another", arguments: [false, true])
    func slow(isOffered: Bool) throws {
        let house = try House()
        let peer = isOffered ? try house.offered() : try #require(try PassingSocket.connected(to: house.path))
        try house.settle()
        let deadline = try #require(house.door?.nextDeadline)
        house.door?.timersDue(at: deadline + .milliseconds(-1))
        #expect(peer.receive() == .nothing)
        house.door?.timersDue(at: deadline)
        house.refused(peer, "that took too long")
        #expect(house.door?.nextDeadline == nil && house.told == [])
        _ = try house.offered()
    }

    @Test("a host that stops lets nobody in, and who has the sockets waits for its end")
    func stopping() throws {
        let house = try House()
        let peer = try house.offered()
        house.isServing = false
        house.door?.close()
        #expect(try house.say(TakeoverWords.go.text, from: peer) == .nothing)
        #expect(house.told == [])
        #expect(try PassingSocket.connected(to: house.path) == nil)
        let other = try House()
        other.isServing = false
        let late = try #require(try PassingSocket.connected(to: other.path))
        try other.settle()
        other.refused(late, "the server is stopping")
    }

    @Test("a host that cannot give way says so")
    func refusing() throws {
        let house = try House()
        let peer = try house.offered()
        _ = try house.say(TakeoverWords.go.text, from: peer)
        house.door?.refuse("the disk is full")
        house.refused(peer, "the disk is full")
        _ = try house.offered()
    }
}

struct InheritanceTests {
    @Test("nobody there is nothing to inherit; a place for all, or a stranger's words, are refused")
    func nothing() throws {
        let folder = try Folder()
        let path = folder.path + "/door"
        #expect(try Inheritance.claim(at: path, version: "1") == nil)
        do throws(Mistake) {
            _ = try Inheritance.claim(at: "/tmp/door", version: "1")
            #expect(Bool(false), "anybody may write there")
        } catch {
            #expect(error.sentence.contains("anybody may write"))
        }
        // What a crash leaves behind.
        do {
            let door = try PassingSocket.listening(at: path)
            door.leaveFile()
        }
        #expect(try Inheritance.claim(at: path, version: "1") == nil)
    }
}
