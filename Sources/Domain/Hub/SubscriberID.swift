// SubscriberID: who listens. A subscriber is not its connection: it may outlive one, and one may have none for a while.
public import Base

/// A subscriber's slot and generation.
public struct SubscriberID: SlotKey {
    @usableFromInline let raw: UInt64

    @inlinable
    public init(slot: UInt32, generation: UInt32) {
        raw = UInt64(generation) << 32 | UInt64(slot)
    }

    @inlinable public var slot: Int { Int(raw & 0xffff_ffff) }
    @inlinable public var generation: UInt32 { UInt32(raw >> 32) }
}

extension SubscriberID: CustomStringConvertible {
    public var description: String { "\(slot).\(generation)" }
}

/// Somebody to whom a publication goes now.
public struct Recipient: Sendable {
    public let id: SubscriberID
    /// What the subscriber gave when it came: where to send.
    public let target: UInt64

    @inlinable
    init(id: SubscriberID, target: UInt64) {
        self.id = id
        self.target = target
    }
}
