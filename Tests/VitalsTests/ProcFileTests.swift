// ProcFileTests: files of every size that matters to the buffer, and what is no file.
import Testing

@testable import Vitals

@Suite("ProcFile")
struct ProcFileTests {
    private func bytes(_ count: Int) -> [UInt8] {
        // 251 is no divisor of the buffer's sizes: a piece in the wrong place shows.
        var bytes = (0..<251).map { UInt8($0) }
        while bytes.count < count { bytes += bytes }
        return Array(bytes.prefix(count))
    }

    private func text(_ file: ProcFile) -> [UInt8] { unsafe file.text.withUnsafeBufferPointer { unsafe Array($0) } }

    @Test(
        "A file is read whole, and one that is too long to its limit",
        arguments: [0, 1, 16_383, 16_384, 16_385, 100_000, ProcFile.bytesMax - 1, ProcFile.bytesMax, ProcFile.bytesMax + 1])
    func sizes(count: Int) throws {
        let scratch = try Scratch()
        try scratch.write("file", bytes(count))
        var file = ProcFile()
        #expect(file.read(scratch.path + "/file") == true)
        #expect(text(file) == Array(bytes(count).prefix(ProcFile.bytesMax)))
    }

    @Test("A shorter file leaves nothing of a longer one behind")
    func again() throws {
        let scratch = try Scratch()
        try scratch.write("long", bytes(50_000))
        try scratch.write("short", bytes(5))
        var file = ProcFile()
        #expect(file.read(scratch.path + "/long") == true)
        #expect(file.read(scratch.path + "/short") == true)
        #expect(text(file) == bytes(5))
    }

    @Test("What cannot be read is no text, and keeps no descriptor")
    func unreadable() throws {
        let scratch = try Scratch()
        try scratch.write("file", bytes(5))
        var file = ProcFile()
        for path in [scratch.path, scratch.path + "/none", "", scratch.path + "/file/below"] {
            #expect(file.read(scratch.path + "/file") == true)
            #expect(file.read(path) == false, "\(path)")
            #expect(text(file) == [], "\(path)")
        }
        let names = (0..<4_096).map { Scratch.target(of: "/proc/self/fd/\($0)") }
        #expect(names.filter { $0.hasPrefix(scratch.path) } == [])
    }
}
