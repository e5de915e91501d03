// FileSystemSpace: how full a file system is, as df tells it: what is kept for the superuser is neither used nor available.
import Domain
import Glibc

enum FileSystemSpace {
    /// The file system that `path` lies in; nothing where it cannot be asked.
    static func space(at path: String) -> ResourceSample.Space {
        var answer = statvfs()
        while unsafe statvfs(path, &answer) != 0 {
            if errno != EINTR { return ResourceSample.Space(total: 0, available: 0) }
        }
        return space(
            blocks: UInt64(answer.f_blocks), free: UInt64(answer.f_bfree), available: UInt64(answer.f_bavail),
            blockBytes: UInt64(answer.f_frsize))
    }

    /// The figures of statvfs(3), in blocks. More free blocks than there are, or more than 64 bits hold, are nothing.
    static func space(blocks: UInt64, free: UInt64, available: UInt64, blockBytes: UInt64) -> ResourceSample.Space {
        let nothing = ResourceSample.Space(total: 0, available: 0)
        let (used, isNegative) = blocks.subtractingReportingOverflow(free)
        let (total, isTooLarge) = blocks.multipliedReportingOverflow(by: blockBytes)
        if isNegative || isTooLarge || available > blocks { return nothing }
        // Not more than the total, and so within 64 bits as well.
        return ResourceSample.Space(total: total, available: available * blockBytes, used: used * blockBytes)
    }
}
