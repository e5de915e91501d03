// Equality of secrets: what it answers. That its duration tells nothing is libcrypto's promise.
import Crypto
import Testing

struct ConstantTimeTests {
    static func equal(_ left: [UInt8], _ right: [UInt8]) -> Bool {
        ConstantTime.equal(left.span, right.span)
    }

    @Test("equal bytes are equal, and a change of any one bit is seen")
    func everyBit() {
        let secret: [UInt8] = (0..<32).map { UInt8($0 &* 37 & 255) }
        #expect(Self.equal(secret, secret))
        for bit in 0..<(secret.count * 8) {
            var other = secret
            other[bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(!Self.equal(secret, other), "bit \(bit)")
        }
    }

    @Test("a prefix is not equal, and nothing equals nothing")
    func lengths() {
        let secret: [UInt8] = [1, 2, 3]
        let prefix: [UInt8] = [1, 2]
        let nothing: [UInt8] = []
        #expect(!Self.equal(secret, prefix))
        #expect(!Self.equal(nothing, prefix))
        #expect(Self.equal(nothing, nothing))
    }
}
