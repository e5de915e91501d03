// DirectoryLock: the data directory belongs to one process. A lock file with an flock on it, which the kernel lets go of when the process
// ends, however it ends; the number in the file is for people only.
import Glibc

/// The hold on a data directory, for as long as this value lives.
struct DirectoryLock: ~Copyable {
    private let descriptor: Int32

    static let fileName = "signalbox.lock"

    /// Makes the directory where it is missing, and takes hold of it.
    init(_ directory: String) throws(StorageError) {
        // What is stored is its owner's alone: payloads, results and the key that signs tokens.
        if unsafe mkdir(directory, 0o700) != 0, errno != EEXIST { throw .cannotOpen(path: directory, errno: errno) }
        let path = directory + "/" + DirectoryLock.fileName
        let opened = unsafe open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard opened >= 0 else { throw .cannotOpen(path: path, errno: errno) }
        guard flock(opened, LOCK_EX | LOCK_NB) == 0 else {
            let code = errno
            let holder = code == EWOULDBLOCK ? DirectoryLock.number(in: opened) : nil
            close(opened)
            throw code == EWOULDBLOCK ? .inUse(directory: directory, process: holder) : .cannotOpen(path: path, errno: code)
        }
        descriptor = opened
        _ = ftruncate(opened, 0)
        let line = Array("\(getpid())\n".utf8)
        // Should this fail, the lock holds all the same.
        _ = unsafe line.withUnsafeBytes { unsafe pwrite(opened, $0.baseAddress, $0.count, 0) }
    }

    deinit {
        // A child that was forked a moment ago has the descriptor too, until it becomes another program: closing ours would not do.
        flock(descriptor, LOCK_UN)
        close(descriptor)
    }

    private static func number(in descriptor: Int32) -> Int? {
        var bytes = [UInt8](repeating: 0, count: 20)
        let count = unsafe bytes.withUnsafeMutableBytes { unsafe pread(descriptor, $0.baseAddress, $0.count, 0) }
        return Int(String(decoding: bytes.prefix(max(count, 0)).prefix { $0 > 0x20 }, as: UTF8.self))
    }
}
