// SecretFileTests: a secret is made once, for its owner alone, whoever asks first; one that others could know is refused.
import Base
import Dialects
import Glibc
import Testing

@testable import signalbox

/// A folder of its own, gone with the test.
final class Folder {
    let path: String

    init() throws {
        var template = Array("/tmp/signalbox-tests-\(String(repeating: "X", count: 6))".utf8CString)
        let made = unsafe mkdtemp(&template)
        try #require(unsafe made != nil)
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit {
        for name in names { _ = unsafe unlink("\(path)/\(name)") }
        _ = unsafe rmdir(path)
    }

    /// What lies in it.
    var names: [String] {
        guard let listing = unsafe opendir(path) else { return [] }
        defer { unsafe closedir(listing) }
        var names: [String] = []
        while let entry = unsafe readdir(listing) {
            let name = unsafe withUnsafeBytes(of: &entry.pointee.d_name) { unsafe String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    func write(_ name: String, _ text: String, mode: mode_t = 0o600) {
        let descriptor = unsafe open("\(path)/\(name)", O_WRONLY | O_CREAT | O_TRUNC, mode)
        let bytes = Array(text.utf8)
        _ = unsafe Glibc.write(descriptor, bytes, bytes.count)
        _ = fchmod(descriptor, mode)
        _ = close(descriptor)
    }

    func text(_ name: String) -> String {
        let descriptor = unsafe open("\(path)/\(name)", O_RDONLY)
        var bytes = [UInt8](repeating: 0, count: 8_192)
        let count = unsafe read(descriptor, &bytes, bytes.count)
        _ = close(descriptor)
        return String(decoding: bytes.prefix(max(count, 0)), as: UTF8.self)
    }

    func mode(_ name: String) -> mode_t {
        var status = stat()
        _ = unsafe lstat("\(path)/\(name)", &status)
        return status.st_mode & 0o7777
    }
}

struct SecretFileTests {
    private static let text = "0123456789abcdef0123456789abcdef"
    private static let now = WallTime(milliseconds: 1_700_000_000_000)

    private func nothing(_: String) -> String? { nil }

    /// A token signed with a secret: two secrets are the same where their tokens are.
    private func token(_ secret: TokenSecret) -> SharedBytes { BearerToken.make(TokenClaims(subject: SharedBytes("7")), secret: secret) }

    private func refusal(_ body: () throws(Mistake) -> TokenSecret) -> String? {
        do throws(Mistake) { _ = try body() } catch { return error.sentence }
        return nil
    }

    @Test("the first use makes a secret of 43 letters, readable by its owner only, and later uses find it")
    func made() throws {
        let folder = try Folder()
        let first = try SecretFile.secret(file: nil, environment: nothing, data: folder.path)
        #expect(folder.names == ["jwt-secret"])
        #expect(folder.mode("jwt-secret") == 0o600)
        #expect(folder.text("jwt-secret").utf8.count == 43)
        #expect(try token(SecretFile.secret(file: nil, environment: nothing, data: folder.path)) == token(first))
        let copy = folder.text("jwt-secret")
        let fromEnvironment = try SecretFile.secret(file: nil, environment: { $0 == "JWT_SECRET" ? copy : nil }, data: folder.path)
        #expect(token(fromEnvironment) == token(first), "the text is the secret")
    }

    @Test("a missing folder is made, for its owner only; its parent is not")
    func folder() throws {
        let folder = try Folder()
        _ = try SecretFile.secret(file: nil, environment: nothing, data: folder.path + "/data")
        #expect(folder.mode("data") == 0o700)
        _ = unsafe unlink(folder.path + "/data/jwt-secret")
        _ = unsafe rmdir(folder.path + "/data")
        #expect(refusal { () throws(Mistake) in try SecretFile.secret(file: nil, environment: nothing, data: folder.path + "/a/b") } != nil)
    }

    @Test("who asks at the same time gets the same secret, and no draft stays behind")
    func race() async throws {
        for _ in 0..<8 {
            let folder = try Folder()
            let path = folder.path
            let tokens = await withTaskGroup(of: SharedBytes?.self) { group in
                for _ in 0..<16 {
                    group.addTask {
                        let secret = try? SecretFile.secret(file: nil, environment: { _ in nil }, data: path)
                        return secret.map { BearerToken.make(TokenClaims(subject: SharedBytes("7")), secret: $0) }
                    }
                }
                return await group.reduce(into: []) { $0.append($1) }
            }
            #expect(tokens.count == 16)
            #expect(tokens.allSatisfy { $0 != nil })
            #expect(Set(tokens).count == 1)
            #expect(folder.names == ["jwt-secret"])
        }
    }

    @Test("two servers have two secrets")
    func two() throws {
        let (one, other) = (try Folder(), try Folder())
        let first = try SecretFile.secret(file: nil, environment: nothing, data: one.path)
        #expect(try token(first) != token(SecretFile.secret(file: nil, environment: nothing, data: other.path)))
        #expect(try token(SecretFile.fresh()) != token(SecretFile.fresh()))
    }

    @Test("a file that others may read or write is refused", arguments: [0o640, 0o604, 0o620, 0o644, 0o601] as [mode_t])
    func open(_ mode: mode_t) throws {
        let folder = try Folder()
        folder.write("jwt-secret", Self.text, mode: mode)
        let sentence = refusal { () throws(Mistake) in try SecretFile.secret(file: nil, environment: nothing, data: folder.path) }
        #expect(sentence?.contains("chmod 600") == true)
        #expect(sentence?.contains(Self.text) == false)
    }

    @Test("in the data folder a link, a folder or a pipe is no secret; a file that was named may be a link")
    func kinds() throws {
        let folder = try Folder()
        folder.write("real", Self.text)
        #expect(unsafe symlink(folder.path + "/real", folder.path + "/jwt-secret") == 0)
        let data = { () throws(Mistake) in try SecretFile.secret(file: nil, environment: nothing, data: folder.path) }
        #expect(refusal(data)?.contains("symbolic link") == true)
        let named = folder.path + "/jwt-secret"
        #expect(refusal { () throws(Mistake) in try SecretFile.secret(file: named, environment: nothing, data: "") } == nil)
        _ = unsafe unlink(folder.path + "/jwt-secret")
        #expect(unsafe mkfifo(folder.path + "/jwt-secret", 0o600) == 0)
        #expect(refusal(data)?.contains("no ordinary file") == true)
        _ = unsafe unlink(folder.path + "/jwt-secret")
        // A link that leads nowhere is not written through.
        #expect(unsafe symlink(folder.path + "/elsewhere", folder.path + "/jwt-secret") == 0)
        #expect(refusal(data)?.contains("symbolic link") == true)
        #expect(folder.names == ["jwt-secret", "real"])
    }

    @Test("a file goes before the variable, the variable before the folder; an empty variable is none")
    func order() throws {
        let folder = try Folder()
        folder.write("other", Self.text + " \r\n")
        let own = token(try TokenSecret(SharedBytes(Self.text)))
        let variable = { (_: String) -> String? in String(repeating: "v", count: 32) }
        #expect(try token(SecretFile.secret(file: folder.path + "/other", environment: variable, data: folder.path)) == own)
        #expect(try token(SecretFile.secret(file: nil, environment: variable, data: folder.path)) != own)
        #expect(folder.names == ["other"])
        _ = try SecretFile.secret(file: nil, environment: { _ in "" }, data: folder.path)
        #expect(folder.names == ["jwt-secret", "other"])
    }

    @Test("what is no secret is refused in words, and a file that was named must be there")
    func refused() throws {
        let folder = try Folder()
        let cases = [
            ("", "0 bytes"), ("short", "5 bytes"), (String(repeating: "s", count: 5_000), "at most"), ("-----BEGIN PUBLIC KEY-----", "PEM"),
        ]
        for (text, words) in cases {
            folder.write("jwt-secret", text)
            let sentence = refusal { () throws(Mistake) in try SecretFile.secret(file: nil, environment: nothing, data: folder.path) }
            #expect(sentence?.contains(words) == true, "\(words)")
            #expect(folder.text("jwt-secret") == text, "what is there is never written over")
        }
        let absent = folder.path + "/absent"
        let missing = refusal { () throws(Mistake) in try SecretFile.secret(file: absent, environment: nothing, data: "") }
        #expect(missing?.contains(absent) == true)
        for data in ["", ":memory:"] {
            let sentence = refusal { () throws(Mistake) in try SecretFile.secret(file: nil, environment: nothing, data: data) }
            #expect(sentence?.contains("JWT_SECRET") == true)
        }
    }
}
