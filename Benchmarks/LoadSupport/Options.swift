// Options: what a run is asked to do. Reads the command line and nothing else; no value outside its bounds gets through.

/// The subcommands.
public enum Command: String, Sendable, CaseIterable {
    case echo, handshake, http, dispatch, submit, queue, fanout, monitor, idle
}

/// Why a command line was refused, in words for people.
public struct OptionError: Error, Equatable {
    public let reason: String
}

/// The options of all subcommands; each reads its own.
public struct Options: Equatable, Sendable {
    /// Connections of one run: more than the descriptors that any of our machines grants a process.
    public static let connectionsMax = 1_000_000
    /// Payload bytes of a message: a frame of this size still fits the memory of a small machine 100 times.
    public static let sizeMax = 16 << 20
    /// Messages in flight on a connection.
    public static let depthMax = 4096
    /// Bytes in flight on a connection: what one write may carry at the start of a run.
    public static let flightBytesMax = 64 << 20
    /// Publications of one run.
    public static let publicationsMax = 100_000_000
    /// Tasks or publications of a second.
    public static let rateMax = 10_000_000
    /// What a server lets one worker hold, as far as our own goes.
    public static let concurrencyMax = 1024

    public var command: Command
    public var url: Target
    public var connections = 100
    public var size = 64
    public var depth = 1
    public var seconds = 5.0
    public var warmup = 1.0
    /// The server's processes.
    public var pids: [Int32] = []
    public var opcode = ClientFrame.Opcode.binary
    public var format = Report.Format.table
    public var body: String?
    public var status = 200
    public var clients = 64
    public var workers = 16
    /// Tasks that a worker of `dispatch` takes at once.
    public var concurrency = 1
    public var group = "default"
    public var path = "/api/openai"
    public var wish = Wish.result
    public var queue = Queue.gearman
    public var pollMilliseconds = 5
    public var hold = 5.0
    public var sample = 1000
    /// Handshakes at once.
    public var inFlight = 256
    public var subscribers = 1000
    /// Socket.IO clients of `monitor` that have no WebSocket.
    public var polling = 0
    public var tasks = 1
    public var publications = 100
    public var publisher = Publisher.worker
    /// Where the watchers and the publisher of a server that passes on what comes are at home.
    public var watchPath = "/fan/%"
    public var publishPath = "/publish"
    public var compression = Compression.none
    /// Tasks or publications of a second that are due, whatever became of those before; nil for the next after the last.
    public var rate: Int?
    public var beginning = Beginning.atOnce

    /// Who publishes in `fanout`, and in which words the watchers hear it.
    public enum Publisher: String, Sendable {
        /// A worker reports the progress of its tasks, which are watched as document G has it.
        case worker
        /// The same, watched through the hub (document P).
        case hub
        /// A producer reports on tasks that run elsewhere; their users watch (document N).
        case user
        /// A connection whose messages the server passes on as they are.
        case raw
    }

    /// What the clients of `dispatch`, `submit` and `queue` want to have.
    public enum Wish: Sendable {
        /// The result, in the response to the submission.
        case result
        /// The submission is answered at once, and the task is asked for until it is done.
        case resultLater
        /// That the submission is taken in.
        case receipt
    }

    /// Which server `queue` speaks to.
    public enum Queue: String, Sendable {
        case gearman, redis
    }

    public enum Compression: Sendable {
        case none
        /// permessage-deflate without contexts.
        case deflate
    }

    /// When `fanout` begins, once everybody is there.
    public enum Beginning: Sendable {
        case atOnce
        /// It says `ready` on standard output and waits for a line on standard input.
        case whenTold
    }

    public static let usage = """
        usage: load-generator COMMAND --url URL [options]

        echo       WebSockets that send messages and check that they come back
          --connections N  [100]   --size BYTES [64]   --depth N in flight on each [1]   --text   --deflate
        handshake  WebSockets that are opened and reset
          --in-flight N at once [64]
        http       keep-alive requests
          --connections N  [100]   --depth N pipelined [1]   --body BODY (POST, otherwise GET)   --status CODE wanted [200]
        dispatch   clients that POST tasks, workers that complete them
          --clients N [64]   --workers N [16]   --group NAME [default]   --path PATH [/api/openai]
          --concurrency N tasks that each worker takes at once [1]   --rate N tasks a second
          --async   --poll MILLISECONDS between questions [5]
        submit     clients that POST tasks without waiting for them, workers that complete them
          --clients N [64]   --workers N [16]   --group NAME [default]   --path PATH [/api/openai]   --rate N tasks a second
        queue      the same two with a peer's protocol: clients, and workers that complete one task at a time
          --queue gearman|redis   --clients N [64]   --workers N [16]   --async (no result, as submit)   --rate N tasks a second
        fanout     watchers of tasks whose progress is told
          --subscribers N [1000]   --tasks N, which share the watchers [1]   --publications N measured, in turn about the tasks [100]
          --in-flight N of them [1]   --rate N publications a second instead   --bytes N of a publication, about [300]
          --publisher worker|hub|user|raw   --group NAME [default]   --path PATH [/api/openai]
          raw: --watch PATH with % for the task [/fan/%]   --publish PATH [/publish]
          --gate (says ready, and waits for a line)
        monitor    Socket.IO clients that subscribe to all of the fleet's events, and activities that are posted
          --subscribers N by WebSocket [1000]   --polling N more by polling [0]   --publications N measured [100]
          --in-flight N of them [1]   --bytes N of an event, about [350]
        idle       WebSockets that do nothing, and what they weigh
          --connections N [100]   --hold SECONDS [5]   --sample N that must still echo [1000]   --deflate

        all        --pid SERVER,…   --json
        all but fanout, monitor, idle:    --seconds S measured [5]   --warmup S before [1]
        all but fanout, monitor, http:    --in-flight N handshakes at once [256]
        """

