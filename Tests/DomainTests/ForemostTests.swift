// ForemostTests: the first few of many, held against sorting all of them.
import Base
import Testing

@testable import Domain

struct ForemostTests {
    @Test("whatever comes in whatever order, the first few are those of the sorted row", arguments: 1...20)
    func likeSorting(_ seed: UInt64) {
        var random = Randomness(seed: seed)
        let max = Int(random.next() % 8)
        let row = (0..<Int(random.next() % 60)).map { place in (value: Int(random.next() % 20), place: place) }
        var first = Foremost<(value: Int, place: Int)>(max) { ($0.value, $0.place) < ($1.value, $1.place) }
        for element in row { first.offer(element) }
        let sorted = row.sorted { ($0.value, $0.place) < ($1.value, $1.place) }.prefix(max)
        #expect(first.elements.map(\.place) == sorted.map(\.place))
    }
}
