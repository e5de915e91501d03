// SharedPage: slices made in a row lie in a row, none changes once it is made, and a page lives as long as one of its slices.
@testable import Base
import Testing

@Suite struct SharedPageTests {
    private static func text(_ number: Int, _ length: Int) -> [UInt8] { [UInt8](repeating: UInt8(number & 255), count: length) }

    @Test("slices lie one behind the other, and a new page begins where one has no room")
    func rows() {
        let page = SharedPage()
        var slices: [SharedBytes] = []
        for number in 0..<100 { slices.append(page.add(Self.text(number, 300).span)) }
        var pages = 1
        for (earlier, later) in zip(slices, slices.dropFirst()) {
            if earlier.block === later.block {
                #expect(earlier.start + earlier.length == later.start)
            } else {
                #expect(Int(earlier.start + earlier.length) + 300 > SharedPage.bytes && later.start == 0)
                pages += 1
            }
        }
        #expect(pages == 2)
        for (number, slice) in slices.enumerated() { #expect(slice == SharedBytes(Self.text(number, 300))) }
    }

    @Test("a large slice has a block of its own, and the row goes on behind it; an empty one is empty")
    func large() {
        let page = SharedPage()
        let first = page.add(Self.text(1, 10).span)
        let large = page.add(Self.text(2, SharedPage.sliceBytesMax + 1).span)
        let empty = page.add(Self.text(3, 0).span)
        let last = page.add(Self.text(4, SharedPage.sliceBytesMax).span)
        #expect(large == SharedBytes(Self.text(2, SharedPage.sliceBytesMax + 1)) && large.block !== first.block)
        #expect(empty.isEmpty)
        #expect(last.block === first.block && last.start == 10)
        #expect(first == SharedBytes(Self.text(1, 10)) && last == SharedBytes(Self.text(4, SharedPage.sliceBytesMax)))
    }

    @Test("a page ends with the last of its slices, once another one is filled")
    func release() {
        let page = SharedPage()
        weak var block: SharedBytes.Block?
        do {
            let slice = page.add(Self.text(1, SharedPage.sliceBytesMax).span)
            block = slice.block
            for number in 2...5 { _ = page.add(Self.text(number, SharedPage.sliceBytesMax).span) }
            #expect(block != nil)
        }
        #expect(block == nil)
    }
}
