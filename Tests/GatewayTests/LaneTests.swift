// Goal: order behind the pool, and the count of bytes that wait.
import Base
import TestSupport
import Testing

@testable import Gateway

@Suite("Lane")
struct LaneTests {
    private func words(_ departures: [Lane.Departure]) -> [String] {
        departures.map { departure in
            switch departure {
            case .frame(let frame): frame.description
            case .end: "end"
            }
        }
    }

    @Test("what leaves, leaves in the order in which it joined, whatever is filled first")
    func order() {
        for seed in 0..<50 {
            var random = Seeded(seed: UInt64(seed))
            var lane = Lane()
            var pending: [(number: UInt32, text: String)] = []
            var expected: [String] = []
            var left: [String] = []
            for step in 0..<40 {
                let text = "\(step)"
                if Bool.random(using: &random) {
                    pending.append((lane.reserve(bytes: 100), text))
                } else {
                    lane.append(.frame(SharedBytes(text)))
                }
                expected.append(text)
                if !pending.isEmpty, Int.random(in: 0..<3, using: &random) == 0 {
                    let filled = pending.remove(at: Int.random(in: 0..<pending.count, using: &random))
                    left += words(lane.fill(filled.number, with: SharedBytes(filled.text)))
                }
            }
            let last = lane.reserve(bytes: 1)
            lane.append(.end)
            while !pending.isEmpty {
                let filled = pending.remove(at: Int.random(in: 0..<pending.count, using: &random))
                left += words(lane.fill(filled.number, with: SharedBytes(filled.text)))
            }
            #expect(!left.contains("end"))
            left += words(lane.fill(last, with: SharedBytes("last")))
            #expect(left == expected + ["last", "end"])
            #expect(lane.isEmpty && lane.byteCount == 0)
        }
    }

    @Test("the bytes that wait are those of what is ready and of what the pool was given")
    func bytes() {
        var lane = Lane()
        let first = lane.reserve(bytes: 1_000)
        let second = lane.reserve(bytes: 500)
        lane.append(.frame(SharedBytes("abc")))
        #expect(lane.byteCount == 1_503)
        #expect(lane.fill(second, with: SharedBytes("12")).isEmpty)
        #expect(lane.byteCount == 1_005)
        #expect(lane.fill(first, with: SharedBytes("x")).count == 3)
        #expect(lane.byteCount == 0)
        // A number that was filled already names nothing.
        #expect(lane.fill(first, with: SharedBytes("x")).isEmpty && lane.byteCount == 0)
    }
}
