// Configuration: what the command line and the environment say, as one value. A flag goes before its variable. A wrong value is a
// sentence that names it, never a guess.
import Base
import Domain
import Gateway
import Reactor
import SocketIO
import Storage

/// Everything that `serve` needs to know.
struct Configuration {
    var settings = Settings(version: Configuration.version)
    var addresses: [SocketAddress] = []
    /// Whether nobody named an address.
    private var listensByDefault = false
    /// Those that were named; none for all.
    var transports: [EngineTransport] = []
    var isInsecure = false
    /// Whether other processes may have the same ports (SO_REUSEPORT).
    var sharesPort = false
    var tokens = TokenSources()
    /// Files to speak TLS with: a certificate and its key, or neither.
    var tlsCertificate: String?
    var tlsKey: String?
    var tlsClientAuthorities: String?
    /// Where the process before is asked for its sockets, and the next one asks.
    var takeover: String?
    /// The folder for what is kept, or ``noData``.
    var data = "./data"
    var storage = StorageSettings()
    /// How long what was written down is kept.
    var historyTTL = Configuration.historyTTLDefault
    var workThreads = WorkPool.cores
    /// What the process may hold before memory is short; nil for a share of what there is.
    var memoryHighBytes: Int?
    /// NVIDIA's management library, as the loader takes it; empty where GPUs are not looked at.
    var nvmlLibrary = Configuration.nvmlLibraryDefault
    var logLevel = Log.Level.info
    var logFormat = Log.Format.text

    static let historyTTLDefault = TimeSpan.seconds(7 * 86_400)

    static let nvmlLibraryDefault = "libnvidia-ml.so.1"

    /// What stands for no library: no GPU is looked at.
    static let noLibrary = "none"

    /// What stands for no folder: nothing is kept.
    static let noData = ":memory:"

    static let version: StaticString = "0.1.0"

    /// - Throws: a sentence for the operator.
    init(arguments: ArraySlice<String>, environment: (String) -> String?) throws(Mistake) {
        let given = try Configuration.read(arguments)
        for option in Option.all {
            if let values = given[option.name] {
                for value in values { try apply(option, value, as: "--\(option.name)") }
            } else if let text = environment(option.variable), !text.isEmpty {
                for value in Configuration.split(text, option.form) { try apply(option, value, as: option.variable) }
            }
        }
        if addresses.isEmpty {
            addresses = [.v4(0x7f00_0001, port: 8_000)]
            listensByDefault = true
        }
        if !transports.isEmpty { settings.sockets.transports = transports }
        try check()
    }

    private mutating func apply(_ option: Option, _ value: String, as name: String) throws(Mistake) {
        do throws(Mistake) {
            try option.apply(&self, value)
        } catch {
            throw Mistake(sentence: "\(name): \(error.sentence)")
        }
    }

    /// What TLS is spoken with, on all listeners but unix sockets; nil where it is not spoken.
    var tlsFiles: TLSFiles? {
        guard let tlsCertificate, let tlsKey else { return nil }
        return TLSFiles(certificate: tlsCertificate, key: tlsKey, clientAuthorities: tlsClientAuthorities)
    }

    private func check() throws(Mistake) {
        if (tlsCertificate == nil) != (tlsKey == nil) {
            throw Mistake(sentence: "TLS takes a certificate and its key: --tls-cert and --tls-key go together")
        }
        if tlsClientAuthorities != nil, tlsCertificate == nil {
            throw Mistake(sentence: "--tls-client-ca: only TLS asks clients for certificates: add --tls-cert and --tls-key")
        }
        if let takeover {
            guard case .unix? = try? SocketAddress("unix:" + takeover) else {
                throw Mistake(sentence: "--takeover: '\(takeover)' is no path for a socket: it is too long")
            }
            guard !addresses.contains(.unix(path: takeover)) else {
                throw Mistake(sentence: "--takeover: \(takeover) is served already: the next process needs a socket of its own")
            }
        }
        if let contradiction = settings.limits.contradiction ?? settings.thresholds.contradiction { throw Mistake(sentence: contradiction) }
        try checkReach(of: addresses)
    }

    /// Takes note of sockets that were made for this process: they are served in place of the standard address, and beside those that were
    /// named.
    mutating func serve(_ passed: [SocketAddress]) throws(Mistake) {
        guard !passed.isEmpty else { return }
        try checkReach(of: passed)
        if listensByDefault { addresses = [] }
        addresses.removeAll { passed.contains($0) }
    }

