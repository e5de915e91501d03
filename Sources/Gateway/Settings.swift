// Settings: what the operator chose for the server, beyond its limits.
public import Base
public import WebSockets

/// What a server is made with.
public struct Settings: Sendable {
    public var limits: Limits
    /// Where WebSocket messages are echoed, for diagnosis; nil for nowhere.
    public var echoPath: SharedBytes?
    public var deflate: DeflatePolicy
    /// Origins of web pages that may speak to the server beside its own, as browsers name them (`https://app.example`).
    public var origins: [SharedBytes]
    /// Who needs a token where.
    public var authentication: Authentication
    public var version: StaticString

    public init(
        limits: Limits = Limits(), echoPath: SharedBytes? = nil, deflate: DeflatePolicy = .off, origins: [SharedBytes] = [],
        authentication: Authentication = Authentication(), version: StaticString = "development"
    ) {
        self.limits = limits
        self.echoPath = echoPath
        self.deflate = deflate
        self.origins = origins
        self.authentication = authentication
        self.version = version
    }
}
