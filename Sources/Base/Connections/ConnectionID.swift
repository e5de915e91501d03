// ConnectionID: who is meant, from the kernel's event inwards. Slots are reused, generations never: a late event of a connection that
// is gone names nobody.

/// A connection's slot and generation: the very 64 bits that epoll carries for it.
public struct ConnectionID: Hashable, Sendable {
    public let raw: UInt64

    @inlinable
    public init(slot: UInt32, generation: UInt32) {
        raw = UInt64(generation) << 32 | UInt64(slot)
    }

    /// The identity inside an event's user data.
    @inlinable
    public init(raw: UInt64) { self.raw = raw }

    @inlinable public var slot: Int { Int(raw & 0xffff_ffff) }
    @inlinable public var generation: UInt32 { UInt32(raw >> 32) }
}

extension ConnectionID: CustomStringConvertible {
    public var description: String { "\(slot).\(generation)" }
}
