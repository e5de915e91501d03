// FileSystemSpaceTests: df's arithmetic, and a path that is none.
import Domain
import Testing

@testable import Vitals

@Suite("FileSystemSpace")
struct FileSystemSpaceTests {
    @Test("What is kept for the superuser is neither used nor available")
    func reserve() {
        let space = FileSystemSpace.space(blocks: 1_000, free: 400, available: 350, blockBytes: 4_096)
        #expect(space == .init(total: 950 * 4_096, available: 350 * 4_096))
    }

    @Test(
        "Figures that cannot be are nothing",
        arguments: [
            (10, 11, 5, 1), (.max, 0, 1, 1), (1 << 60, 0, 0, 4_096), (1 << 60, 1 << 60, 1 << 60, 4_096), (0, 0, 0, 4_096),
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
