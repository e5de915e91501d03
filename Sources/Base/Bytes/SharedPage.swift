// SharedPage: small shared slices that are made one after the other and lie one behind the other in one block, so that whoever gets
// several of them in a row gets one piece of memory. Knows nothing of what the bytes say or who gets them.
//
// Cost: a slice is a copy and a reference; memory is asked for once a page. A slice keeps its whole page alive: who keeps one for long
// copies it.

/// Where slices for many are made.
// @safe: every slice lies below `used`, and nothing below it is written again.
@safe
public final class SharedPage {
    /// Some fifty events of 300 bytes, which is what one turn may bring.
    public static let bytes = 16 << 10
    /// Larger slices get a block of their own: at most a quarter of a page is left empty.
    public static let sliceBytesMax = bytes / 4

    private var block: SharedBytes.Block?
    private var used = 0

    public init() {}

    /// Copies `bytes` behind the slice before.
    public func add(_ bytes: Span<UInt8>) -> SharedBytes {
        guard bytes.count <= SharedPage.sliceBytesMax else { return SharedBytes(copying: bytes) }
        let block = block(with: bytes.count)
        let slice = SharedBytes(block: block, start: UInt32(used), length: UInt32(bytes.count))
        unsafe bytes.withUnsafeBufferPointer { source in
            if let base = source.baseAddress { unsafe (block.base + used).update(from: base, count: source.count) }
        }
        used += bytes.count
        return slice
    }

    private func block(with room: Int) -> SharedBytes.Block {
        if let block, SharedPage.bytes - used >= room { return block }
        let page = SharedBytes.Block.make(capacity: SharedPage.bytes)
        block = page
        used = 0
        return page
    }
}