    /// Reads a command line, without the name of the program.
    public static func parse(_ arguments: [String]) throws(OptionError) -> Options {
        guard let word = arguments.first, let command = Command(rawValue: word) else {
            let words = Command.allCases.map(\.rawValue).joined(separator: ", ")
            throw OptionError(reason: "the first word is one of \(words)")
        }
        var place = 1
        var url: Target?
        var pairs: [(name: String, value: String)] = []
        while place < arguments.count {
            let name = arguments[place]
            guard let kind = kinds[name], kind.commands.contains(command) else {
                throw OptionError(reason: "\(command.rawValue) has no option \(name)")
            }
            guard kind.takesValue else {
                pairs.append((name, ""))
                place += 1
                continue
            }
            guard place + 1 < arguments.count else { throw OptionError(reason: "\(name) lacks its value") }
            if name == "--url" {
                guard let target = Target(arguments[place + 1]) else {
                    throw OptionError(
                        reason: "--url is ws://, http:// or tcp:// and an address in 127.0.0.0/8, not \(arguments[place + 1])")
                }
                url = target
            } else {
                pairs.append((name, arguments[place + 1]))
            }
            place += 2
        }
        guard let url else { throw OptionError(reason: "--url is needed") }
        var options = Options(command: command, url: url)
        for pair in pairs { try options.set(pair.name, pair.value) }
        guard command == .monitor || options.tasks <= options.subscribers else {
            throw OptionError(reason: "--tasks is more than --subscribers")
        }
        guard options.subscribers + options.polling > 0 else {
            throw OptionError(reason: "--subscribers and --polling are both 0")
        }
        guard options.depth * options.size <= flightBytesMax else {
            throw OptionError(reason: "--depth times --size is more than \(flightBytesMax) bytes")
        }
        return options
    }

    private init(command: Command, url: Target) {
        self.command = command
        self.url = url
        switch command {
        case .fanout: size = 300
        // An activity of few words is hardly shorter.
        case .monitor: size = 350
        case .handshake: inFlight = 64
        case .submit: wish = .receipt
        case .echo, .http, .dispatch, .queue, .idle: break
        }
    }

    private struct Kind {
        let takesValue: Bool
        let commands: [Command]
    }

    private static let kinds: [String: Kind] = [
        "--url": Kind(takesValue: true, commands: Command.allCases),
        "--json": Kind(takesValue: false, commands: Command.allCases),
        "--pid": Kind(takesValue: true, commands: Command.allCases),
        "--seconds": Kind(takesValue: true, commands: [.echo, .handshake, .http, .dispatch, .submit, .queue]),
        "--warmup": Kind(takesValue: true, commands: [.echo, .handshake, .http, .dispatch, .submit, .queue]),
        "--connections": Kind(takesValue: true, commands: [.echo, .http, .idle]),
        "--depth": Kind(takesValue: true, commands: [.echo, .http]),
        "--size": Kind(takesValue: true, commands: [.echo]),
        "--text": Kind(takesValue: false, commands: [.echo]),
        "--deflate": Kind(takesValue: false, commands: [.echo, .idle]),
        "--body": Kind(takesValue: true, commands: [.http]),
        "--status": Kind(takesValue: true, commands: [.http]),
        "--clients": Kind(takesValue: true, commands: [.dispatch, .submit, .queue]),
        "--workers": Kind(takesValue: true, commands: [.dispatch, .submit, .queue]),
        "--concurrency": Kind(takesValue: true, commands: [.dispatch]),
        "--group": Kind(takesValue: true, commands: [.dispatch, .submit, .fanout]),
        "--path": Kind(takesValue: true, commands: [.dispatch, .submit, .fanout]),
        "--async": Kind(takesValue: false, commands: [.dispatch, .queue]),
        "--poll": Kind(takesValue: true, commands: [.dispatch]),
        "--queue": Kind(takesValue: true, commands: [.queue]),
        "--rate": Kind(takesValue: true, commands: [.dispatch, .submit, .queue, .fanout]),
        "--hold": Kind(takesValue: true, commands: [.idle]),
        "--sample": Kind(takesValue: true, commands: [.idle]),
        "--in-flight": Kind(takesValue: true, commands: [.echo, .handshake, .dispatch, .submit, .queue, .fanout, .monitor, .idle]),
        "--subscribers": Kind(takesValue: true, commands: [.fanout, .monitor]),
        "--polling": Kind(takesValue: true, commands: [.monitor]),
        "--tasks": Kind(takesValue: true, commands: [.fanout]),
        "--publications": Kind(takesValue: true, commands: [.fanout, .monitor]),
        "--bytes": Kind(takesValue: true, commands: [.fanout, .monitor]),
        "--publisher": Kind(takesValue: true, commands: [.fanout]),
        "--watch": Kind(takesValue: true, commands: [.fanout]),
        "--publish": Kind(takesValue: true, commands: [.fanout]),
        "--gate": Kind(takesValue: false, commands: [.fanout]),
    ]

