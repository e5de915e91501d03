// TakeoverWords: what two processes say to each other while one takes over from the other, as text: read and written here, said elsewhere.
// One message a word; a version goes first, so that two that do not understand each other find out before anything has happened.
//
//     successor            predecessor
//     hello ─────────────→
//           ←───────────── offer, and its listening sockets: the door, then the others, a line each
//     go ────────────────→                            until here either may leave, and nothing has happened
//           ←───────────── yours                      everything is written, the database is closed
//                          (closes its sockets, and ends)

/// One message.
enum TakeoverWords: Equatable {
    /// Somebody would take over.
    case hello(version: String)
    /// What there is to be taken over.
    case offer(version: String, [Offered])
    /// The sockets are in good hands: give way.
    case go
    /// The data is free.
    case yours
    /// It will not be, and why.
    case refused(String)

    /// A listening socket, as it was asked for.
    struct Offered: Equatable {
        /// As it stood on the command line: its port may have been chosen by the kernel.
        let wanted: String
        /// Whether a unix socket's file goes with it.
        let ownsFile: Bool
    }

    /// Raised with every change of the words.
    static let version = "signalbox-takeover-1"

    var text: String {
        let words: [String] =
            switch self {
            case .hello(let version): ["hello \(version)"]
            case .offer(let version, let offered): ["offer \(version)"] + offered.map { "\($0.ownsFile ? "own" : "lent") \($0.wanted)" }
            case .go: ["go"]
            case .yours: ["yours"]
            case .refused(let reason): ["refused \(reason)"]
            }
        return ([TakeoverWords.version] + words).joined(separator: "\n")
    }

    /// - Returns: nil for what is none of these, or of another version.
    init?(_ text: String) {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        guard lines.count >= 2, lines[0] == TakeoverWords.version else { return nil }
        let (verb, rest) = TakeoverWords.halves(lines[1])
        switch verb {
        case "hello" where lines.count == 2: self = .hello(version: rest)
        case "go" where lines.count == 2 && rest.isEmpty: self = .go
        case "yours" where lines.count == 2 && rest.isEmpty: self = .yours
        case "refused" where lines.count == 2: self = .refused(rest)
        case "offer":
            var offered: [Offered] = []
            for line in lines.dropFirst(2) {
                let (kind, wanted) = TakeoverWords.halves(line)
                guard kind == "own" || kind == "lent", !wanted.isEmpty else { return nil }
                offered.append(Offered(wanted: wanted, ownsFile: kind == "own"))
            }
            self = .offer(version: rest, offered)
        default: return nil
        }
    }

    private static func halves(_ line: Substring) -> (first: String, rest: String) {
        let first = line.prefix { $0 != " " }
        return (String(first), String(line.dropFirst(first.count + 1)))
    }
}
