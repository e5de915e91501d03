// DeflateNegotiation: which offer of permessage-deflate the server takes, and what it answers. Reads a header value in one pass, with
// no backtracking; compresses nothing. Obeys RFC 7692 §5 and §7.1, RFC 6455 §9.1.
public import Base

/// What the server is willing to do.
public struct DeflatePolicy: Equatable, Sendable {
    /// Whether the extension is taken at all.
    public var isEnabled: Bool
    /// Whether the server may keep its compression context from message to message: better compression, up to 256 KiB a connection.
    public var keepsServerContext: Bool
    /// Whether the client may keep its own: up to 44 KiB a connection for the server's inflate stream.
    public var keepsClientContext: Bool
    /// The largest window of each side, in bits, 9 to 15; the memory a context costs grows with it.
    public var serverWindowBits: UInt8
    public var clientWindowBits: UInt8
    /// zlib's effort, 1 to 9.
    public var level: UInt8
    /// zlib's hash memory, 1 to 9: a deflate stream holds 1 << (window bits + 2) and 1 << (this + 9) bytes.
    public var memoryLevel: UInt8

    /// - Precondition: window bits are 9 to 15, level and memory level 1 to 9.
    public init(
        isEnabled: Bool = true, keepsServerContext: Bool = false, keepsClientContext: Bool = false,
        serverWindowBits: UInt8 = 15, clientWindowBits: UInt8 = 15, level: UInt8 = 6, memoryLevel: UInt8 = 8
    ) {
        precondition((9...15).contains(serverWindowBits) && (9...15).contains(clientWindowBits), "window bits are 9 to 15")
        precondition((1...9).contains(level) && (1...9).contains(memoryLevel), "levels are 1 to 9")
        self.isEnabled = isEnabled
        self.keepsServerContext = keepsServerContext
        self.keepsClientContext = keepsClientContext
        self.serverWindowBits = serverWindowBits
        self.clientWindowBits = clientWindowBits
        self.level = level
        self.memoryLevel = memoryLevel
    }

    /// No compression: what a server does unless told otherwise.
    public static let off = DeflatePolicy(isEnabled: false)
}

/// What both sides agreed to do.
public struct DeflateParameters: Equatable, Sendable {
    public var keepsServerContext: Bool
    public var keepsClientContext: Bool
    /// Window bits, 9 to 15.
    public var serverWindowBits: UInt8
    public var clientWindowBits: UInt8
    public var level: UInt8
    public var memoryLevel: UInt8
    /// Whether the answer names the windows.
    var namesServerWindow: Bool
    var namesClientWindow: Bool

    /// Appends the value of the answer's Sec-WebSocket-Extensions header.
    public func writeResponse(to writer: inout ByteWriter) {
        writer.append("permessage-deflate")
        if !keepsServerContext { writer.append("; server_no_context_takeover") }
        if !keepsClientContext { writer.append("; client_no_context_takeover") }
        if namesServerWindow {
            writer.append("; server_max_window_bits=")
            writer.append(decimal: Int(serverWindowBits))
        }
        if namesClientWindow {
            writer.append("; client_max_window_bits=")
            writer.append(decimal: Int(clientWindowBits))
        }
    }
}

public enum DeflateNegotiation {
    /// What one offer asks for.
    private struct Offer {
        var serverNoContext = false
        var clientNoContext = false
        var serverWindowBits: UInt8?
        /// 0 where the parameter came without a value.
        var clientWindowBits: UInt8?
    }

    /// Takes the first acceptable offer of a Sec-WebSocket-Extensions value; several header lines are tried one after the other.
    ///
    /// - Returns: nil where there is none; the connection then goes on uncompressed.
    /// - Complexity: linear in the bytes of the value.
    public static func accept(_ value: Span<UInt8>, _ policy: DeflatePolicy) -> DeflateParameters? {
        guard policy.isEnabled else { return nil }
        var list = HeaderList(value)
        while let element = list.next(value, separator: UInt8(ascii: ",")) {
            let text = value.extracting(element)
            guard let offer = read(text), let agreed = agree(offer, policy) else { continue }
            return agreed
        }
        return nil
    }

