// SocketSettings: what the operator chose for Socket.IO beyond its limits.
public import SocketIO

/// How Socket.IO is offered.
public struct SocketSettings: Sendable {
    /// What sessions may be carried by.
    public var transports: [EngineTransport]
    /// Whether the paths offer what the protocols' own test suites expect, and nothing else.
    public var isTestMode: Bool

    public init(transports: [EngineTransport] = EngineTransport.allCases, isTestMode: Bool = false) {
        self.transports = transports
        self.isTestMode = isTestMode
    }
}
