// Settings: what the operator chose for the server, beyond its limits.
public import Base
public import Domain
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
    public var sockets: SocketSettings
    /// From where on the machine's figures are an alert.
    public var thresholds: AlertThresholds
    public var version: StaticString

    public init(
        limits: Limits = Limits(), echoPath: SharedBytes? = nil, deflate: DeflatePolicy = .off, origins: [SharedBytes] = [],
        authentication: Authentication = Authentication(), sockets: SocketSettings = SocketSettings(),
        thresholds: AlertThresholds = AlertThresholds(), version: StaticString = "development"
    ) {
        self.limits = limits
        self.echoPath = echoPath
        self.deflate = deflate
        self.origins = origins
        self.authentication = authentication
        self.sockets = sockets
        self.thresholds = thresholds
        self.version = version
    }
}
