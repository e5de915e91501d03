// ConfigurationTests: what the command line and the environment say about tokens is understood, and what they get wrong is named.
import Base
import Dialects
import Gateway
import Reactor
import Testing

@testable import signalbox

struct ConfigurationTests {
    private func configuration(_ arguments: [String], _ environment: [String: String] = [:]) throws(Mistake) -> Configuration {
        try Configuration(arguments: arguments[...], environment: { environment[$0] })
    }

    private func sentence(_ arguments: [String], _ environment: [String: String] = [:]) -> String? {
        do throws(Mistake) { _ = try configuration(arguments, environment) } catch { return error.sentence }
        return nil
    }

    @Test("least of all, users are asked, and what is kept is kept here")
    func least() throws {
        let one = try configuration([])
        #expect(one.tokens.mode == .users)
        #expect(one.tokens.publicKey == nil && one.tokens.keySet == nil && one.tokens.issuer == nil && one.tokens.audience == nil)
        #expect(one.data == "./data")
        // Keys are read later: until then nobody is asked.
        #expect(one.settings.authentication.keys.isEmpty)
    }

    @Test("flags and variables say the same, and flags go first")
    func ways() throws {
        let flags = try configuration(
            [
                "--auth", "all", "--jwt-public-key=k.pem", "--jwt-jwks", "k.json", "--jwt-issuer", "us", "--jwt-audience=sb", "--data", "d",
            ], ["AUTH": "off", "DATA": "elsewhere"])
        let variables = try configuration(
            [],
            [
                "AUTH": "all", "JWT_PUBLIC_KEY": "k.pem", "JWT_JWKS": "k.json", "JWT_ISSUER": "us", "JWT_AUDIENCE": "sb", "DATA": "d",
            ])
        for one in [flags, variables] {
            #expect(one.tokens.mode == .all)
            #expect(one.tokens.publicKey == "k.pem")
            #expect(one.tokens.keySet == "k.json")
            #expect(one.tokens.issuer == SharedBytes("us"))
            #expect(one.tokens.audience == SharedBytes("sb"))
            #expect(one.data == "d")
        }
        #expect(try configuration(["--auth=off"]).tokens.mode == .off)
        #expect(try configuration(["--data", ":memory:"]).data == ":memory:")
        #expect(try configuration([], ["JWT_ISSUER": "", "AUTH": ""]).tokens.issuer == nil, "an empty variable is none")
    }

    @Test(
        "mistakes are named",
        arguments: [
            (["--auth", "some"], "--auth: 'some' is no way to ask for tokens; wanted is users, all or off"),
            (["--auth", "ALL"], "--auth: 'ALL' is no way to ask for tokens; wanted is users, all or off"),
            (["--auth"], "--auth needs a value: MODE"),
            (["--jwt-public-key="], "--jwt-public-key: this is empty"),
            (["--jwt-issuer", ""], "--jwt-issuer: this is empty"),
            (["--data", ""], "--data: '' is no folder; wanted is a path, or :memory: for none"),
            (["--data", ":disk:"], "--data: ':disk:' is no folder; wanted is a path, or :memory: for none"),
            (
                ["--jwt-secret", "hush"],
                "--jwt-secret: everybody on a machine can read its command lines: set the variable JWT_SECRET"
            ),
            (["--jwt-secret=hush"], "--jwt-secret: everybody on a machine can read its command lines: set the variable JWT_SECRET"),
        ] as [([String], String)])
    func mistakes(_ arguments: [String], _ expected: String) {
        #expect(sentence(arguments) == expected)
    }

    @Test("a mistake in a variable names the variable")
    func variables() {
        #expect(sentence([], ["AUTH": "yes"]) == "AUTH: 'yes' is no way to ask for tokens; wanted is users, all or off")
    }

    @Test(
        "beyond this machine, everybody is asked or the operator insists",
        arguments: ["0.0.0.0:0", "[::]:0", "10.0.0.1:80", "[2001:db8::1]:80"], [nil, "users", "off", "all"])
    func openAddresses(_ address: String, _ mode: String?) throws {
        let arguments = ["--listen", "127.0.0.1:0", "--listen", address] + (mode.map { ["--auth", $0] } ?? [])
        if mode == "all" {
            #expect(sentence(arguments) == nil)
        } else {
            let expected =
                "\(address) can be reached from other machines, and not everybody would need a token: "
                + "add --auth all, or --insecure to serve it so"
            #expect(sentence(arguments) == expected)
        }
        #expect(sentence(arguments + ["--insecure"]) == nil)
    }

