// CrossOrigin: what the pages of other origins may ask for and read, where the operator has named these: the fields of the Fetch standard's
// CORS protocol (§3.2). Whose page may speak at all is Origin's; Engine.IO has its own words. Tokens travel in fields that a page writes
// itself, and nothing here is known by a cookie, so that credentials in the standard's sense are never allowed.
internal import Base
internal import HTTP1

/// Who reads the answer to a request.
enum CrossOrigin {
    /// The server's own pages, programs, and whoever is not named; or nobody is named at all.
    case nobody(isAsked: Bool)
    /// A page of an origin that the operator has named, as its browser writes it.
    case page(SharedBytes)

    init(_ head: borrowing RequestHead, _ bytes: Span<UInt8>, allowed: [SharedBytes]) {
        guard !allowed.isEmpty, let origin = head.value(.origin), Origin.isListed(bytes.extracting(origin), in: allowed) else {
            self = .nobody(isAsked: !allowed.isEmpty)
            return
        }
        self = .page(SharedBytes(copying: bytes.extracting(origin)))
    }

    /// Writes what lets the page read the answer. A cache is told that others get another one (RFC 9110 §12.5.5).
    func write(to writer: inout ByteWriter) {
        guard case .page(let origin) = self else {
            if case .nobody(isAsked: true) = self { ResponseWriter.field("Vary", "Origin", into: &writer) }
            return
        }
        writer.append("Access-Control-Allow-Origin: ")
        writer.append(origin)
        writer.append("\r\nAccess-Control-Expose-Headers: Retry-After, WWW-Authenticate, X-Request-ID\r\nVary: Origin\r\n")
    }

    /// What a browser asks before a request that its page makes unusual. The star stands for all fields but Authorization, for which the
    /// standard wants its name.
    func permission(of methods: StaticString) -> SharedBytes {
        guard case .page = self else { return .empty }
        var fields = ByteWriter(capacity: 160)
        ResponseWriter.field("Access-Control-Allow-Methods", methods, into: &fields)
        fields.append("Access-Control-Allow-Headers: Authorization, *\r\nAccess-Control-Max-Age: 600\r\n")
        return fields.take()
    }
}