    private mutating func set(_ name: String, _ value: String) throws(OptionError) {
        switch name {
        case "--json": format = .json
        case "--pid":
            for word in value.split(separator: ",", omittingEmptySubsequences: false) {
                pids.append(Int32(try Self.number(name, String(word), in: 1...Int(Int32.max))))
            }
        case "--seconds": seconds = try Self.duration(name, value)
        case "--warmup": warmup = try Self.duration(name, value)
        case "--hold": hold = try Self.duration(name, value)
        case "--connections": connections = try Self.number(name, value, in: 1...Self.connectionsMax)
        case "--depth": depth = try Self.number(name, value, in: 1...Self.depthMax)
        case "--size": size = try Self.number(name, value, in: 1...Self.sizeMax)
        case "--text": opcode = .text
        case "--body": body = value
        case "--status": status = try Self.number(name, value, in: 100...599)
        case "--clients": clients = try Self.number(name, value, in: 1...Self.connectionsMax)
        case "--workers": workers = try Self.number(name, value, in: 1...Self.connectionsMax)
        case "--concurrency": concurrency = try Self.number(name, value, in: 1...Self.concurrencyMax)
        case "--group": group = try Self.word(name, value)
        case "--path": path = try Self.word(name, value)
        case "--async": wish = command == .queue ? .receipt : .resultLater
        case "--queue": queue = try Self.choice(name, value)
        case "--rate": rate = try Self.number(name, value, in: 1...Self.rateMax)
        case "--deflate": compression = .deflate
        case "--poll": pollMilliseconds = try Self.number(name, value, in: 0...10_000)
        case "--sample": sample = try Self.number(name, value, in: 0...Self.connectionsMax)
        case "--in-flight" where command == .fanout || command == .monitor: depth = try Self.number(name, value, in: 1...Self.depthMax)
        case "--in-flight": inFlight = try Self.number(name, value, in: 1...10_000)
        case "--subscribers":
            subscribers = try Self.number(name, value, in: (command == .monitor ? 0 : 1)...Self.connectionsMax)
        case "--polling": polling = try Self.number(name, value, in: 0...Self.connectionsMax)
        case "--tasks": tasks = try Self.number(name, value, in: 1...Self.connectionsMax)
        case "--publications": publications = try Self.number(name, value, in: 1...Self.publicationsMax)
        case "--bytes": size = try Self.number(name, value, in: 1...65_535)
        case "--publisher": publisher = try Self.choice(name, value)
        case "--watch": watchPath = try Self.word(name, value)
        case "--publish": publishPath = try Self.word(name, value)
        case "--gate": beginning = .whenTold
        default: preconditionFailure("\(name) is in the table and has no meaning")
        }
    }

    private static func number(_ name: String, _ value: String, in bounds: ClosedRange<Int>) throws(OptionError) -> Int {
        guard let number = Int(value), bounds.contains(number) else {
            throw OptionError(reason: "\(name) is a number from \(bounds.lowerBound) to \(bounds.upperBound), not \(value)")
        }
        return number
    }

    private static func duration(_ name: String, _ value: String) throws(OptionError) -> Double {
        guard let seconds = Double(value), seconds >= 0, seconds <= 3600 else {
            throw OptionError(reason: "\(name) is a number of seconds up to 3600, not \(value)")
        }
        return seconds
    }

    private static func choice<Choice: RawRepresentable<String>>(_ name: String, _ value: String) throws(OptionError) -> Choice {
        guard let choice = Choice(rawValue: value) else { throw OptionError(reason: "\(name) knows no \(value)") }
        return choice
    }

    /// Goes into a request line or into JSON as it is, so it must not hold what either would need escaped.
    private static func word(_ name: String, _ value: String) throws(OptionError) -> String {
        guard !value.isEmpty, value.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f && $0 != 0x22 && $0 != 0x5c }) else {
            throw OptionError(reason: "\(name) is a word without spaces, quotes or backslashes")
        }
        return value
    }
}