    /// Reads one element of the list; nil where it is another extension, or breaks a rule of RFC 7692 §7.1.
    private static func read(_ text: Span<UInt8>) -> Offer? {
        var parts = HeaderList(text)
        guard let name = parts.next(text, separator: UInt8(ascii: ";")), text.extracting(name).equalsIgnoringCase("permessage-deflate")
        else { return nil }
        var offer = Offer()
        while let part = parts.next(text, separator: UInt8(ascii: ";")) {
            guard take(text.extracting(part), &offer) else { return nil }
        }
        return parts.isWellFormed ? offer : nil
    }

    /// §7.1: unknown names, wrong values and second occurrences make the offer unacceptable.
    private static func take(_ parameter: Span<UInt8>, _ offer: inout Offer) -> Bool {
        var split = HeaderList(parameter)
        guard let nameRange = split.next(parameter, separator: UInt8(ascii: "=")) else { return false }
        let name = parameter.extracting(nameRange)
        let value = split.next(parameter, separator: UInt8(ascii: "="))
        guard split.isWellFormed, split.next(parameter, separator: UInt8(ascii: "=")) == nil else { return false }
        if name.equalsIgnoringCase("server_no_context_takeover") {
            guard value == nil, !offer.serverNoContext else { return false }
            offer.serverNoContext = true
        } else if name.equalsIgnoringCase("client_no_context_takeover") {
            guard value == nil, !offer.clientNoContext else { return false }
            offer.clientNoContext = true
        } else if name.equalsIgnoringCase("server_max_window_bits") {
            guard let value, offer.serverWindowBits == nil, let bits = windowBits(parameter.extracting(value)) else { return false }
            offer.serverWindowBits = bits
        } else if name.equalsIgnoringCase("client_max_window_bits") {
            guard offer.clientWindowBits == nil else { return false }
            offer.clientWindowBits = 0
            if let value {
                guard let bits = windowBits(parameter.extracting(value)) else { return false }
                offer.clientWindowBits = bits
            }
        } else {
            return false
        }
        return true
    }

    /// §7.1.2: a decimal integer without leading zeros, 8 to 15; RFC 6455 §9.1 lets it stand in quotes.
    private static func windowBits(_ text: Span<UInt8>) -> UInt8? {
        var digits = 0..<text.count
        if text.count >= 2, text[0] == UInt8(ascii: "\""), text[text.count - 1] == UInt8(ascii: "\"") { digits = 1..<(text.count - 1) }
        switch digits.count {
        case 1:
            let digit = text[digits.lowerBound]
            return digit == UInt8(ascii: "8") || digit == UInt8(ascii: "9") ? digit - UInt8(ascii: "0") : nil
        case 2:
            let second = text[digits.lowerBound + 1]
            guard text[digits.lowerBound] == UInt8(ascii: "1"), (UInt8(ascii: "0")...UInt8(ascii: "5")).contains(second) else { return nil }
            return 10 + (second - UInt8(ascii: "0"))
        default:
            return nil
        }
    }

    /// §7.1.1 and §7.1.2: what the offer and the policy make together.
    private static func agree(_ offer: Offer, _ policy: DeflatePolicy) -> DeflateParameters? {
        // The server must stay within the window that the client asks for, and zlib's raw deflate cannot do 8 bits.
        if let bits = offer.serverWindowBits, bits < 9 { return nil }
        let serverBits = min(offer.serverWindowBits ?? 15, policy.serverWindowBits)
        var clientBits: UInt8 = 15
        if let bits = offer.clientWindowBits {
            // A client that says 8 may yet use 9: zlib does so; reading with the larger window is always right.
            clientBits = max(9, min(bits == 0 ? 15 : bits, policy.clientWindowBits))
        }
        return DeflateParameters(
            keepsServerContext: policy.keepsServerContext && !offer.serverNoContext,
            keepsClientContext: policy.keepsClientContext && !offer.clientNoContext,
            serverWindowBits: serverBits,
            clientWindowBits: clientBits,
            level: policy.level,
            memoryLevel: policy.memoryLevel,
            namesServerWindow: offer.serverWindowBits != nil || serverBits < 15,
            namesClientWindow: offer.clientWindowBits != nil && clientBits < 15)
    }
}
