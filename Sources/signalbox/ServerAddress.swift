// ServerAddress: the URL of a server, as the commands that call one are given it (RFC 3986 §3): where it is, whether TLS is spoken, and
// what is asked for. Looks nobody up.
struct ServerAddress {
    let url: String
    let isSecure: Bool
    let host: String
    let port: UInt16
    /// Empty where none is named.
    let path: String
    let query: String

    /// - Parameters:
    ///   - schemes: those that the command takes: `ws`, `wss`, `http` and `https`.
    ///   - example: what is wanted, for a sentence about something else.
    init(_ url: String, schemes: [String], example: String) throws(Mistake) {
        self.url = url
        guard let scheme = schemes.first(where: { url.hasPrefix("\($0)://") }),
            !url.contains(where: { $0 <= " " || $0 == "#" || $0 == "\u{7f}" })
        else { throw Mistake(sentence: "'\(url)' is no address of a server; wanted is \(example)") }
        isSecure = scheme == "wss" || scheme == "https"
        let rest = url.dropFirst(scheme.count + 3)
        let authority = rest.prefix { $0 != "/" && $0 != "?" }
        let asked = rest.dropFirst(authority.count).split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        path = asked.first.map { String($0) } ?? ""
        query = asked.count == 2 ? String(asked[1]) : ""
        // The colons within the brackets of an IPv6 address separate nothing.
        let colon = authority.lastIndex(of: ":").flatMap { authority[$0...].contains("]") ? nil : $0 }
        if let colon {
            guard let number = UInt16(authority[authority.index(after: colon)...]), number > 0 else {
                throw Mistake(sentence: "'\(url)' has no port that can be called")
            }
            port = number
        } else {
            // RFC 9110 §4.2, RFC 6455 §3.
            port = isSecure ? 443 : 80
        }
        host = String(authority[..<(colon ?? authority.endIndex)])
        guard !host.isEmpty else { throw Mistake(sentence: "'\(url)' names no host") }
    }

    /// What the Host field says.
    var authority: String { "\(host):\(port)" }

    /// For whom the server's certificate has to be: a name without the dot that may end it, or an address without its brackets.
    var certifiedName: String {
        if host.hasPrefix("["), host.hasSuffix("]") { return String(host.dropFirst().dropLast()) }
        return host.hasSuffix(".") ? String(host.dropLast()) : host
    }
}
