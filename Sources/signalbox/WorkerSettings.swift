// WorkerSettings: what `signalbox worker` was asked for: whose worker it is, and which command does the work. Reads arguments and
// variables; connects nothing.
import Base
import Reactor

struct WorkerSettings {
    /// Where the server is; the worker adds its own to the query.
    let server: ServerAddress
    /// PEM files: the authorities that are believed, and a certificate of its own with its key.
    var authorities: String?
    var certificate: String?
    var key: String?
    var group = "default"
    var concurrency = 1
    var models: [String] = []
    var token = ""
    /// From SIGTERM to SIGKILL, where a task is cancelled.
    var grace = TimeSpan.seconds(10)
    var command: [String] = []

    static let concurrencyMax = 4_096

    /// - Throws: what is wrong with the command line.
    init(_ arguments: ArraySlice<String>, environment: (String) -> String?) throws(Mistake) {
        var url = environment("SIGNALBOX_URL") ?? "ws://127.0.0.1:8000/ws"
        if let named = environment("WORKER_GROUP") { group = named }
        if let given = environment("SIGNALBOX_TOKEN") { token = given }
        if let file = environment("SIGNALBOX_CA") { authorities = file }
        if let file = environment("SIGNALBOX_CERT") { certificate = file }
        if let file = environment("SIGNALBOX_KEY") { key = file }
        var given: [(name: String, value: String)] = []
        var rest = arguments
        while let argument = rest.popFirst() {
            if argument == "--" {
                command = Array(rest)
                break
            }
            guard argument.hasPrefix("--") else {
                throw Mistake(sentence: "'\(argument)' is not understood; the command stands behind --, see signalbox worker --help")
            }
            let parts = argument.dropFirst(2).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = String(parts[0])
            guard WorkerSettings.names.contains(name) else {
                throw Mistake(sentence: "there is no option --\(name); see signalbox worker --help")
            }
            guard let value = parts.count == 2 ? String(parts[1]) : rest.popFirst() else {
                throw Mistake(sentence: "--\(name) needs a value; see signalbox worker --help")
            }
            if name == "url" { url = value } else { given.append((name, value)) }
        }
        server = try ServerAddress(url, schemes: ["ws", "wss"], example: "ws://HOST:PORT/ws or wss://HOST:PORT/ws")
        for (name, value) in given {
            if WorkerSettings.fileNames.contains(name), !server.isSecure {
                throw Mistake(sentence: "--\(name) is for TLS, and '\(url)' has none; wanted is wss://")
            }
            try set(name, value)
        }
        guard (certificate == nil) == (key == nil) else { throw Mistake(sentence: "--cert and --key go together") }
        guard !command.isEmpty else {
            throw Mistake(sentence: "there is no command: signalbox worker [OPTIONS] -- COMMAND [ARGUMENTS]")
        }
        guard token.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) else { throw Mistake(sentence: "--token: this is no token") }
    }

    private static let fileNames = ["ca", "cert", "key"]
    private static let names = ["url", "group", "concurrency", "models", "token", "grace-ms"] + fileNames

    private mutating func set(_ name: String, _ value: String) throws(Mistake) {
        switch name {
        case "group": group = value
        case "token": token = value
        case "ca": authorities = value
        case "cert": certificate = value
        case "key": key = value
        case "models": models = value.split(separator: ",").map(String.init)
        case "concurrency":
            guard let count = Int(value), (1...WorkerSettings.concurrencyMax).contains(count) else {
                throw Mistake(sentence: "--concurrency: '\(value)' is no number from 1 to \(WorkerSettings.concurrencyMax)")
            }
            concurrency = count
        default:
            guard let milliseconds = Int64(value), (0...3_600_000).contains(milliseconds) else {
                throw Mistake(sentence: "--grace-ms: '\(value)' is no number of milliseconds up to 3600000")
            }
            grace = .milliseconds(milliseconds)
        }
    }

    /// What calls over TLS have in common; nil where there is none.
    func trust() throws(TLSMistake) -> TLSTrust? {
        guard server.isSecure else { return nil }
        var own: (file: String, key: String)?
        if let certificate, let key { own = (certificate, key) }
        return try TLSTrust(authorities: authorities, certificate: own)
    }

    /// Where the worker connects to.
    ///
    /// - Parameter id: the name that it had, where it had one.
    func target(resuming id: String?) -> String {
        var words = server.query.isEmpty ? [] : [server.query]
        words.append("group=\(WorkerSettings.escaped(group))")
        words.append("ready=explicit")
        if let id { words.append("worker_id=\(WorkerSettings.escaped(id))") }
        return (server.path.isEmpty ? "/ws" : server.path) + "?" + words.joined(separator: "&")
    }

    /// RFC 3986 §2.3: what needs no escape, and all else as its bytes.
    private static func escaped(_ text: String) -> String {
        var escaped = ""
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
                UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "~"):
                escaped.unicodeScalars.append(Unicode.Scalar(byte))
            default:
                let digits = String(byte, radix: 16, uppercase: true)
                escaped += "%" + (digits.utf8.count == 1 ? "0" : "") + digits
            }
        }
        return escaped
    }

    static let help = """
        signalbox worker: makes a worker of any command.

          signalbox worker [OPTIONS] -- COMMAND [ARGUMENTS]

        The command is run once for each task: the payload, as JSON, is its standard input, and its standard output the result: JSON as it
        stands, anything else as a text. A line on standard error is a line of the task's log, unless it is "progress 40 words" or a JSON
        object with "progress", "message" or "chunk", a piece of a streamed result. Another exit code than 0 is a failure, and the last
        lines of standard error say why. Cancelled tasks get SIGTERM, and SIGKILL after the grace. SIGNALBOX_TASK_ID names the task.

        A connection that ends is made anew, after 1 to 30 seconds, under the same name; results that were not confirmed are sent again.
        SIGTERM and SIGINT let the worker finish what it has in hand; a second one ends it at once.

          --url URL            the server, ws:// or wss:// (SIGNALBOX_URL, default ws://127.0.0.1:8000/ws)
          --ca FILE            PEM file with the authorities that its certificate may be by (SIGNALBOX_CA, default the system's)
          --cert FILE          PEM file with a certificate that speaks for the worker (SIGNALBOX_CERT, default none)
          --key FILE           PEM file with its private key (SIGNALBOX_KEY, default none)
          --group NAME         whose tasks it takes (WORKER_GROUP, default default)
          --concurrency N      how many at a time (default 1)
          --models NAME,NAME   models that it declares (default none)
          --token TOKEN        a token of role worker (SIGNALBOX_TOKEN, default none)
          --grace-ms MS        from SIGTERM to SIGKILL (default 10000)

        """
}
