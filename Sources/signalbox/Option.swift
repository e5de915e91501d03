// Option: one thing that an operator can choose: its flag, its environment variable, its default and what a value does. The table of all
// of them is the help text, the parser and the documentation at once.
import Base
import Domain
import Gateway
import Reactor
import SocketIO
import Storage
import WebSockets

/// What was wrong with a command line or an environment variable, as a sentence.
struct Mistake: Error {
    let sentence: String
}

/// One option of `serve`.
struct Option: Sendable {
    enum Form: Sendable {
        /// A flag that takes a value, in words for the help.
        case value(String)
        /// A flag that may be given several times; in the variable the values stand between commas.
        case values(String)
        /// A flag without a value; in the variable one of 1, true, yes, on, 0, false, no, off.
        case toggle
    }

    let name: String
    let form: Form
    let standard: String
    let help: String
    let apply: @Sendable (inout Configuration, String) throws(Mistake) -> Void

    /// The environment variable: the flag's name in capitals.
    var variable: String { name.uppercased().split(separator: "-").joined(separator: "_") }

    /// The flag with what stands behind it, in words for the help.
    var flag: String {
        switch form {
        case .value(let unit): "--\(name) \(unit)"
        case .values(let unit): "--\(name) \(unit) ..."
        case .toggle: "--\(name)"
        }
    }

