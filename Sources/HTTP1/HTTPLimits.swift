// HTTPLimits: how much of everything one request may bring. Not the clocks, which the caller runs by the phase of the exchange.

/// The bounds of one request; each is checked before anything is built from the bytes that it bounds.
public struct HTTPLimits: Hashable, Sendable {
    /// Bytes of a request head, request line and blank line included. 16 KiB hold a large token and a dozen cookies.
    public let headerBytesMax: Int
    /// Header fields of a request. Browsers behind two proxies send about forty.
    public let headerCountMax: Int
    /// Bytes of a request target. RFC 9112 §3 asks for at least 8000 in a request line.
    public let targetBytesMax: Int
    /// Bytes of a request's content, after the chunks are taken out.
    public let bodyBytesMax: Int
    /// Bytes of one chunk size line with its extensions and CRLF: sixteen digits and a signature fit.
    public let chunkHeaderBytesMax: Int
    /// Bytes of all trailer fields with their CRLFs. They are read only to be dropped.
    public let trailerBytesMax: Int
    /// Bytes of content that are read and dropped to keep a connection whose request was answered early; 64 KiB cost less than a new
    /// connection.
    public let drainBytesMax: Int

    public init(
        headerBytesMax: Int = 16 * 1024,
        headerCountMax: Int = 100,
        targetBytesMax: Int = 8 * 1024,
        bodyBytesMax: Int = 8 * 1024 * 1024,
        chunkHeaderBytesMax: Int = 256,
        trailerBytesMax: Int = 4 * 1024,
        drainBytesMax: Int = 64 * 1024
    ) {
        precondition(headerBytesMax > 0 && headerBytesMax <= 65_535, "the table of a head has 16-bit offsets")
        precondition(headerCountMax > 0 && headerCountMax <= 254, "the table of a head has 8-bit links")
        precondition(targetBytesMax > 0 && targetBytesMax <= headerBytesMax, "a target of \(targetBytesMax) bytes fits in no head")
        precondition(bodyBytesMax >= 0 && drainBytesMax >= 0, "lengths are not negative")
        precondition(chunkHeaderBytesMax >= 3 && chunkHeaderBytesMax <= 65_535, "the shortest chunk size line has three bytes")
        precondition(trailerBytesMax >= 2 && trailerBytesMax <= 65_535, "the shortest trailer section has two bytes")
        self.headerBytesMax = headerBytesMax
        self.headerCountMax = headerCountMax
        self.targetBytesMax = targetBytesMax
        self.bodyBytesMax = bodyBytesMax
        self.chunkHeaderBytesMax = chunkHeaderBytesMax
        self.trailerBytesMax = trailerBytesMax
        self.drainBytesMax = drainBytesMax
    }

    /// Bytes of a request line with its CRLF: the target, and room for the longest method in use, two spaces and the version.
    var requestLineBytesMax: Int { targetBytesMax + 48 }
}
