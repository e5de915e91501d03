// PeerCertificate: whom the other end of a connection has shown to be, by a certificate that an authority of the operator's has signed.
// Made by the reactor once it is verified; what its bearer may do is the machine's to say.

/// A client's certificate, verified.
public struct PeerCertificate: Hashable, Sendable {
    /// The common name of its subject; empty where it has none.
    public let name: SharedBytes
    /// From when on it proves something; nil where that is not known.
    public let issuedAt: WallTime?
    /// From when on it proves nothing any more.
    public let expiry: WallTime

    public init(name: SharedBytes, issuedAt: WallTime? = nil, expiry: WallTime) {
        self.name = name
        self.issuedAt = issuedAt
        self.expiry = expiry
    }
}
