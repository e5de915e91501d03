// BackupCommand: `signalbox backup`: copies a data folder into a new one on which a server can be started: the database as of one moment,
// and the secret that tokens are signed with. The server that works on the folder meanwhile neither stops nor waits. Restores nothing.
import Base
import Glibc
import Storage

/// What `signalbox backup` was asked for.
private struct BackupRequest {
    var data: String
    let target: String

    init(_ arguments: ArraySlice<String>, data standard: String) throws(Mistake) {
        data = standard
        var targets: [String] = []
        var rest = arguments
        while let argument = rest.popFirst() {
            if argument == "--data", let value = rest.popFirst() {
                data = value
            } else if argument.hasPrefix("--data=") {
                data = String(argument.dropFirst(7))
            } else if argument.hasPrefix("-") {
                throw Mistake(sentence: "'\(argument)' is not understood; see signalbox backup --help")
            } else {
                targets.append(argument)
            }
        }
        guard targets.count == 1, let target = targets.first, !target.isEmpty else {
            throw Mistake(sentence: "wanted is one folder to copy into; see signalbox backup --help")
        }
        guard !data.isEmpty, !data.hasPrefix(":") else { throw Mistake(sentence: "'\(data)' is no folder: there is nothing to copy") }
        self.target = target
    }
}

/// `signalbox backup`, from its arguments to what it says.
///
/// - Returns: a line for standard output, with exit code 0; else a sentence for standard error, with code 2 where the command line is
///   wrong and 1 where the world is.
func backup(_ arguments: ArraySlice<String>, environment: (String) -> String?) -> (text: String, code: Int32) {
    if arguments.contains(where: { $0 == "--help" || $0 == "-h" }) { return (backupHelp, 0) }
    let request: BackupRequest
    do throws(Mistake) {
        request = try BackupRequest(arguments, data: environment("DATA").flatMap { $0.isEmpty ? nil : $0 } ?? "./data")
    } catch {
        return ("signalbox: \(error.sentence)\n", 2)
    }
    do throws(Mistake) {
        let bytes = try copy(request)
        return ("copied \(request.data) to \(request.target): \(bytes) bytes\n", 0)
    } catch {
        return ("signalbox: \(error.sentence)\n", 1)
    }
}

/// The copy appears under its name whole or not at all: a backup that was cut short never looks like one.
private func copy(_ request: BackupRequest) throws(Mistake) -> Int {
    var status = stat()
    guard unsafe lstat(request.target, &status) != 0 else { throw Mistake(sentence: "\(request.target) is there already") }
    var random = Randomness.system()
    let draft = "\(request.target).\(String(random.next(), radix: 16))"
    guard unsafe mkdir(draft, 0o700) == 0 else { throw failure("make", draft) }
    do throws(Mistake) {
        let bytes: Int
        do throws(StorageError) {
            bytes = try Backup.copy(from: request.data, into: draft)
        } catch {
            throw Mistake(sentence: error.description)
        }
        try SecretFile.copy(from: request.data, into: draft)
        try force(draft)
        // To nobody's place: an empty folder that came meanwhile may be replaced, anything else refuses.
        guard unsafe rename(draft, request.target) == 0 else { throw failure("make", request.target) }
        return bytes
    } catch {
        for name in [Backup.fileName, SecretFile.name] { _ = unsafe unlink("\(draft)/\(name)") }
        _ = unsafe rmdir(draft)
        throw error
    }
}

/// After a crash the folder's names must be there with the files.
private func force(_ folder: String) throws(Mistake) {
    let descriptor = unsafe open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { throw failure("open", folder) }
    defer { close(descriptor) }
    guard fsync(descriptor) == 0 else { throw failure("write", folder) }
}

private func failure(_ verb: String, _ path: String) -> Mistake {
    Mistake(sentence: "cannot \(verb) \(path): \(unsafe String(cString: strerror(errno)))")
}

private let backupHelp = """
    signalbox backup: copies what a server keeps, while it runs or while it does not.

      signalbox backup [--data DIR] TARGET

      --data DIR           the server's folder (DATA, default ./data)

    TARGET is a new folder, for its owner alone: the database as of one moment and, where there is one, the secret of the tokens. A server
    is started on it with --data TARGET. Nobody waits for the copy, and nothing but TARGET is written.

    """
