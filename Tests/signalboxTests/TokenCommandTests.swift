// TokenCommandTests: what the command line asks for stands in the token, and what it gets wrong is named.
import Base
import Crypto
import Dialects
import Domain
import Testing

@testable import signalbox

struct TokenCommandTests {
    private static let secret = "0123456789abcdef0123456789abcdef"
    /// In whole seconds.
    private static let issue = WallTime(milliseconds: 1_700_000_000_000)
    private static let now = WallTime(milliseconds: 1_700_000_000_900)

    private func run(_ arguments: [String], _ environment: [String: String] = ["JWT_SECRET": secret]) -> (text: String, code: Int32) {
        token(arguments[...], environment: { environment[$0] }, now: Self.now)
    }

    private func principal(_ arguments: [String], _ environment: [String: String] = ["JWT_SECRET": secret]) throws -> Principal {
        let answer = run(arguments, environment)
        #expect(answer.code == 0)
        #expect(answer.text.hasSuffix("\n"))
        #expect(answer.text.split(whereSeparator: \.isWhitespace).count == 1, "the token and nothing else")
        var keys = TokenKeys()
        try keys.add(TokenKey(secret: try TokenSecret(SharedBytes(Self.secret))))
        let rules = TokenRules(
            issuer: environment["JWT_ISSUER"].map { SharedBytes($0) }, audience: environment["JWT_AUDIENCE"].map { SharedBytes($0) },
            leeway: .zero)
        return try BearerToken.verify(SharedBytes(String(answer.text.dropLast())).span, keys: keys, rules: rules, now: Self.now)
    }

    @Test("least of all a user, for an hour")
    func least() throws {
        let one = try principal(["--sub", "42"])
        #expect(one == Principal(user: SharedBytes("42"), expiry: WallTime(milliseconds: 1_700_003_600_000), issuedAt: Self.issue))
    }

    @Test("everything that can be asked for is in it, in both ways of writing")
    func most() throws {
        let expected = Principal(
            user: SharedBytes("-é"), role: .admin, tasks: ["a", "b c"].compactMap { TaskID(SharedBytes($0).span) },
            groups: [SharedBytes("gpu"), SharedBytes("b c")], expiry: WallTime(milliseconds: 1_700_604_800_000), issuedAt: Self.issue)
        #expect(try principal(["--sub=-é", "--role=admin", "--ttl=7d", "--tasks=a,b c", "--groups=gpu,b c"]) == expected)
        #expect(try principal(["--groups", "gpu,b c", "--tasks", "a,b c", "--ttl", "7d", "--role", "admin", "--sub", "-é"]) == expected)
    }

    @Test("issuer and audience are those that the server asks for")
    func names() throws {
        let environment = ["JWT_SECRET": Self.secret, "JWT_ISSUER": "us", "JWT_AUDIENCE": "signalbox"]
        #expect(try principal(["--sub", "42"], environment).user == SharedBytes("42"))
    }

    @Test(
        "lifetimes",
        arguments: [("30s", 30), ("15m", 900), ("1h", 3_600), ("7d", 604_800), ("3650d", 315_360_000), ("1s", 1)] as [(String, Int64)])
    func lifetimes(text: String, seconds: Int64) throws {
        #expect(try principal(["--sub", "42", "--ttl", text]).expiry == WallTime(milliseconds: (1_700_000_000 + seconds) * 1_000))
    }

    @Test(
        "what is no lifetime",
        arguments: [
            "", "s", "1", "0s", "-1h", "+1h", "1.5h", "1w", "3651d", "99999999999999999999s", "9223372036854775807d", "1h ",
        ])
    func noLifetimes(_ text: String) {
        let answer = run(["--sub", "42", "--ttl", text])
        #expect(answer.code == 2)
        #expect(answer.text.contains("--ttl"))
    }

    struct Wrong: Sendable, CustomTestStringConvertible {
        let arguments: [String]
        let word: String
        var testDescription: String { word }

        init(_ arguments: [String], _ word: String) {
            self.arguments = arguments
            self.word = word
        }
    }

    private static let long = String(repeating: "x", count: 80)

    private static let wrong: [Wrong] = [
        Wrong([], "--sub"),
        Wrong(["--sub"], "--sub"),
        Wrong(["--sub", ""], "--sub"),
        Wrong(["--sub", "a\nb"], "--sub"),
        Wrong(["42"], "42"),
        Wrong(["--sub", "42", "--role", "root"], "publisher"),
        Wrong(["--sub", "42", "--nope", "1"], "--nope"),
        Wrong(["--sub", "42", "--tasks", "a,b\n"], "--tasks"),
        Wrong(["--sub", "42", "--groups", ","], "names no group"),
        Wrong(["--sub", "42", "--groups", String(repeating: "a,", count: 129)], "128"),
        Wrong(["--sub", "42", "--tasks", String(repeating: "a,", count: 129)], "128"),
        Wrong(["--sub", "42", "--tasks", [String](repeating: long, count: 128).joined(separator: ",")], "8192"),
    ]

    @Test("what is wrong with a command line is named, with code 2", arguments: wrong)
    func mistakes(_ wrong: Wrong) {
        let answer = run(wrong.arguments)
        #expect(answer.code == 2)
        #expect(answer.text.hasPrefix("signalbox: "))
        #expect(answer.text.contains(wrong.word), "\(answer.text)")
    }

    @Test("a secret that cannot be had is the world's fault, with code 1, and is not told")
    func noSecret() {
        #expect(run(["--sub", "42", "--data", ":memory:"], [:]).code == 1)
        let answer = run(["--sub", "42"], ["JWT_SECRET": "hush"])
        #expect(answer.code == 1)
        #expect(!answer.text.contains("hush"))
    }

    @Test("the folder is the flag's, else the variable's")
    func folders() throws {
        let (one, other) = (try Folder(), try Folder())
        #expect(run(["--sub", "42", "--data", one.path], ["DATA": other.path]).code == 0)
        #expect(one.names == ["jwt-secret"])
        #expect(other.names == [])
        #expect(run(["--sub", "42"], ["DATA": other.path]).code == 0)
        #expect(other.names == ["jwt-secret"])
    }

    @Test("help is no mistake, and names every option")
    func help() {
        let answer = run(["--sub", "42", "--help"])
        #expect(answer.code == 0)
        for name in ["--sub", "--role", "--ttl", "--tasks", "--groups", "--secret-file", "--data"] { #expect(answer.text.contains(name)) }
    }
}
