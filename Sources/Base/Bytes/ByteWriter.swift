// ByteWriter: growable output over raw memory, reused from message to message. Knows bytes, decimals and hex digits; formats
// (JSON, HTTP, frames) are built on top of it by their own floors.
//
// Cost: an append is a compare, a copy and an addition; growth doubles, so a reused writer allocates nothing.

/// Growable output that is filled, read or sealed, and filled again.
// @safe: the memory is this value's own, and every access lies below `capacity`.
@safe
public struct ByteWriter: ~Copyable {
    @usableFromInline var base: UnsafeMutablePointer<UInt8>
    @usableFromInline var capacity: Int
    @usableFromInline var length: Int

    public init(capacity: Int = 256) {
        self.capacity = max(capacity, 16)
        unsafe base = .allocate(capacity: self.capacity)
        length = 0
    }

    deinit { unsafe base.deallocate() }

    /// Bytes written since the last `removeAll`.
    @inlinable public var count: Int { length }
    @inlinable public var isEmpty: Bool { length == 0 }

    /// What was written, in place.
    @inlinable
    public var span: Span<UInt8> {
        @_lifetime(borrow self)
        get {
            let view = unsafe Span(_unsafeStart: UnsafePointer(base), count: count)
            return unsafe _overrideLifetime(view, borrowing: self)
        }
    }

    /// What was written, for the time of `body`: for a writer that is a property of an object, whose span may not be held longer.
    @inlinable @inline(__always)
    public borrowing func withSpan<Result: ~Copyable, Failure: Error>(
        _ body: (Span<UInt8>) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try body(unsafe Span(_unsafeStart: UnsafePointer(base), count: length))
    }

    /// What was written, in place and open to change: for masks and lengths that are known only afterwards.
    @inlinable
    public var mutableSpan: MutableSpan<UInt8> {
        @_lifetime(&self)
        mutating get {
            let view = unsafe MutableSpan(_unsafeStart: base, count: length)
            return unsafe _overrideLifetime(view, mutating: &self)
        }
    }

    /// The address of the first byte, valid until the next append.
    @inlinable
    var address: UnsafeMutablePointer<UInt8> { unsafe base }

    /// Makes room for `additional` more bytes.
    @inlinable
    public mutating func reserve(_ additional: Int) {
        if capacity &- length < additional { grow(by: additional) }
    }

    @usableFromInline
    mutating func grow(by additional: Int) {
        let wanted = max(capacity * 2, count + additional)
        let larger = UnsafeMutablePointer<UInt8>.allocate(capacity: wanted)
        unsafe larger.update(from: base, count: length)
        unsafe base.deallocate()
        unsafe base = larger
        capacity = wanted
    }

    @inlinable @inline(__always)
    public mutating func append(_ byte: UInt8) {
        reserve(1)
        unsafe base[length] = byte
        length &+= 1
    }

    @inlinable
    public mutating func append(_ bytes: Span<UInt8>) {
        unsafe bytes.withUnsafeBufferPointer { source in
            if let start = source.baseAddress { unsafe append(start, source.count) }
        }
    }

    @inlinable
    public mutating func append(_ bytes: SharedBytes) {
        unsafe append(UnsafePointer(bytes.address), bytes.count)
    }

    /// Appends the bytes of a literal.
    @inlinable @inline(__always)
    public mutating func append(_ text: StaticString) {
        precondition(text.hasPointerRepresentation, "a literal of one scalar has no bytes in memory")
        // Where the literal is known, so is its length, and the copy is a few stores.
        let size = text.utf8CodeUnitCount
        reserve(size)
        unsafe (base + length).update(from: text.utf8Start, count: size)
        length &+= size
    }

    /// Appends the UTF-8 bytes of a text: for people's words, not for the byte path.
    public mutating func append(_ text: String) {
        var text = text
        text.withUTF8 { unsafe append($0.span) }
    }

    @inlinable
    mutating func append(_ source: UnsafePointer<UInt8>, _ size: Int) {
        reserve(size)
        unsafe (base + length).update(from: source, count: size)
        length &+= size
    }

