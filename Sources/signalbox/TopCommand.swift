// TopCommand: `signalbox top`: looks at a server every second and shows its fleet in the terminal, or once for a script. Asks over HTTP,
// one question after the other; what the answers say is FleetPicture's.
import Base
import Glibc
import Reactor

struct TopSettings {
    var host = ""
    var port: UInt16 = 80
    var url = ""
    var token = ""
    var isOnce = false
    var interval = TimeSpan.seconds(1)

    init(_ arguments: ArraySlice<String>, environment: (String) -> String?) throws(Mistake) {
        url = environment("SIGNALBOX_URL") ?? "http://127.0.0.1:8000"
        if let given = environment("SIGNALBOX_TOKEN") { token = given }
        var rest = arguments
        while let argument = rest.popFirst() {
            if argument == "--once" {
                isOnce = true
                continue
            }
            let parts = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard ["--url", "--token", "--interval-ms"].contains(String(parts[0])) else {
                throw Mistake(sentence: "'\(argument)' is not understood; see signalbox top --help")
            }
            guard let value = parts.count == 2 ? String(parts[1]) : rest.popFirst() else {
                throw Mistake(sentence: "\(parts[0]) needs a value; see signalbox top --help")
            }
            switch parts[0] {
            case "--url": url = value
            case "--token": token = value
            default:
                guard let milliseconds = Int64(value), (100...3_600_000).contains(milliseconds) else {
                    throw Mistake(sentence: "--interval-ms: '\(value)' is no number of milliseconds from 100 to 3600000")
                }
                interval = .milliseconds(milliseconds)
            }
        }
        try read(url)
    }

    private mutating func read(_ url: String) throws(Mistake) {
        guard !url.hasPrefix("https://") else {
            throw Mistake(
                sentence: "'\(url)': https is not spoken by this command; have a TLS tunnel beside it, and give its http:// address")
        }
        // What a worker is given leads to the same server.
        let scheme = url.hasPrefix("http://") ? 7 : url.hasPrefix("ws://") ? 5 : 0
        let authority = url.dropFirst(scheme).prefix { $0 != "/" && $0 != "?" }
        guard scheme > 0, !authority.contains(where: { $0 <= " " || $0 == "\u{7f}" }) else {
            throw Mistake(sentence: "'\(url)' is no address of a server; wanted is http://HOST:PORT")
        }
        let colon = authority.lastIndex(of: ":").flatMap { authority[$0...].contains("]") ? nil : $0 }
        if let colon {
            guard let number = UInt16(authority[authority.index(after: colon)...]), number > 0 else {
                throw Mistake(sentence: "'\(url)' has no port that can be called")
            }
            port = number
        }
        host = String(authority[..<(colon ?? authority.endIndex)])
        guard !host.isEmpty else { throw Mistake(sentence: "'\(url)' names no host") }
    }

    static let help = """
        signalbox top: shows a server's fleet: workers, groups, the queue, how fast tasks are done, and the progress of the token's user's.

          signalbox top [OPTIONS]

          --url URL          the server, http:// only (SIGNALBOX_URL, default http://127.0.0.1:8000)
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
    do throws(Mistake) {
        settings = try TopSettings(arguments, environment: environment)
        do throws(Resolver.Refusal) {
            address = try Resolver.lookUp(SharedBytes(settings.host), port: settings.port)
        } catch {
            throw Mistake(sentence: "'\(settings.url)': \(error.reason)")
        }
    } catch {
        print("signalbox: \(error.sentence)\n", to: STDERR_FILENO)
        return 2
    }
    let width = environment("COLUMNS").flatMap { Int($0) }.map { max($0, 40) } ?? (settings.isOnce ? 1_000 : 120)
    guard !settings.isOnce else {
        switch look(settings, address) {
        case .success(let picture):
            print(picture.lines(settings.url, after: nil, width: width).joined(separator: "\n") + "\n", to: STDOUT_FILENO)
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
        switch look(settings, address) {
        case .success(let picture):
            lines = picture.lines(settings.url, after: before.map { ($0.picture, now - $0.at) }, width: width)
            before = (picture, now)
        case .failure(let mistake): lines = ["signalbox top   \(settings.url)", "", mistake.sentence]
        }
        // From the top, each line cleared behind its text, and what is below cleared: nothing flickers.
        print("\u{1b}[H" + lines.map { $0 + "\u{1b}[K\r\n" }.joined() + "\u{1b}[J", to: STDOUT_FILENO)
    } while !Signals.wait(for: ends, atMost: settings.interval)
    return 0
}

/// Asks the server for all that the picture shows.
private func look(_ settings: TopSettings, _ address: SocketAddress) -> Result<FleetPicture, Mistake> {
    func ask(_ path: String) throws(Mistake) -> Question.Answer {
        do throws(Errno) {
            return try Question.ask(
                path, of: address, authority: "\(settings.host):\(settings.port)", token: settings.token, patience: .seconds(10))
        } catch {
            throw Mistake(sentence: "\(settings.url) does not answer (\(error.description))")
        }
    }
    do throws(Mistake) {
        let fleet = try ask("/api/fleet")
        guard fleet.status == 200 else { throw Mistake(sentence: "\(settings.url)/api/fleet is answered with \(fleet.status)") }
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
