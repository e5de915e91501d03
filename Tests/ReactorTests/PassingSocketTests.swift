// Goal: descriptors and whole messages go from one end to the other, the door is its owner's alone, and what was left behind is no door.
import CLinux
import Glibc
import Testing

@testable import Reactor

struct PassingSocketTests {
    /// A door and both ends of one connection.
    private func pair(_ name: String) throws -> (door: PassingSocket, here: PassingSocket, there: PassingSocket) {
        let path = socketPath(name)
        let door = try PassingSocket.listening(at: path)
        let there = try #require(try PassingSocket.connected(to: path))
        return (door, try #require(door.accept()), there)
    }

    private func mode(_ path: String) -> mode_t? {
        var status = stat()
        return unsafe lstat(path, &status) == 0 ? status.st_mode : nil
    }

    @Test("messages keep their borders, and come in their order")
    func messages() throws {
        let (door, here, there) = try pair("messages")
        #expect(here.receive() == .nothing)
        #expect(there.send("one") && there.send("two\nlines") && there.send(String(repeating: "x", count: PassingSocket.messageBytesMax)))
        #expect(here.receive() == .message("one", []))
        #expect(here.receive() == .message("two\nlines", []))
        guard case .message(let long, []) = here.receive() else { return #expect(Bool(false), "no long message") }
        #expect(long.utf8.count == PassingSocket.messageBytesMax)
        #expect(here.receive() == .nothing && !here.wait(atMost: 0))
        #expect(here.send("back") && there.wait(atMost: 10_000))
        #expect(there.receive() == .message("back", []))
        #expect(door.accept() == nil)
    }

    @Test("a descriptor that was passed is the same open file, and does not outlive an exec")
    func descriptors() throws {
        let (_, here, there) = try pair("descriptors")
        var pipes: [Int32] = [-1, -1]
        try #require(unsafe pipe(&pipes) == 0)
        #expect(there.send("a pipe", pipes))
        PassingSocket.close(pipes[0])
        PassingSocket.close(pipes[1])
        guard case .message("a pipe", let passed) = here.receive(), passed.count == 2 else { return #expect(Bool(false), "no pipe") }
        #expect(passed.allSatisfy { fcntl($0, F_GETFD) == FD_CLOEXEC })
        #expect(unsafe write(passed[1], "hello", 5) == 5)
        var bytes = [UInt8](repeating: 0, count: 8)
        #expect(unsafe read(passed[0], &bytes, 8) == 5 && bytes.prefix(5).elementsEqual("hello".utf8))
        passed.forEach(PassingSocket.close)
    }

    @Test("as many descriptors as may be go beside one message")
    func many() throws {
        let (_, here, there) = try pair("many")
        let null = unsafe open("/dev/null", O_RDONLY | O_CLOEXEC)
        #expect(there.send("all", Array(repeating: null, count: PassingSocket.descriptorsMax)))
        guard case .message("all", let passed) = here.receive() else { return #expect(Bool(false), "they did not come") }
        #expect(passed.count == PassingSocket.descriptorsMax && Set(passed).count == passed.count)
        passed.forEach(PassingSocket.close)
        PassingSocket.close(null)
    }

    @Test("what is too long is no message, and no descriptor of it stays open")
    func tooLong() throws {
        let (_, here, there) = try pair("long")
        let null = unsafe open("/dev/null", O_RDONLY | O_CLOEXEC)
        #expect(there.send(String(repeating: "x", count: PassingSocket.messageBytesMax + 1), [null]))
        #expect(here.receive() == .failed)
        // The next free number is the one that was passed a moment ago.
        #expect(there.send("next", [null]))
        guard case .message("next", let first) = here.receive() else { return #expect(Bool(false), "nothing came") }
        first.forEach(PassingSocket.close)
        PassingSocket.close(null)
    }

    @Test("the end of the other side is heard, behind what it said")
    func end() throws {
        let path = socketPath("end")
        let door = try PassingSocket.listening(at: path)
        var there = try PassingSocket.connected(to: path)
        let here = try #require(door.accept())
        #expect(there?.send("last") == true)
        there = nil
        #expect(here.receive() == .message("last", []))
        #expect(here.receive() == .ended)
        #expect(!here.send("nobody"))
    }

    @Test("the door's file is its owner's alone, whatever the umask, and goes with it unless it is left to another")
    func file() throws {
        let path = socketPath("file")
        do {
            let door = try PassingSocket.listening(at: path)
            #expect(mode(path) == S_IFSOCK | 0o600)
            #expect(throws: Errno(EADDRINUSE, in: "bind")) { _ = try PassingSocket.listening(at: path) }
            _ = door.raw
        }
        #expect(mode(path) == nil)
        do {
            let door = try PassingSocket.listening(at: path)
            door.leaveFile()
        }
        #expect(mode(path) != nil)
        // Nobody is behind it: it is no door, and makes room for one.
        #expect(try PassingSocket.connected(to: path) == nil)
        do {
            let heir = try PassingSocket.listening(at: path)
            _ = heir.raw
        }
        #expect(mode(path) == nil)
        #expect(try PassingSocket.connected(to: path) == nil)
    }

    @Test("a door that was passed goes on letting in those who knocked before")
    func passedDoor() throws {
        let path = socketPath("passed")
        let door = try PassingSocket.listening(at: path)
        let (_, here, there) = try pair("carrier")
        #expect(there.send("door", [door.raw]))
        let early = try #require(try PassingSocket.connected(to: path))
        guard case .message(_, let passed) = here.receive(), let raw = passed.first else { return #expect(Bool(false), "no door") }
        let heir = PassingSocket.adopting(raw)
        heir.ownFile(path)
        door.leaveFile()
        let end = try #require(heir.accept())
        #expect(early.send("hello") && end.receive() == .message("hello", []))
    }

    @Test("both ends are of our user; a file of another kind, or a folder for all, is no place for a door")
    func places() throws {
        let (_, here, there) = try pair("user")
        #expect(here.isOfOurUser && there.isOfOurUser)
        let path = socketPath("plain")
        PassingSocket.close(unsafe open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0o600))
        #expect(throws: Errno.self) { _ = try PassingSocket.listening(at: path) }
        _ = unsafe unlink(path)
        #expect(PassingSocket.isOpenToAll("/tmp/door") && !PassingSocket.isOpenToAll("/etc/door") && !PassingSocket.isOpenToAll("/door"))
    }
}
