// StorageError: why something is not stored or not read back, in kinds that a caller decides by and a sentence that an operator reads.
// Not the place where anything is retried: that is the journal's caller.
import CSQLite
import Glibc

/// Why the storage cannot do what it was asked.
public enum StorageError: Error, Sendable, Equatable {
    /// Another process holds the data directory; its number, where its lock file tells it.
    case inUse(directory: String, process: Int?)
    /// The directory or its files cannot be opened: the path and the system's error number.
    case cannotOpen(path: String, errno: Int32)
    /// The file is no database, or its pages contradict each other.
    case corrupt(String)
    /// It is a database, of another program.
    case foreign
    /// It was written by a later version of this program.
    case tooNew(found: Int, known: Int)
    /// The disk, or the room that the configuration gives, is full.
    case full
    case readOnly
    /// Another process, such as an operator's shell, holds the database for longer than the wait.
    case busy
    /// Reading or writing failed: SQLite's number and words.
    case failed(code: Int32, words: String)
    /// More waits to be written or read than may wait.
    case backlogFull
    /// The journal was closed.
    case closed
    /// Something that was appended before has failed, and has to come first.
    case outdated

    /// - Parameter code: SQLite's extended result code.
    init(code: Int32, words: String) {
        switch code & 0xff {
        case SQLITE_CORRUPT, SQLITE_NOTADB: self = .corrupt(words)
        case SQLITE_FULL: self = .full
        case SQLITE_READONLY: self = .readOnly
        case SQLITE_BUSY, SQLITE_LOCKED: self = .busy
        default: self = .failed(code: code, words: words)
        }
    }
}

extension StorageError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .inUse(let directory, let process):
            let holder = process.map { "process \($0)" } ?? "another process"
            return "the data directory \(directory) is in use by \(holder); stop it, or choose another directory"
        case .cannotOpen(let path, let code):
            return "\(path) cannot be opened: \(StorageError.words(of: code))"
        case .corrupt(let words):
            return "the database is damaged (\(words)); move it away to start with an empty one, or restore a copy"
        case .foreign:
            return "the database file belongs to another program; choose another data directory"
        case .tooNew(let found, let known):
            return "the database has version \(found), and this program knows versions up to \(known); use a newer program"
        case .full:
            return "the disk is full, or the database has reached its configured size"
        case .readOnly:
            return "the database may only be read; check the owner and the permissions of the data directory and its files"
        case .busy:
            return "another process holds the database; close the shell or the backup that does"
        case .failed(let code, let words):
            return "the database failed: \(words) (SQLite \(code))"
        case .backlogFull:
            return "more waits for the database than may wait: the disk is too slow for what comes in"
        case .closed:
            return "the database is closed"
        case .outdated:
            return "what was to be written before it has failed"
        }
    }

    private static func words(of code: Int32) -> String {
        var text = [CChar](repeating: 0, count: 128)
        let size = text.count
        unsafe text.withUnsafeMutableBufferPointer { buffer in
            if let start = buffer.baseAddress { _ = unsafe strerror_r(code, start, size) }
        }
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
