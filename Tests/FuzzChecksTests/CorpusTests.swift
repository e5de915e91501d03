// The corpora of the fuzzers, file by file, through the same checks: what a fuzzer has found once is not lost again. A check that finds
// something ends the process; `make fuzz CODEC=…` begins with the same files and names the one.
import Foundation
import FuzzChecks
import Testing

/// A folder of inputs, in the order of their names.
private enum Corpus {
    static let filesMax = 100
    static let bytesMax = 64 << 10

    static func files(_ codec: Codec) throws -> [[UInt8]] {
        let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        let folder = tests.appendingPathComponent("Fuzzers/Corpus/\(codec.rawValue)")
        let names = try FileManager.default.contentsOfDirectory(atPath: folder.path).filter { !$0.hasPrefix(".") }
        return try names.sorted().map { Array(try Data(contentsOf: folder.appendingPathComponent($0))) }
    }
}

@Suite struct CorpusTests {
    @Test("every kept input passes its check, whole and cut otherwise", arguments: Codec.sound)
    func replay(_ codec: Codec) throws {
        for bytes in try Corpus.files(codec) {
            codec.check(bytes)
            // Whole, byte by byte, and in pieces.
            for step in [0, 1, 7] as [UInt8] where codec.isIncremental {
                codec.check([(bytes.first ?? 0) & 0xf0 | step] + bytes.dropFirst())
            }
        }
    }

    @Test("a corpus is small", arguments: Codec.sound)
    func size(_ codec: Codec) throws {
        let files = try Corpus.files(codec)
        #expect(!files.isEmpty && files.count <= Corpus.filesMax)
        #expect(files.reduce(0) { $0 + $1.count } <= Corpus.bytesMax)
    }

    @Test("a check that finds something ends the process")
    func canary() async {
        await #expect(processExitsWith: .failure) { Codec.canary.check(Array("?GAS".utf8)) }
        Codec.canary.check(Array("?GAX".utf8))
    }
}