    static let all: [Option] = [
        Option(
            name: "listen", form: .values("HOST:PORT"), standard: "127.0.0.1:8000", help: "address to serve; also [IPV6]:PORT, unix:PATH"
        ) {
            (configuration, text) throws(Mistake) in
            do throws(SocketAddress.Mistake) {
                configuration.addresses.append(try SocketAddress(text))
            } catch {
                throw Mistake(sentence: "'\(text)' is no address (\(words(error))); wanted is HOST:PORT, [IPV6]:PORT or unix:PATH")
            }
        },
        Option(
            name: "insecure", form: .toggle, standard: "off", help: "serve addresses beyond this machine without --auth all"
        ) {
            (configuration, text) throws(Mistake) in configuration.isInsecure = try toggle(text)
        },
        Option(
            name: "share-port", form: .toggle, standard: "off",
            help: "let other processes of the same user serve the same ports beside this one"
        ) {
            (configuration, text) throws(Mistake) in configuration.sharesPort = try toggle(text)
        },
        text("tls-cert", "FILE", \.tlsCertificate, "PEM file with the certificate to speak TLS with, and those that lead to it"),
        text("tls-key", "FILE", \.tlsKey, "PEM file with the certificate's private key"),
        text("tls-client-ca", "FILE", \.tlsClientAuthorities, "PEM file with the authorities whose certificates speak for workers"),
        Option(
            name: "auth", form: .value("MODE"), standard: "users", help: "who needs a token: users (who watch or report tasks), all or off"
        ) {
            (configuration, text) throws(Mistake) in
            guard let mode = Authentication.Mode.allCases.first(where: { "\($0)" == text }) else {
                throw Mistake(sentence: "'\(text)' is no way to ask for tokens; wanted is users, all or off")
            }
            configuration.tokens.mode = mode
        },
        text("jwt-public-key", "FILE", \.tokens.publicKey, "PEM file with a public key or a certificate that tokens are checked with"),
        text("jwt-jwks", "FILE", \.tokens.keySet, "file with a JWK set that tokens are checked with"),
        name("jwt-issuer", \.tokens.issuer, "who must have issued a token (iss)"),
        name("jwt-audience", \.tokens.audience, "the name under which a token must be meant for this server (aud)"),
        Option(
            name: "data", form: .value("DIR"), standard: "./data", help: "folder for what is kept; \(Configuration.noData) for nothing kept"
        ) {
            (configuration, text) throws(Mistake) in
            guard !text.isEmpty, !text.hasPrefix(":") || text == Configuration.noData else {
                throw Mistake(sentence: "'\(text)' is no folder; wanted is a path, or \(Configuration.noData) for none")
            }
            configuration.data = text
        },
        Option(
            name: "durability", form: .value("MODE"), standard: "power-loss",
            help: "what a promise survives: power-loss (every commit is forced to the disk) or process-end"
        ) {
            (configuration, text) throws(Mistake) in
            switch text {
            case "power-loss": configuration.storage.durability = .powerLoss
            case "process-end": configuration.storage.durability = .processEnd
            default: throw Mistake(sentence: "'\(text)' is no durability; wanted is power-loss or process-end")
            }
        },
        Option(
            name: "history-ttl-ms", form: .value("MS"), standard: "\(Configuration.historyTTLDefault.milliseconds)",
            help: "how long the database keeps ended tasks and their history, and dead letters are kept"
        ) {
            (configuration, text) throws(Mistake) in
            configuration.historyTTL = .milliseconds(Int64(try integer(text, 1...1_000_000_000_000)))
            configuration.settings.limits.deadLetterTime = configuration.historyTTL
        },
        Option(
            name: "allow-origin", form: .values("ORIGIN"), standard: "none",
            help: "web origin whose pages may connect and read, as https://app.example"
        ) {
            (configuration, text) throws(Mistake) in
            guard text.hasPrefix("http://") || text.hasPrefix("https://"), !text.hasSuffix("/") else {
                throw Mistake(sentence: "'\(text)' is no origin; wanted is http://HOST[:PORT] or https://HOST[:PORT]")
            }
            configuration.settings.origins.append(SharedBytes(text))
        },
        milliseconds("task-timeout-ms", \.taskTimeoutDefault, "default time for a task, from submission to its end"),
        milliseconds("max-task-timeout-ms", \.taskTimeoutMax, "longest time a task may ask for"),
        milliseconds("min-task-timeout-ms", \.taskTimeoutMin, "shortest time a task may ask for"),
        number("max-queue-length", \.queueLengthMax, 0...10_000_000, "tasks that may wait in one group"),
        milliseconds("task-result-ttl-ms", \.resultTTL, "how long an ended task is remembered"),
        bytes("max-result-memory-bytes", \.endedBytesMax, "memory of ended tasks; beyond it the oldest are forgotten early"),
        bytes("max-payload-memory-bytes", \.payloadBytesMax, "memory of the payloads of tasks that have not ended"),
        milliseconds("lease-ms", \.workerLease, "silence after which a worker loses its tasks; it is pinged every third of that"),
        milliseconds("retry-delay-ms", \.retryDelay, "longest pause before a second retry; it doubles with each further one"),
        milliseconds("max-retry-delay-ms", \.retryDelayMax, "longest pause before any retry"),
        number("max-dead-letters", \.deadLettersMax, 0...100_000, "failed tasks that are kept to be tried again; the oldest give way"),
        bytes("max-dead-letter-bytes", \.deadLetterBytesMax, "bytes that they hold together"),
        number("max-revocations", \.revocationsMax, 0...10_000_000, "users whose tokens may be revoked"),
        milliseconds("recovery-grace-ms", \.recoveryGrace, "how long after a restart a worker may come back for its task"),
        milliseconds("abandoned-grace-ms", \.abandonedGrace, "how long a cancelled or timed-out task keeps its worker's room"),
        number("max-connections", \.connectionsMax, 1...16_000_000, "connections open at once; the descriptor limit also bounds them"),
        number(
            "max-connections-per-address", \.connectionsPerAddressMax, 0...16_000_000,
            "connections of one address, IPv6 by /64; 0 for any number. More than a proxy or a NAT has ports"),
        number("max-accepts-per-second", \.acceptsPerSecondMax, 0...16_000_000, "connections let in within a second; 0 for any number"),
        bytes("max-header-bytes", \.headerBytesMax, "bytes of a request's head", max: 65_535),
        bytes("max-body-bytes", \.bodyBytesMax, "bytes of a request's body", max: 128 << 20),
        bytes("max-message-bytes", \.messageBytesMax, "bytes of a WebSocket message, also after inflating", max: 128 << 20),
        number(
            "max-messages-per-second", \.messagesPerSecondMax, 0...1_000_000_000,
            "WebSocket messages and pings of a watcher in a second; it is closed beyond. 0 for any number"),
        number("max-message-burst", \.messageBurstMax, 1...1_000_000_000, "the same at once, after a silence"),
        number(
            "max-worker-messages-per-second", \.workerMessagesPerSecondMax, 0...1_000_000_000,
            "the same of a worker or a program that reports; it waits beyond. 0 for any number"),
        number(
            "max-requests-per-second", \.requestsPerSecondMax, 0...1_000_000_000,
            "HTTP requests of a connection in a second; it waits beyond. 0 for any number"),
        bytes("max-input-memory-bytes", \.inputMemoryBytesMax, "memory of requests and messages that have come in part, all together"),
        Option(
            name: "memory-high-bytes", form: .value("BYTES"), standard: "80 % of what there is",
            help: "memory of the process beyond which nobody new is let in, and slow readers are given up; 0 for any"
        ) {
            (configuration, text) throws(Mistake) in configuration.memoryHighBytes = try integer(text, 0...(1 << 50))
        },
        bytes("max-queued-bytes", \.queuedBytesMax, "bytes that may wait for one connection"),
        milliseconds("request-timeout-ms", \.headTimeout, "time for a request's head; bodies get more by their size"),
        milliseconds("keep-alive-timeout-ms", \.keepAliveTimeout, "time between two requests of a connection"),
        milliseconds("ping-interval-ms", \.pingInterval, "silence after which a WebSocket is pinged, and as long again until it is closed"),
        milliseconds("session-resume-ms", \.sessionResumeTime, "how long a hub client may come back as who it was (old_client_id)"),
        milliseconds("drain-timeout-ms", \.drainTimeout, "time for waiting requests and workers' tasks when the server stops"),
        milliseconds("drain-spread-ms", \.drainSpread, "time over which sockets are closed at the end, where they are many"),
        milliseconds("takeover-drain-ms", \.takeoverDrainTimeout, "time for waiting requests once another process takes over"),
        text("takeover", "PATH", \.takeover, "unix socket by which the next process takes over without a refused connection"),
        Option(name: "deflate", form: .toggle, standard: "off", help: "accept permessage-deflate") {
            (configuration, text) throws(Mistake) in configuration.settings.deflate.isEnabled = try toggle(text)
        },
        Option(
            name: "deflate-context", form: .toggle, standard: "off", help: "keep compression contexts: smaller messages, 300 KiB a socket"
        ) {
            (configuration, text) throws(Mistake) in
            let keeps = try toggle(text)
            configuration.settings.deflate.keepsServerContext = keeps
            configuration.settings.deflate.keepsClientContext = keeps
        },
        Option(name: "echo-path", form: .value("PATH"), standard: "none", help: "echo WebSocket messages at this path, for diagnosis") {
            (configuration, text) throws(Mistake) in
            guard text.hasPrefix("/"), text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) else {
                throw Mistake(sentence: "'\(text)' is no path; wanted is something like /echo")
            }
            configuration.settings.echoPath = SharedBytes(text)
        },
        Option(
            name: "socketio-test-mode", form: .toggle, standard: "off",
            help: "offer what the protocols' own test suites expect, and no events"
        ) {
            (configuration, text) throws(Mistake) in
            guard try toggle(text) else { return }
            // What is given besides stands behind this in the table, and goes before it.
            configuration.settings.sockets.isTestMode = true
            configuration.settings.limits.socketPingInterval = .milliseconds(300)
            configuration.settings.limits.socketPingTimeout = .milliseconds(200)
            configuration.settings.limits.socketPayloadMax = 1_000_000
            configuration.settings.limits.socketConnectTimeout = .seconds(1)
        },
        Option(
            name: "socketio-transports", form: .values("NAME"), standard: "polling,websocket",
            help: "what Socket.IO sessions may be carried by"
        ) {
            (configuration, text) throws(Mistake) in
            for word in text.split(separator: ",") {
                guard let transport = ["polling": EngineTransport.polling, "websocket": .webSocket][word] else {
                    throw Mistake(sentence: "'\(word)' is no transport; wanted is polling or websocket")
                }
                configuration.transports.append(transport)
            }
        },
        milliseconds("socketio-ping-interval-ms", \.socketPingInterval, "from a Socket.IO pong to the next ping"),
        milliseconds("socketio-ping-timeout-ms", \.socketPingTimeout, "from a Socket.IO ping to the end of who does not answer it"),
        bytes("socketio-max-payload", \.socketPayloadMax, "bytes of a Socket.IO message, and of a polling request", max: 128 << 20),
        milliseconds("socketio-recovery-ms", \.recoveryTime, "how long a Socket.IO client may come back as who it was"),
        number(
            "socketio-max-sessions-per-address", \.pollingSessionsPerAddressMax, 1...1_000_000,
            "Socket.IO sessions by polling of one address"),
        number("socketio-max-rate", \.socketPacketsPerSecondMax, 1...1_000_000, "packets that a Socket.IO client may send in a second"),
        percent("memory-warning", \.memoryWarning, "memory in use from which on there is an alert"),
        percent("memory-critical", \.memoryCritical, "memory in use from which on the alert is critical"),
        percent("disk-warning", \.diskWarning, "disk in use from which on there is an alert"),
        percent("disk-critical", \.diskCritical, "disk in use from which on the alert is critical"),
        percent("gpu-warning", \.gpuWarning, "a GPU's load from which on there is an alert"),
        percent("gpu-critical", \.gpuCritical, "a GPU's load from which on the alert is critical"),
        percent("alert-hysteresis", \.hysteresis, "percent points below the warning at which an alert is over"),
        Option(name: "work-threads", form: .value("N"), standard: "cores", help: "threads for large messages and compression") {
            (configuration, text) throws(Mistake) in configuration.workThreads = try integer(text, 1...1_024)
        },
        Option(
            name: "nvml-library", form: .value("LIBRARY"), standard: Configuration.nvmlLibraryDefault,
            help: "NVIDIA's library that tells how GPUs do; \(Configuration.noLibrary) for GPUs that nobody looks at"
        ) {
            (configuration, text) throws(Mistake) in
            guard !text.isEmpty else { throw Mistake(sentence: "this is empty") }
            configuration.nvmlLibrary = text == Configuration.noLibrary ? "" : text
        },
        Option(name: "log-level", form: .value("LEVEL"), standard: "info", help: "debug, info, warning or error") {
            (configuration, text) throws(Mistake) in
            guard let level = Log.Level.allCases.first(where: { "\($0)" == text }) else {
                throw Mistake(sentence: "'\(text)' is no log level; wanted is debug, info, warning or error")
            }
            configuration.logLevel = level
        },
        Option(name: "log-format", form: .value("FORMAT"), standard: "text", help: "text or json") {
            (configuration, text) throws(Mistake) in
            switch text {
            case "text": configuration.logFormat = .text
            case "json": configuration.logFormat = .json
            default: throw Mistake(sentence: "'\(text)' is no log format; wanted is text or json")
            }
        },
    ]

    // MARK: Kinds of values

    private static func text(
        _ name: String, _ unit: String, _ value: any WritableKeyPath<Configuration, String?> & Sendable, _ help: String
    ) -> Option {
        Option(name: name, form: .value(unit), standard: "none", help: help) {
            (configuration, text) throws(Mistake) in
            guard !text.isEmpty else { throw Mistake(sentence: "this is empty") }
            configuration[keyPath: value] = text
        }
    }

    private static func name(
        _ name: String, _ value: any WritableKeyPath<Configuration, SharedBytes?> & Sendable, _ help: String
    ) -> Option {
        Option(name: name, form: .value("NAME"), standard: "none", help: help) {
            (configuration, text) throws(Mistake) in
            guard !text.isEmpty else { throw Mistake(sentence: "this is empty") }
            configuration[keyPath: value] = SharedBytes(text)
        }
    }

    private static func milliseconds(_ name: String, _ limit: any WritableKeyPath<Limits, TimeSpan> & Sendable, _ help: String) -> Option {
        Option(name: name, form: .value("MS"), standard: "\(Limits()[keyPath: limit].milliseconds)", help: help) {
            (configuration, text) throws(Mistake) in
            configuration.settings.limits[keyPath: limit] = .milliseconds(Int64(try integer(text, 1...1_000_000_000_000)))
        }
    }

    private static func percent(
        _ name: String, _ threshold: any WritableKeyPath<AlertThresholds, Double> & Sendable, _ help: String
    ) -> Option {
        Option(name: name, form: .value("PERCENT"), standard: "\(AlertThresholds()[keyPath: threshold])", help: help) {
            (configuration, text) throws(Mistake) in
            guard let value = Double(text), value.isFinite, (0...100).contains(value) else {
                throw Mistake(sentence: "'\(text)' is no number from 0 to 100")
            }
            configuration.settings.thresholds[keyPath: threshold] = value
        }
    }

    private static func bytes(
        _ name: String, _ limit: any WritableKeyPath<Limits, Int> & Sendable, _ help: String, max: Int = 1 << 40
    ) -> Option {
        number(name, limit, 1_024...max, help, unit: "BYTES")
    }

    private static func number(
        _ name: String, _ limit: any WritableKeyPath<Limits, Int> & Sendable, _ range: ClosedRange<Int>, _ help: String, unit: String = "N"
    ) -> Option {
        Option(name: name, form: .value(unit), standard: "\(Limits()[keyPath: limit])", help: help) {
            (configuration, text) throws(Mistake) in
            configuration.settings.limits[keyPath: limit] = try integer(text, range)
        }
    }

    private static func integer(_ text: String, _ range: ClosedRange<Int>) throws(Mistake) -> Int {
        guard let number = Int(text), range.contains(number) else {
            throw Mistake(sentence: "'\(text)' is no whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    private static func toggle(_ text: String) throws(Mistake) -> Bool {
        switch text.lowercased() {
        case "1", "true", "yes", "on": return true
        case "0", "false", "no", "off": return false
        default: throw Mistake(sentence: "'\(text)' is neither on nor off")
        }
    }

    private static func words(_ mistake: SocketAddress.Mistake) -> String {
        switch mistake {
        case .portMissing: "the port is missing"
        case .portInvalid: "the port is no number from 0 to 65535"
        case .hostInvalid: "the host is no numeric address and not localhost"
        case .pathInvalid: "the path is empty or too long"
        }
    }
}
