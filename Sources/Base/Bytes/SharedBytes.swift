// SharedBytes: an immutable, counted block of bytes and the slice of it that is meant. The one thing that is shared between
// connections and threads. Copying one is a reference count; slicing one costs nothing. Knows nothing of what the bytes say.
import Glibc

/// An immutable slice of a counted block of bytes.
///
/// At most 4 GiB − 1 bytes; every limit of the server lies far below.
// @unchecked: a slice's bytes are written before anybody else can hold it and never again, and the block is freed once, in its deinit.
public struct SharedBytes: @unchecked Sendable {
    /// The memory: one allocation, header and bytes together, unless a writer filled bytes of its own. The header is where they lie.
    @safe @usableFromInline
    final class Block: ManagedBuffer<UnsafeMutablePointer<UInt8>, UInt8> {
        @inlinable
        static func make(capacity: Int) -> Block {
            let made = unsafe Block.create(minimumCapacity: capacity) { made in
                unsafe made.withUnsafeMutablePointerToElements { unsafe $0 }
            }
            return unsafe unsafeDowncast(made, to: Block.self)
        }

        /// Takes over memory that a writer filled.
        @inlinable
        static func adopting(_ base: UnsafeMutablePointer<UInt8>) -> Block {
            let made = unsafe Block.create(minimumCapacity: 0) { _ in unsafe base }
            return unsafe unsafeDowncast(made, to: Block.self)
        }

        @inlinable var base: UnsafeMutablePointer<UInt8> { unsafe header }

        /// Whether it is clearly larger than so many bytes; what a writer filled counts as larger.
        func hasRoom(forMoreThan count: Int) -> Bool {
            let own = unsafe withUnsafeMutablePointerToElements { unsafe $0 }
            // The allocator rounds up to 16.
            return unsafe base != own || capacity > count + 32
        }

        deinit {
            // Its own bytes begin 24 behind the block, where no other allocation begins: those lie at multiples of 16.
            let own = unsafe withUnsafeMutablePointerToElements { unsafe $0 }
            if unsafe base != own { unsafe base.deallocate() }
        }
    }

    @usableFromInline let block: Block
    @usableFromInline let start: UInt32
    @usableFromInline let length: UInt32

    @inlinable
    init(block: Block, start: UInt32, length: UInt32) {
        self.block = block
        self.start = start
        self.length = length
    }

    /// Copies `bytes` once into a block of exactly their size.
    @inlinable
    public init(copying bytes: Span<UInt8>) {
        precondition(bytes.count <= Int(UInt32.max), "\(bytes.count) bytes do not fit in one block")
        block = bytes.isEmpty ? SharedBytes.empty.block : Block.make(capacity: bytes.count)
        start = 0
        length = UInt32(bytes.count)
        unsafe bytes.withUnsafeBufferPointer { source in
            if let base = source.baseAddress { unsafe block.base.update(from: base, count: source.count) }
        }
    }

    /// Copies the UTF-8 bytes of `text`: for people's words, not for the byte path.
    public init(_ text: String) {
        var text = text
        self = text.withUTF8 { unsafe SharedBytes(copying: $0.span) }
    }

    /// Copies an array: for tests and start-up, not for the byte path.
    public init(_ bytes: [UInt8]) {
        self.init(copying: bytes.span)
    }

    /// No bytes.
    public static let empty = SharedBytes(block: Block.make(capacity: 0), start: 0, length: 0)

    @inlinable public var count: Int { Int(length) }
    @inlinable public var isEmpty: Bool { length == 0 }

    /// The bytes, in place.
    @inlinable
    public var span: Span<UInt8> {
        @_lifetime(borrow self)
        get {
            let view = unsafe Span(_unsafeStart: UnsafePointer(block.base + Int(start)), count: Int(length))
            return unsafe _overrideLifetime(view, borrowing: self)
        }
    }

    /// The bytes of `range`, sharing this block.
    ///
    /// - Precondition: `range` lies within `0..<count`.
    @inlinable
    public subscript(range: Range<Int>) -> SharedBytes {
        precondition(range.lowerBound >= 0 && range.upperBound <= count, "slice \(range) of \(count) bytes")
        return SharedBytes(block: block, start: start + UInt32(range.lowerBound), length: UInt32(range.count))
    }

    /// The same bytes in a block that is hardly larger than they are: what is kept long is not to keep a whole message in memory. Costs
    /// nothing where they have one.
    public var compact: SharedBytes {
        start == 0 && !block.hasRoom(forMoreThan: count) ? self : SharedBytes(copying: span)
    }

    /// The address of the bytes, valid while this value or a copy of it lives.
    @inlinable
    var address: UnsafeMutablePointer<UInt8> { unsafe block.base + Int(start) }
}

extension SharedBytes: Equatable, Hashable {
    public static func == (left: SharedBytes, right: SharedBytes) -> Bool {
        guard left.length == right.length else { return false }
        return unsafe memcmp(left.address, right.address, left.count) == 0
    }

    public func hash(into hasher: inout Hasher) {
        unsafe hasher.combine(bytes: UnsafeRawBufferPointer(start: address, count: count))
    }
}

extension SharedBytes: CustomStringConvertible {
    /// The bytes as text, for logs and tests; what is not UTF-8 is replaced.
    public var description: String {
        unsafe String(decoding: UnsafeBufferPointer(start: UnsafePointer(address), count: count), as: UTF8.self)
    }
}
