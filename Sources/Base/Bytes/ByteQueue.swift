// ByteQueue: input left over between reads, such as half a frame. Knows only bytes; the codec says how many of them it has used, and
// the owner of the queue caps it. An empty queue holds no memory: most connections have nothing left over most of the time.
//
// Cost: an append is a copy; consumed bytes are moved away only where room is wanted, so each byte moves at most about once.

/// Bytes that wait for more bytes.
public struct ByteQueue: Sendable {
    @usableFromInline var storage: [UInt8] = []
    /// How many bytes of `storage` are used up.
    @usableFromInline var head = 0

    @inlinable
    public init() {}

    @inlinable public var count: Int { storage.count &- head }
    @inlinable public var isEmpty: Bool { storage.count == head }

    /// The bytes that wait, in place.
    @inlinable
    public var span: Span<UInt8> {
        @_lifetime(borrow self)
        get {
            let view = storage.span.extracting(droppingFirst: head)
            return unsafe _overrideLifetime(view, borrowing: self)
        }
    }

    /// The bytes that wait, for the time of `body`: for a queue that is a property of an object, whose span may not be held longer.
    @inlinable
    public borrowing func withSpan<Result, Failure: Error>(_ body: (Span<UInt8>) throws(Failure) -> Result) throws(Failure) -> Result {
        try body(span)
    }

    /// The bytes that wait, in place and open to change: a mask is taken off where they lie.
    @inlinable
    public var mutableSpan: MutableSpan<UInt8> {
        @_lifetime(&self)
        mutating get {
            let used = head
            var all = storage.mutableSpan
            // The storage is this value's alone now; the two steps hand its access over to the whole value.
            let view = unsafe _overrideLifetime(all._mutatingExtracting(droppingFirst: used), copying: ())
            return unsafe _overrideLifetime(view, mutating: &self)
        }
    }

    /// Makes room for `additional` more bytes at once: for a message whose length is known and lies below its limit.
    public mutating func reserve(_ additional: Int) {
        guard storage.capacity - storage.count < additional else { return }
        if head > 0 {
            storage.removeSubrange(0..<head)
            head = 0
        }
        // Room is at least doubled, so that many small reservations stay linear in what they reserve.
        if storage.capacity - storage.count < additional {
            storage.reserveCapacity(max(storage.count + additional, storage.capacity * 2))
        }
    }

    /// Copies `bytes` behind what waits.
    public mutating func append(_ bytes: Span<UInt8>) {
        guard bytes.count > 0 else { return }
        reserve(bytes.count)
        unsafe bytes.withUnsafeBufferPointer { unsafe storage.append(contentsOf: $0) }
    }

    /// Drops the first `used` bytes; the last of them gives the memory back.
    ///
    /// - Precondition: no more than `count`.
    public mutating func consume(_ used: Int) {
        precondition(used >= 0 && used <= count, "consumed \(used) of \(count) waiting bytes")
        head += used
        if head == storage.count { removeAll() }
    }

    /// Drops everything and gives the memory back.
    public mutating func removeAll() {
        if storage.capacity > 0 { storage = [] }
        head = 0
    }
}
