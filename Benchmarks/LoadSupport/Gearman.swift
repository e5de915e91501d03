// Gearman: the packets of gearmand's binary protocol that a client and a worker need (its PROTOCOL document, "Binary Packet"). Bytes and
// numbers; what a packet is the answer to, the run knows.

public import Base

/// Packets as they are written, and as they are read.
public enum Gearman {
    /// The kinds of packets, by the protocol's numbers.
    public enum Kind: Int, Sendable {
        case canDo = 1
        case preSleep = 4
        case noop = 6
        case submitJob = 7
        case jobCreated = 8
        case grabJob = 9
        case noJob = 10
        case jobAssign = 11
        case workComplete = 13
        case submitJobBackground = 18
    }

    private static let request: [UInt8] = [0x00, 0x52, 0x45, 0x51]
    private static let response: [UInt8] = [0x00, 0x52, 0x45, 0x53]
    private static let headBytes = 12

    /// Appends a packet to a server. Its arguments are separated by zeros, as `arguments` has them.
    public static func append(_ kind: Kind, _ arguments: Span<UInt8> = Span(), to output: inout ByteWriter) {
        output.append(request.span)
        append(kind.rawValue, to: &output)
        append(arguments.count, to: &output)
        output.append(arguments)
    }

    /// Appends a packet whose arguments a writer holds.
    public static func append(_ kind: Kind, _ arguments: borrowing ByteWriter, to output: inout ByteWriter) {
        append(kind, arguments.span, to: &output)
    }

    private static func append(_ number: Int, to output: inout ByteWriter) {
        for shift in stride(from: 24, through: 0, by: -8) { output.append(UInt8(truncatingIfNeeded: number >> shift)) }
    }

    /// What lies at a place among a server's bytes.
    public enum Outcome: Equatable, Sendable {
        case incomplete
        /// A packet: where its arguments lie, and where it ends.
        case packet(Kind, Range<Int>)
        case broken
    }

    /// The packet that begins at `start`. Errors of the server, and kinds that nobody asked for, are broken packets.
    public static func read(_ bytes: Span<UInt8>, from start: Int) -> Outcome {
        guard bytes.count - start >= headBytes else { return .incomplete }
        guard bytes.hasPrefix(response, at: start), let kind = Kind(rawValue: number(bytes, start + 4)) else { return .broken }
        let size = number(bytes, start + 8)
        let begin = start + headBytes
        return bytes.count - begin >= size ? .packet(kind, begin..<(begin + size)) : .incomplete
    }

    private static func number(_ bytes: Span<UInt8>, _ place: Int) -> Int {
        (0..<4).reduce(0) { $0 << 8 | Int(bytes[place + $1]) }
    }
}
