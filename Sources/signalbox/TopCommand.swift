// TopCommand: `signalbox top`: looks at a server every second and shows its fleet in the terminal, or once for a script. Asks over HTTP,
// one question after the other; what the answers say is FleetPicture's.
import Base
import Glibc
import Reactor

struct TopSettings {
    let server: ServerAddress
    /// A PEM file with the authorities that are believed; nil for the system's.
    var authorities: String?
    var token = ""
    var isOnce = false
    var interval = TimeSpan.seconds(1)

    init(_ arguments: ArraySlice<String>, environment: (String) -> String?) throws(Mistake) {
        var url = environment("SIGNALBOX_URL") ?? "http://127.0.0.1:8000"
        if let given = environment("SIGNALBOX_TOKEN") { token = given }
        if let file = environment("SIGNALBOX_CA") { authorities = file }
        var isForTLS = false
        var rest = arguments
        while let argument = rest.popFirst() {
            if argument == "--once" {
                isOnce = true
                continue
            }
            let parts = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard ["--url", "--token", "--ca", "--interval-ms"].contains(String(parts[0])) else {
                throw Mistake(sentence: "'\(argument)' is not understood; see signalbox top --help")
            }
            guard let value = parts.count == 2 ? String(parts[1]) : rest.popFirst() else {
                throw Mistake(sentence: "\(parts[0]) needs a value; see signalbox top --help")
            }
            switch parts[0] {
            case "--url": url = value
            case "--token": token = value
            case "--ca":
                authorities = value
                isForTLS = true
            default:
                guard let milliseconds = Int64(value), (100...3_600_000).contains(milliseconds) else {
                    throw Mistake(sentence: "--interval-ms: '\(value)' is no number of milliseconds from 100 to 3600000")
                }
                interval = .milliseconds(milliseconds)
            }
        }
        // What a worker is given leads to the same server.
        server = try ServerAddress(url, schemes: ["http", "https", "ws", "wss"], example: "http://HOST:PORT or https://HOST:PORT")
        if isForTLS, !server.isSecure { throw Mistake(sentence: "--ca is for TLS, and '\(url)' has none; wanted is https://") }
    }

    static let help = """
        signalbox top: shows a server's fleet: workers, groups, the queue, how fast tasks are done, and the progress of the token's user's.

          signalbox top [OPTIONS]

          --url URL          the server, http:// or https:// (SIGNALBOX_URL, default http://127.0.0.1:8000)
          --ca FILE          PEM file with the authorities that its certificate may be by (SIGNALBOX_CA, default the system's)
          --token TOKEN      whose tasks are shown; with --auth all an admin's (SIGNALBOX_TOKEN, default none)
          --interval-ms MS   how often it looks (default 1000)
          --once             shows one picture, without colours or movement, and ends

        """
}

/// `signalbox top`, from its arguments to its exit code.
func top(_ arguments: ArraySlice<String>, environment: (String) -> String?) -> Int32 {
    if arguments.contains(where: { $0 == "--help" || $0 == "-h" }) {
        print(TopSettings.help, to: STDOUT_FILENO)
        return 0
    }
    let settings: TopSettings
    let address: SocketAddress
    let trust: TLSTrust?
    do throws(Mistake) {
        settings = try TopSettings(arguments, environment: environment)
        do throws(Resolver.Refusal) {
            address = try Resolver.lookUp(SharedBytes(settings.server.host), port: settings.server.port)
        } catch {
            throw Mistake(sentence: "'\(settings.server.url)': \(error.reason)")
        }
        do throws(TLSMistake) {
            trust = settings.server.isSecure ? try TLSTrust(authorities: settings.authorities) : nil
        } catch {
            throw Mistake(sentence: error.sentence)
        }
    } catch {
        print("signalbox: \(error.sentence)\n", to: STDERR_FILENO)
        return 2
    }
    let width = environment("COLUMNS").flatMap { Int($0) }.map { max($0, 40) } ?? (settings.isOnce ? 1_000 : 120)
    guard !settings.isOnce else {
        switch look(settings, address, trust) {
        case .success(let picture):
            print(picture.lines(settings.server.url, after: nil, width: width).joined(separator: "\n") + "\n", to: STDOUT_FILENO)
            return 0
        case .failure(let mistake):
            print("signalbox: \(mistake.sentence)\n", to: STDERR_FILENO)
            return 1
        }
    }
    let ends = [SIGINT, SIGTERM]
    Signals.block(ends)
    // Another screen, so that what was there before is there again afterwards (xterm's DECSET 1049); without the cursor.
    print("\u{1b}[?1049h\u{1b}[?25l", to: STDOUT_FILENO)
    defer { print("\u{1b}[?25h\u{1b}[?1049l", to: STDOUT_FILENO) }
    var before: (picture: FleetPicture, at: Instant)?
    repeat {
        let now = SystemClock.now()
        let lines: [String]
        switch look(settings, address, trust) {
        case .success(let picture):
            lines = picture.lines(settings.server.url, after: before.map { ($0.picture, now - $0.at) }, width: width)
            before = (picture, now)
        case .failure(let mistake): lines = ["signalbox top   \(settings.server.url)", "", mistake.sentence]
        }
        // From the top, each line cleared behind its text, and what is below cleared: nothing flickers.
        print("\u{1b}[H" + lines.map { $0 + "\u{1b}[K\r\n" }.joined() + "\u{1b}[J", to: STDOUT_FILENO)
    } while !Signals.wait(for: ends, atMost: settings.interval)
    return 0
}

/// Asks the server for all that the picture shows.
private func look(_ settings: TopSettings, _ address: SocketAddress, _ trust: TLSTrust?) -> Result<FleetPicture, Mistake> {
    let server = settings.server
    let identity = trust.map { (host: server.certifiedName, trust: $0) }
    func ask(_ path: String) throws(Mistake) -> Question.Answer {
        do throws(Question.Failure) {
            return try Question.ask(
                path, of: address, identity, authority: server.authority, token: settings.token, patience: .seconds(10))
        } catch {
            switch error {
            case .broken(let code): throw Mistake(sentence: "\(server.url) does not answer (\(code.description))")
            case .refused(let refusal): throw Mistake(sentence: refusal.sentence(of: server.certifiedName))
            }
        }
    }
    do throws(Mistake) {
        let fleet = try ask("/api/fleet")
        guard fleet.status == 200 else { throw Mistake(sentence: "\(settings.server.url)/api/fleet is answered with \(fleet.status)") }
        var picture = FleetPicture(fleet: fleet.body)
        let metrics = try ask("/metrics")
        if metrics.status == 200 { picture.samples = FleetPicture.samples(in: metrics.body) }
        if !settings.token.isEmpty {
            let tasks = try ask("/api/task/tasks?status=running&limit=20")
            if tasks.status == 200 { picture.tasks = FleetPicture.tasks(in: tasks.body) }
        }
        return .success(picture)
    } catch {
        return .failure(error)
    }
}
