// The database's own face: errors by kind, damaged files, the lock of the directory, and who may read the files.
import Base
import CSQLite
import Domain
import Glibc
import Testing

@testable import Storage

struct DatabaseTests {
    @Test(
        "SQLite's numbers become kinds that a caller decides by",
        arguments: [
            (SQLITE_FULL, StorageError.full), (SQLITE_BUSY, .busy), (SQLITE_BUSY | 5 << 8, .busy), (SQLITE_LOCKED, .busy),
            (SQLITE_READONLY, .readOnly), (SQLITE_READONLY | 8 << 8, .readOnly), (SQLITE_CORRUPT, .corrupt("w")),
            (SQLITE_NOTADB, .corrupt("w")),
            (SQLITE_IOERR | 4 << 8, .failed(code: SQLITE_IOERR | 4 << 8, words: "w")),
        ])
    func kinds(_ code: Int32, _ kind: StorageError) {
        #expect(StorageError(code: code, words: "w") == kind)
    }

    @Test("every error is a sentence for a person")
    func sentences() {
        let errors: [StorageError] = [
            .inUse(directory: "/d", process: 7), .cannotOpen(path: "/d/f", errno: EACCES), .corrupt("malformed"), .foreign,
            .tooNew(found: 9, known: 1), .full, .readOnly, .busy, .failed(code: 10, words: "disk I/O error"), .backlogFull, .closed,
        ]
        let sentences = errors.map(\.description)
        #expect(sentences.allSatisfy { $0.count > 20 && $0.first?.isUppercase == false || $0.hasPrefix("/") })
        #expect(Set(sentences).count == errors.count)
        #expect(sentences[0].contains("process 7") && sentences[1].contains("Permission denied"))
    }

    @Test("a second process, or a second journal, is refused and told who has the directory; the first goes on")
    func secondHolder() throws {
        let scratch = try Scratch()
        var rig = try Rig(scratch.location)
        #expect(throws: StorageError.inUse(directory: scratch.path, process: Int(getpid()))) { _ = try Rig(scratch.location) }
        try rig.write(.submitted(image(1)))
        try rig.journal.close()
        #expect(try Rig(scratch.location).recover().live.count == 1)
    }

    @Test("a directory that cannot be made is told with its path")
    func noDirectory() throws {
        let scratch = try Scratch()
        let path = scratch.path + "/missing/data"
        #expect(throws: StorageError.cannotOpen(path: path, errno: ENOENT)) { _ = try Rig(.directory(path)) }
    }

    @Test("the directory and its files are their owner's alone")
    func permissions() throws {
        let scratch = try Scratch()
        let path = scratch.path + "/data"
        var rig = try Rig(.directory(path))
        try rig.write(.submitted(image(1)))
        func mode(_ path: String) -> UInt32 {
            var status = stat()
            return unsafe stat(path, &status) == 0 ? status.st_mode & 0o777 : 0
        }
        #expect(mode(path) == 0o700)
        for file in ["signalbox.db", "signalbox.db-wal", "signalbox.db-shm", "signalbox.lock"] {
            #expect(mode(path + "/" + file) == 0o600, "\(file)")
        }
        try rig.journal.close()
        for file in ["signalbox.db", "signalbox.lock"] { _ = unsafe unlink(path + "/" + file) }
        let removed = unsafe rmdir(path)
        #expect(removed == 0, "closing leaves no log behind")
    }

    /// Overwrites bytes of a file.
    private func overwrite(_ path: String, at offset: Int, count: Int, with byte: UInt8) {
        let file = unsafe open(path, O_WRONLY)
        let bytes = [UInt8](repeating: byte, count: count)
        let written = unsafe bytes.withUnsafeBytes { unsafe pwrite(file, $0.baseAddress, $0.count, off_t(offset)) }
        #expect(written == count)
        close(file)
    }

    private func isCorrupt(_ error: any Error) -> Bool {
        if case StorageError.corrupt = error { true } else { false }
    }

    @Test("a file whose head is overwritten is told as damaged")
    func damagedHead() throws {
        let scratch = try Scratch()
        try Rig(scratch.location).journal.close()
        overwrite(scratch.file, at: 0, count: 100, with: 0x41)
        #expect { _ = try Rig(scratch.location) } throws: { isCorrupt($0) }
    }

    @Test("a file whose pages are overwritten is told as damaged when they are read")
    func damagedPages() throws {
        let scratch = try Scratch()
        do {
            var rig = try Rig(scratch.location)
            try rig.append((1...500).map { .submitted(image($0, payload: 500)) })
            try rig.journal.close()
        }
        var status = stat()
        #expect(unsafe stat(scratch.file, &status) == 0)
        // Everything behind the table of tables.
        overwrite(scratch.file, at: 4_096 * 2, count: Int(status.st_size) - 4_096 * 2, with: 0xff)
        #expect { try Rig(scratch.location).recover() } throws: { isCorrupt($0) }
    }
}
