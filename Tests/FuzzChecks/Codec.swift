// Codec: every check that takes bytes from anywhere: libFuzzer hands them new ones (Tests/Fuzzers), FuzzChecksTests those that are kept in
// Tests/Fuzzers/Corpus. A check returns, or ends the process.

/// What is fuzzed, under the name that `make fuzz CODEC=…` takes.
public enum Codec: String, CaseIterable, Sendable {
    case http, chunked, websocket, engineio, socketio, json, jwt, query, database, dialects, completions
    /// None: a fault that must be found.
    case canary

    /// Those in which nothing may be found.
    public static let sound = allCases.filter { $0 != .canary }

    /// Whether it takes its input in pieces, which the lower four bits of the first byte choose.
    public var isIncremental: Bool {
        switch self {
        case .http, .chunked, .websocket, .engineio, .socketio, .query: true
        case .json, .jwt, .database, .dialects, .completions, .canary: false
        }
    }

    /// - Parameter bytes: a byte of choices, and what they are about.
    public func check(_ bytes: [UInt8]) {
        let input = FuzzInput(bytes)
        switch self {
        case .http: checkHTTP(input)
        case .chunked: checkChunked(input)
        case .websocket: checkWebSocket(input)
        case .engineio: checkEngineIO(input)
        case .socketio: checkSocketIO(input)
        case .json: checkJSON(input)
        case .jwt: checkTokens(input)
        case .query: checkQuery(input)
        case .database: checkDatabase(input)
        case .dialects: checkDialects(input)
        case .completions: checkCompletions(input)
        case .canary: checkCanary(input)
        }
    }
}
