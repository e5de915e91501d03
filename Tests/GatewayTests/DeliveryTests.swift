// Goal: what waits long for a slow reader is kept once for all who wait, and keeps nothing else in memory.
import Testing

@testable import Base
@testable import Gateway

@Suite("Delivery")
struct DeliveryTests {
    private static func delivery(_ bytes: SharedBytes) -> Delivery {
        Delivery(form: .frames, bytes: bytes, first: 2..<bytes.count, second: 0..<0, messageCount: 1)
    }

    @Test("a delivery that is kept has memory of its own, one for all who keep it, and lets its page go")
    func keepsakes() {
        var keepsakes = Keepsakes()
        var kept: [Delivery] = []
        weak var block: SharedBytes.Block?
        do {
            let page = SharedPage()
            let slices = ["..one", "..two", "..two"].map { page.add(SharedBytes($0).span) }
            block = slices[0].block
            for (number, slice) in slices.enumerated() {
                for _ in 0..<2 { kept.append(keepsakes.keepsake(of: Self.delivery(slice), number: UInt64(number) + 7)) }
            }
            // The same number in another format.
            kept.append(keepsakes.keepsake(of: Self.delivery(slices[0]), number: 9))
            // The one that is at hand is remembered with what it was made of.
            _ = keepsakes.keepsake(of: Self.delivery(SharedBytes("..last")), number: 10)
        }
        #expect(block == nil)
        #expect(kept.map { "\($0.bytes)" } == ["..one", "..one", "..two", "..two", "..two", "..two", "..one"])
        #expect(kept.allSatisfy { $0.first == 2..<5 && $0.messageCount == 1 })
        for index in [0, 2, 4] { #expect(kept[index].bytes.block === kept[index + 1].bytes.block) }
        for index in [0, 2, 4] { #expect(kept[index].bytes.block !== kept[index + 2].bytes.block) }
    }

    @Test("a large one lies in no page, and is kept as it is")
    func large() {
        var keepsakes = Keepsakes()
        let bytes = SharedBytes([UInt8](repeating: 7, count: SharedPage.sliceBytesMax + 1))
        #expect(keepsakes.keepsake(of: Self.delivery(bytes), number: 1).bytes.block === bytes.block)
    }
}
