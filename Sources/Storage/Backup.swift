// Backup: a copy of the database, of one moment, taken while a server writes to it. A reader beside the journal's writer, in a process of
// its own: it takes no hold of the directory, and nobody waits for it. Not the folder around the copy, and not what becomes of it.
//
// Cost: everything is read and written once, without what removed rows left behind; the write-ahead log grows for as long as that takes.
import Base
import Glibc

public enum Backup {
    /// The database's file, in a data directory and in a copy of one.
    public static var fileName: String { Store.fileName }

    /// Copies the database of `directory` into the directory `target`, which is there and has none. The copy is whole and on the disk when
    /// this returns; of one that fails nothing is left.
    ///
    /// - Returns: the copy's size in bytes.
    public static func copy(from directory: String, into target: String) throws(StorageError) -> Int {
        var database = try Database(directory + "/" + fileName, mayCreate: false)
        database.setBusyTimeout(milliseconds: Int(StorageSettings().busyTimeout.milliseconds))
        // Whose file it is; one that is empty is nobody's.
        guard try Schema.current.version(of: &database) > 0 else { throw .foreign }
        let path = target + "/" + fileName
        // Made here and not by SQLite, so that only its owner may read it. SQLite fills an empty file, and no other.
        let file = unsafe open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw .cannotOpen(path: path, errno: errno) }
        defer { close(file) }
        do throws(StorageError) {
            // Bytes of a path are text to SQLite; one that begins with a colon would be none of a file.
            try database.run(.copyInto) { $0.add(path: path.hasPrefix("/") ? path : "./" + path) }
            // SQLite forces nothing of it to the disk.
            guard fsync(file) == 0 else { throw .cannotOpen(path: path, errno: errno) }
            var status = stat()
            guard unsafe fstat(file, &status) == 0 else { throw .cannotOpen(path: path, errno: errno) }
            return Int(status.st_size)
        } catch {
            _ = unsafe unlink(path)
            throw error
        }
    }
}