    /// Appends `value` in decimal.
    public mutating func append(decimal value: Int) {
        reserve(20)
        var magnitude = value.magnitude
        if value < 0 { append(UInt8(ascii: "-")) }
        var digits = 1
        var bound: UInt = 10
        // An Int has 19 digits at most, and 10¹⁹ still fits.
        while magnitude >= bound {
            digits &+= 1
            bound &*= 10
        }
        var index = length &+ digits
        repeat {
            index &-= 1
            unsafe base[index] = UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: magnitude % 10)
            magnitude /= 10
        } while magnitude != 0
        length &+= digits
    }

    /// Appends the lowest `digits` hexadecimal digits of `value`, in lower case.
    public mutating func append(hex value: UInt64, digits: Int) {
        precondition(digits > 0 && digits <= 16, "a 64-bit number has 1 to 16 hex digits, not \(digits)")
        // All sixteen are written, those that are wanted first; what is too much is written over.
        reserve(16)
        let wanted = value << (UInt64(16 &- digits) &* 4)
        let memory = unsafe UnsafeMutableRawPointer(base + length)
        unsafe memory.storeBytes(of: HexDigits.text(of: UInt32(truncatingIfNeeded: wanted >> 32)).bigEndian, as: UInt64.self)
        unsafe memory.storeBytes(of: HexDigits.text(of: UInt32(truncatingIfNeeded: wanted)).bigEndian, toByteOffset: 8, as: UInt64.self)
        length &+= digits
    }

    /// Appends the 36 characters of a UUID (RFC 9562 §4), in lower case.
    public mutating func append(uuid high: UInt64, _ low: UInt64) {
        reserve(36)
        let memory = unsafe UnsafeMutableRawPointer(base + length)
        // The second and the third eight digits have a hyphen in the middle.
        let second = HexDigits.text(of: UInt32(truncatingIfNeeded: high))
        let third = HexDigits.text(of: UInt32(truncatingIfNeeded: low >> 32))
        let hyphen = UInt8(ascii: "-")
        unsafe memory.storeBytes(of: HexDigits.text(of: UInt32(truncatingIfNeeded: high >> 32)).bigEndian, as: UInt64.self)
        unsafe memory.storeBytes(of: hyphen, toByteOffset: 8, as: UInt8.self)
        unsafe memory.storeBytes(of: UInt32(truncatingIfNeeded: second >> 32).bigEndian, toByteOffset: 9, as: UInt32.self)
        unsafe memory.storeBytes(of: hyphen, toByteOffset: 13, as: UInt8.self)
        unsafe memory.storeBytes(of: UInt32(truncatingIfNeeded: second).bigEndian, toByteOffset: 14, as: UInt32.self)
        unsafe memory.storeBytes(of: hyphen, toByteOffset: 18, as: UInt8.self)
        unsafe memory.storeBytes(of: UInt32(truncatingIfNeeded: third >> 32).bigEndian, toByteOffset: 19, as: UInt32.self)
        unsafe memory.storeBytes(of: hyphen, toByteOffset: 23, as: UInt8.self)
        unsafe memory.storeBytes(of: UInt32(truncatingIfNeeded: third).bigEndian, toByteOffset: 24, as: UInt32.self)
        unsafe memory.storeBytes(
            of: HexDigits.text(of: UInt32(truncatingIfNeeded: low)).bigEndian, toByteOffset: 28, as: UInt64.self)
        length &+= 36
    }

    /// Forgets what follows the first `prefix` bytes.
    @inlinable
    public mutating func truncate(to prefix: Int) {
        precondition(prefix >= 0 && prefix <= length, "truncated \(length) bytes to \(prefix)")
        length = prefix
    }

    /// Forgets the content and keeps the memory.
    @inlinable
    public mutating func removeAll() { length = 0 }

    /// Forgets the content and, where more than `retained` bytes are held, the memory too.
    public mutating func removeAll(retaining retained: Int) {
        length = 0
        guard capacity > retained else { return }
        unsafe base.deallocate()
        capacity = max(retained, 16)
        unsafe base = .allocate(capacity: capacity)
    }

    /// The content as an immutable block of exactly its size; the writer stays as it is.
    @inlinable
    public func seal() -> SharedBytes { SharedBytes(copying: span) }

    /// The content as an immutable block, without a copy; the writer is empty afterwards. For large content: the block keeps the
    /// writer's whole capacity.
    public mutating func take() -> SharedBytes {
        precondition(length <= Int(UInt32.max), "\(length) bytes do not fit in one block")
        let block = unsafe SharedBytes.Block.adopting(base)
        let bytes = SharedBytes(block: block, start: 0, length: UInt32(length))
        capacity = 16
        length = 0
        unsafe base = .allocate(capacity: capacity)
        return bytes
    }
}
