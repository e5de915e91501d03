// SecretFile: the secret that tokens are signed and checked with: given by the operator, or made on first use and kept beside the data,
// for its owner's eyes only. The file holds the secret as text, so that a copy of the text in JWT_SECRET is the same secret elsewhere.
import Base
import Crypto
import Dialects
import Glibc

enum SecretFile {
    /// The file's name in the data folder.
    static let name = "jwt-secret"

    /// The secret of this server: what `file` holds, else the environment's `JWT_SECRET`, else the one kept in the folder `data`, which
    /// is made there when there is none. Several processes may ask at once: all get the same.
    ///
    /// - Parameter data: a folder; made, for its owner alone, when its parent exists and it does not.
    static func secret(file: String?, environment: (String) -> String?, data: String) throws(Mistake) -> TokenSecret {
        if let file {
            guard let secret = try read(file, followingLinks: true) else { throw Mistake(sentence: "there is no file \(file)") }
            return secret
        }
        if let text = environment("JWT_SECRET"), !text.isEmpty { return try secret(SharedBytes(text), from: "JWT_SECRET") }
        guard !data.isEmpty, !data.hasPrefix(":") else {
            throw Mistake(sentence: "'\(data)' is no folder to keep a secret in: set JWT_SECRET")
        }
        let path = "\(data)/\(name)"
        if let secret = try read(path, followingLinks: false) { return secret }
        try make(path, in: data)
        guard let secret = try read(path, followingLinks: false) else { throw Mistake(sentence: "\(path) vanished as it was made") }
        return secret
    }

    /// Copies the secret that is kept in one folder into another, which has none; nothing where the first has none. Whose it is does not
    /// matter here: root copies what belongs to a service, and nothing is signed with it.
    static func copy(from data: String, into folder: String) throws(Mistake) {
        guard let text = try text("\(data)/\(name)", followingLinks: false, ofAnybody: true) else { return }
        try write(text, to: "\(folder)/\(name)")
    }

    /// A secret that nobody has had before, for a server that keeps nothing.
    static func fresh() throws(Mistake) -> TokenSecret { try secret(freshText(), from: "a new secret") }

    // MARK: Reading

    /// The secret in a file; nil where there is no file.
    private static func read(_ path: String, followingLinks: Bool) throws(Mistake) -> TokenSecret? {
        guard let text = try text(path, followingLinks: followingLinks) else { return nil }
        return try secret(text, from: path)
    }

    /// What stands in a file that is its owner's alone; nil where there is no file.
    ///
    /// - Parameter ofAnybody: whether it may be another user's.
    private static func text(_ path: String, followingLinks: Bool, ofAnybody: Bool = false) throws(Mistake) -> SharedBytes? {
        // Not to wait for the other end, should it be a pipe.
        let flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | (followingLinks ? 0 : O_NOFOLLOW)
        let descriptor = unsafe open(path, flags)
        guard descriptor >= 0 else {
            let code = errno
            if code == ENOENT { return nil }
            throw failure("read", path, code == ELOOP ? "it is a symbolic link" : words(code))
        }
        let file = OpenFile(owning: descriptor)
        var status = stat()
        guard unsafe fstat(file.descriptor, &status) == 0 else { throw failure("read", path, words(errno)) }
        guard status.st_mode & S_IFMT == S_IFREG else { throw failure("read", path, "it is no ordinary file") }
        guard status.st_mode & 0o077 == 0 else {
            throw Mistake(sentence: "\(path) is open to others than its owner, and with it every token: chmod 600 \(path)")
        }
        guard ofAnybody || status.st_uid == geteuid() || status.st_uid == 0 else {
            throw Mistake(sentence: "\(path) belongs to another user, who could sign any token")
        }
        var bytes = ByteWriter(capacity: TokenSecret.bytesMax)
        try read(file.descriptor, path, into: &bytes)
        // Editors end a file with a line feed; nobody means it.
        var end = bytes.count
        while end > 0, [0x20, 0x09, 0x0a, 0x0d].contains(bytes.span[end - 1]) { end -= 1 }
        bytes.truncate(to: end)
        return bytes.seal()
    }

    private static func read(_ descriptor: Int32, _ path: String, into bytes: inout ByteWriter) throws(Mistake) {
        var piece = [UInt8](repeating: 0, count: 1_024)
        while bytes.count <= TokenSecret.bytesMax {
            let count = unsafe Glibc.read(descriptor, &piece, piece.count)
            if count < 0 {
                if errno == EINTR { continue }
                throw failure("read", path, words(errno))
            }
            if count == 0 { return }
            bytes.append(piece.span.extracting(0..<count))
        }
    }

    private static func secret(_ bytes: SharedBytes, from place: String) throws(Mistake) -> TokenSecret {
        do throws(TokenSecretError) {
            return try TokenSecret(bytes)
        } catch {
            switch error {
            case .tooShort(let count):
                throw Mistake(sentence: "\(place): a secret of \(count) bytes can be guessed; wanted are \(TokenSecret.bytesMin) or more")
            case .tooLong: throw Mistake(sentence: "\(place): a secret has at most \(TokenSecret.bytesMax) bytes")
            case .isPEM: throw Mistake(sentence: "\(place): this is a PEM text, not a secret; public keys go into JWT_PUBLIC_KEY")
            }
        }
    }

    // MARK: Making

    private static func freshText() -> SharedBytes {
        var random = InlineArray<32, UInt8>(repeating: 0)
        var bytes = random.mutableSpan
        RandomBytes.fill(&bytes)
        var text = ByteWriter(capacity: 48)
        Base64.encode(random.span, .urlSafe, into: &text)
        return text.seal()
    }

    /// Makes the file, and its folder, unless somebody else does meanwhile.
    private static func make(_ path: String, in folder: String) throws(Mistake) {
        if unsafe mkdir(folder, 0o700) != 0, errno != EEXIST { throw failure("make", folder, words(errno)) }
        try write(freshText(), to: path)
    }

    /// Makes the file, unless it is there. It appears under its name with all its bytes or not at all: they are written
    /// under another name, and a link, unlike a rename, takes no other's place.
    private static func write(_ text: SharedBytes, to path: String) throws(Mistake) {
        var random = Randomness.system()
        let draft = "\(path).\(String(random.next(), radix: 16))"
        let descriptor = unsafe open(draft, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw failure("make", path, words(errno)) }
        defer { _ = unsafe unlink(draft) }
        let file = OpenFile(owning: descriptor)
        let written = unsafe text.span.withUnsafeBytes { unsafe Glibc.write(file.descriptor, $0.baseAddress, $0.count) }
        guard written == text.count else { throw failure("write", path, written < 0 ? words(errno) : "the disk is full") }
        // After a crash the name must not stand for an empty file.
        guard fsync(file.descriptor) == 0 else { throw failure("write", path, words(errno)) }
        if unsafe link(draft, path) != 0, errno != EEXIST { throw failure("make", path, words(errno)) }
    }

    private static func failure(_ verb: String, _ path: String, _ reason: String) -> Mistake {
        Mistake(sentence: "cannot \(verb) \(path): \(reason)")
    }

    private static func words(_ code: Int32) -> String { unsafe String(cString: strerror(code)) }
}

/// A descriptor of a file that is closed again soon.
private struct OpenFile: ~Copyable {
    let descriptor: Int32

    init(owning descriptor: Int32) { self.descriptor = descriptor }

    deinit { _ = close(descriptor) }
}
