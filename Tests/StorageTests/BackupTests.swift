// Copies of a database in use: whole, of one moment, for their owner alone; and what is no database of ours is not copied.
import Base
import Domain
import Glibc
import Testing

@testable import Storage

struct BackupTests {
    private func reopened<Value>(_ target: Scratch, _ look: (Store) throws -> Value) throws -> Value {
        try look(Store(target.location, StorageSettings()))
    }

    @Test("what was committed is in the copy, what comes after is not, and the one who writes goes on")
    func moment() throws {
        let source = try Scratch()
        let target = try Scratch()
        var rig = try Rig(source.location)
        try rig.write(.submitted(image(1)))
        let bytes = try Backup.copy(from: source.path, into: target.path)
        try rig.write(.submitted(image(2)))
        #expect(bytes == Scratch.size(of: target.file) && bytes > 0)
        #expect(try reopened(target) { $0.counts.active } == 1)
        try rig.journal.close()
        #expect(try reopened(source) { $0.counts.active } == 2)
    }

    @Test("the copy is its owner's alone, and takes nobody's place")
    func permissions() throws {
        let source = try Scratch()
        let target = try Scratch()
        let rig = try Rig(source.location)
        _ = try Backup.copy(from: source.path, into: target.path)
        var status = stat()
        #expect(unsafe stat(target.file, &status) == 0)
        #expect(status.st_mode & 0o777 == 0o600)
        #expect(throws: StorageError.cannotOpen(path: target.file, errno: EEXIST)) {
            _ = try Backup.copy(from: source.path, into: target.path)
        }
        #expect(try reopened(target) { $0.counts.total } == 0)
        try rig.journal.close()
    }

    @Test("a folder without a database, and a database of somebody else, are not copied, and nothing is left of the attempt")
    func foreign() throws {
        let source = try Scratch()
        let target = try Scratch()
        #expect(throws: StorageError.cannotOpen(path: source.file, errno: ENOENT)) {
            _ = try Backup.copy(from: source.path, into: target.path)
        }
        #expect(Scratch.size(of: source.file) == nil)
        do {
            var other = try Database(source.file)
            try other.execute("CREATE TABLE t (a)")
        }
        #expect(throws: StorageError.foreign) { _ = try Backup.copy(from: source.path, into: target.path) }
        #expect(Scratch.size(of: target.file) == nil)
    }
}
