// FileSystemSpaceTests: df's arithmetic, and a path that is none.
import Domain
import Testing

@testable import Vitals

@Suite("FileSystemSpace")
struct FileSystemSpaceTests {
    @Test("What is kept for the superuser is neither used nor available")
    func reserve() {
        let space = FileSystemSpace.space(blocks: 1_000, free: 400, available: 350, blockBytes: 4_096)
        let expected = ResourceSample.Space(total: 4_096_000, available: 1_433_600, used: 2_457_600)
        #expect(space == expected)
        // 600 of 950 blocks.
        let rounded = Int((space.usage * 100).rounded())
        #expect(rounded == 6_316)
    }

    @Test(
        "Figures that cannot be are nothing",
        arguments: [
            (10, 11, 5, 1), (10, 5, 11, 1), (1 << 60, 0, 0, 4_096), (1 << 60, 1 << 60, 1 << 60, 4_096), (0, 0, 0, 4_096),
        ] as [(UInt64, UInt64, UInt64, UInt64)])
    func impossible(blocks: UInt64, free: UInt64, available: UInt64, blockBytes: UInt64) {
        let space = FileSystemSpace.space(blocks: blocks, free: free, available: available, blockBytes: blockBytes)
        #expect(space == .init(total: 0, available: 0))
    }

    @Test("A folder's file system has room; a path that is none has not")
    func paths() throws {
        let scratch = try Scratch()
        let space = FileSystemSpace.space(at: scratch.path)
        #expect(space.total > 0)
        #expect(space.available <= space.total)
        #expect(FileSystemSpace.space(at: scratch.path + "/none") == .init(total: 0, available: 0))
    }
}
