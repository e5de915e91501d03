// Goal: the vector loops are the byte loop.
import TestSupport
import Testing

@testable import WebSockets

@Test("§5.3: words and vectors give what the byte loop gives, at every length and alignment")
func maskingEqualsByteLoop() {
    var random = Seeded(seed: 7)
    for length in Array(0...200) + [255, 256, 1000, 1023, 4096, 16_385] {
        for offset in 0...9 {
            let isASCII = Bool.random(using: &random)
            let key = UInt32.random(in: .min ... .max, using: &random)
            let plain = (0..<length).map { _ in UInt8.random(in: 0...(isASCII ? 127 : 255), using: &random) }
            var buffer = [UInt8](repeating: 0x5a, count: offset + length + 9)
            for index in 0..<length { buffer[offset + index] = plain[index] ^ UInt8(truncatingIfNeeded: key >> (8 * UInt32(index & 3))) }
            var span = buffer.mutableSpan
            let sawASCII = Masking.apply(key, to: &span, offset..<(offset + length))
            let around = [UInt8](repeating: 0x5a, count: offset)
            let isRight = buffer == around + plain + [UInt8](repeating: 0x5a, count: 9)
            let isASCIIRight = sawASCII == plain.allSatisfy { $0 < 0x80 }
            if !isRight || !isASCIIRight { Issue.record("\(length) bytes at offset \(offset)") }
        }
    }
}

@Test("one byte above 0x7f is seen wherever it stands", arguments: [1, 7, 8, 9, 63, 64, 65, 72, 128, 200])
func asciiIsSeenEverywhere(_ length: Int) {
    for place in 0..<length {
        var buffer = [UInt8](repeating: 0x7f, count: length)
        buffer[place] = 0x80
        var span = buffer.mutableSpan
        if Masking.apply(0, to: &span, 0..<length) { Issue.record("byte \(place) of \(length) was not seen") }
    }
}

@Test("§5.3: a payload unmasked in pieces is the payload unmasked whole", arguments: Chunking.all)
func maskingInPieces(_ chunking: Chunking) {
    let plain = sampleText(300, seed: 3)
    let key: UInt32 = 0x3d21_fa37
    var mask = key
    var result: [UInt8] = []
    for piece in chunking.split(Array(clientFrame(1, plain).dropFirst(8))) {
        var buffer = piece
        var span = buffer.mutableSpan
        _ = Masking.apply(mask, to: &span, 0..<piece.count)
        mask = Masking.advance(mask, by: piece.count)
        result += buffer
    }
    #expect(result == plain)
}