    @Test(
        "addresses of this machine are nobody else's", arguments: ["127.0.0.1:0", "127.8.9.10:0", "[::1]:0", "unix:/tmp/s", "localhost:0"])
    func localAddresses(_ address: String) {
        for mode in ["users", "off", "all"] { #expect(sentence(["--listen", address, "--auth", mode]) == nil) }
    }

    @Test("TLS takes a certificate and its key, and clients are asked for theirs only by it")
    func tls() throws {
        #expect(try configuration([]).tlsFiles == nil)
        let files = try #require(try configuration(["--tls-cert", "c", "--tls-key=k"]).tlsFiles)
        #expect(files.certificate == "c" && files.key == "k" && files.clientAuthorities == nil)
        #expect(try configuration([], ["TLS_CERT": "c", "TLS_KEY": "k", "TLS_CLIENT_CA": "a"]).tlsFiles?.clientAuthorities == "a")
        let together = "TLS takes a certificate and its key: --tls-cert and --tls-key go together"
        #expect(sentence(["--tls-cert", "c"]) == together && sentence([], ["TLS_KEY": "k"]) == together)
        #expect(
            sentence(["--tls-client-ca", "a"])
                == "--tls-client-ca: only TLS asks clients for certificates: add --tls-cert and --tls-key")
        #expect(sentence(["--tls-cert="]) == "--tls-cert: this is empty")
    }

    @Test("NVIDIA's library is looked for under its own name, unless the operator has another or wants none")
    func nvmlLibrary() throws {
        #expect(try configuration([]).nvmlLibrary == "libnvidia-ml.so.1")
        #expect(try configuration(["--nvml-library", "/opt/nvml.so"]).nvmlLibrary == "/opt/nvml.so")
        #expect(try configuration([], ["NVML_LIBRARY": "none"]).nvmlLibrary == "")
        #expect(sentence(["--nvml-library="]) == "--nvml-library: this is empty")
    }

    @Test("the help names every option once, and the variable that has no flag")
    func help() {
        let lines = Configuration.help.split(separator: "\n")
        for option in Option.all {
            #expect(lines.count { $0.hasPrefix("  --\(option.name) ") } == 1, "\(option.name)")
        }
        #expect(Configuration.help.contains("JWT_SECRET"))
        #expect(lines.allSatisfy { !$0.hasPrefix("  --jwt-secret") && !$0.contains("|") })
    }

    @Test("only ports that are bound here are shared, and nothing is unless it is wished")
    func sharing() throws {
        func refusal(_ arguments: [String], passed: [SocketAddress] = []) throws -> String? {
            var one = try configuration(arguments)
            try one.serve(passed)
            do throws(Mistake) { try one.checkSharing(arePassed: !passed.isEmpty) } catch { return error.sentence }
            return nil
        }
        #expect(try !configuration([]).sharesPort)
        #expect(try configuration(["--share-port"]).sharesPort && configuration([], ["SHARE_PORT": "yes"]).sharesPort)
        let passed = [try SocketAddress("127.0.0.1:80")]
        #expect(try refusal(["--share-port"]) == nil)
        #expect(try refusal(["--share-port", "--listen", "unix:s", "--listen", "[::1]:0"]) == nil)
        #expect(try refusal(["--share-port", "--listen", "127.0.0.1:81"], passed: passed) == nil)
        #expect(try refusal([], passed: passed) == nil && refusal(["--listen", "unix:s"]) == nil)
        #expect(try refusal(["--share-port", "--listen", "unix:s"])?.hasSuffix("a unix socket cannot be shared") == true)
        for listen in [[], ["--listen", "127.0.0.1:80"]] {
            #expect(try refusal(["--share-port"] + listen, passed: passed)?.contains("ReusePort=") == true)
        }
    }

    @Test("the next process's door has a place of its own that fits into an address")
    func takeover() throws {
        #expect(try configuration(["--takeover", "/run/s/takeover"]).takeover == "/run/s/takeover")
        #expect(try configuration([], ["TAKEOVER": "t.sock"]).takeover == "t.sock")
        #expect(sentence(["--takeover", "/" + String(repeating: "x", count: 107)])?.hasSuffix("it is too long") == true)
        #expect(sentence(["--takeover", "/run/s", "--listen", "unix:/run/s"])?.hasPrefix("--takeover: /run/s is served already") == true)
        #expect(sentence(["--takeover="]) == "--takeover: this is empty")
    }

    @Test("sockets that were passed are served in place of the standard address, and beside those that were named")
    func passed() throws {
        let passed = try SocketAddress("127.0.0.1:9000")
        var plain = try configuration([])
        try plain.serve([])
        #expect(plain.addresses == [try SocketAddress("127.0.0.1:8000")])
        try plain.serve([passed])
        #expect(plain.addresses == [])
        var named = try configuration(["--listen", "127.0.0.1:9000", "--listen", "127.0.0.1:8000"])
        try named.serve([passed])
        #expect(named.addresses == [try SocketAddress("127.0.0.1:8000")])
        // What others can reach is open to others, whoever opened it.
        do throws(Mistake) {
            try plain.serve([.v4(0, port: 80)])
            #expect(Bool(false), "everybody was let in")
        } catch {
            #expect(error.sentence.hasPrefix("0.0.0.0:80 can be reached from other machines"))
        }
        var guarded = try configuration(["--auth", "all"])
        try guarded.serve([.v4(0, port: 80)])
    }
}