    /// Only a port that is bound here can be shared: a unix socket is one process's, and what was passed is as it was made.
    ///
    /// - Parameter arePassed: whether sockets were made for this process.
    func checkSharing(arePassed: Bool) throws(Mistake) {
        guard sharesPort, addresses.allSatisfy(\.isUnix) else { return }
        throw Mistake(
            sentence: arePassed
                ? "--share-port: sockets that were passed (LISTEN_FDS) are shared or not as they were made; see systemd.socket, ReusePort="
                : "--share-port: no port is served: a unix socket cannot be shared")
    }

    private func checkReach(of addresses: [SocketAddress]) throws(Mistake) {
        guard !isInsecure, tokens.mode != .all, let open = addresses.first(where: { !$0.isLocal }) else { return }
        throw Mistake(
            sentence: "\(open) can be reached from other machines, and not everybody would need a token: add --auth all, or --insecure to "
                + "serve it so")
    }

    /// The values of each flag, by name, in their order.
    private static func read(_ arguments: ArraySlice<String>) throws(Mistake) -> [String: [String]] {
        var given: [String: [String]] = [:]
        var rest = arguments
        while let argument = rest.popFirst() {
            guard argument.hasPrefix("--") else { throw Mistake(sentence: "'\(argument)' is not understood; see signalbox --help") }
            let parts = argument.dropFirst(2).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = String(parts[0])
            guard name != "jwt-secret" else {
                throw Mistake(sentence: "--jwt-secret: everybody on a machine can read its command lines: set the variable JWT_SECRET")
            }
            guard let option = Option.all.first(where: { $0.name == name }) else {
                throw Mistake(sentence: "there is no option --\(name); see signalbox --help")
            }
            switch option.form {
            case .toggle:
                given[name, default: []].append(parts.count == 2 ? String(parts[1]) : "on")
            case .value(let unit), .values(let unit):
                guard let value = parts.count == 2 ? String(parts[1]) : rest.popFirst() else {
                    throw Mistake(sentence: "--\(name) needs a value: \(unit)")
                }
                if case .value = option.form { given[name] = [value] } else { given[name, default: []].append(value) }
            }
        }
        return given
    }

    private static func split(_ text: String, _ form: Option.Form) -> [String] {
        switch form {
        case .value, .toggle: [text]
        case .values: text.split(separator: ",").map(String.init)
        }
    }

    // MARK: Help

    /// The options as a table in Markdown, for documents.
    static var markdown: String {
        var lines = ["| flag | variable | default | |", "|---|---|---|---|"]
        for option in Option.all { lines.append("| `\(option.flag)` | `\(option.variable)` | \(option.standard) | \(option.help) |") }
        return lines.joined(separator: "\n") + "\n"
    }

    static var help: String {
        var lines = [
            "signalbox \(version): one server in front of a fleet of GPU workers.",
            "",
            "  signalbox [serve] [OPTIONS]   serve clients and workers",
            "  signalbox token ...           make a token; signalbox token --help tells how",
            "  signalbox worker ...          make a worker of any command; signalbox worker --help tells how",
            "  signalbox top ...             show the fleet in the terminal; signalbox top --help tells how",
            "  signalbox backup ...          copy what is kept, while a server works on it; signalbox backup --help tells how",
            "  signalbox version             print the version",
            "  signalbox --help              print this; --help=markdown prints the options as a table",
            "",
            "Options; each is also an environment variable, which stands behind it. A flag goes before its variable.",
            "",
        ]
        for option in Option.all {
            let padding = String(repeating: " ", count: max(2, 34 - option.flag.count))
            lines.append("  \(option.flag)\(padding)\(option.help) (\(option.variable), default \(option.standard))")
        }
        lines += [
            "",
            "Tokens are also checked with the secret in the variable JWT_SECRET, which has no flag: everybody on a machine can read its",
            "command lines. Where neither that nor a public key is given, a secret is made and kept in DIR/\(SecretFile.name).",
        ]
        return lines.joined(separator: "\n") + "\n"
    }
}

extension SocketAddress {
    var isUnix: Bool {
        switch self {
        case .v4, .v6: false
        case .unix: true
        }
    }

    /// Whether only this machine can reach it.
    var isLocal: Bool {
        switch self {
        case .v4(let address, _): address >> 24 == 127
        case .v6(let high, let low, _): high == 0 && low == 1
        case .unix: true
        }
    }
}
