// RandomBytesTests: that bytes are filled, all of them, and never the same twice. How random they are is libcrypto's matter.
import Crypto
import Testing

struct RandomBytesTests {
    private func draw(_ count: Int) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        var span = bytes.mutableSpan
        RandomBytes.fill(&span)
        return bytes
    }

    @Test("two secrets are two, and every place of them is filled")
    func filled() {
        #expect(draw(32) != draw(32))
        // A place that stays 0 through 64 draws by chance: once in 2^512.
        var seen = [UInt8](repeating: 0, count: 33)
        for _ in 0..<64 { for (place, byte) in draw(33).enumerated() { seen[place] |= byte } }
        #expect(!seen.contains(0))
    }

    @Test("no bytes are no trouble")
    func empty() {
        #expect(draw(0).isEmpty)
    }
}
