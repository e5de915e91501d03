// Goal: sockets are closed at a pace that is slow where they are many, and no slower than it need be where they are few.
import Base
import Testing

@testable import Gateway

struct ClosingPaceTests {
    private let start = Instant(nanoseconds: 5_000_000_000)

    @Test(
        "so many a slice that all fit into the spread, and never fewer than are no burden",
        arguments: [
            (count: 1_000_000, spread: 10_000, least: 1_000, perSlice: 10_000),
            (count: 1_000_001, spread: 10_000, least: 1_000, perSlice: 10_001),
            (count: 100, spread: 10_000, least: 1_000, perSlice: 1_000),
            (count: 100, spread: 1_000, least: 1, perSlice: 10),
            (count: 5, spread: 60_000, least: 1, perSlice: 1),
            (count: 0, spread: 10_000, least: 0, perSlice: 1),
            (count: 77, spread: 0, least: 1, perSlice: 77),
            (count: 77, spread: 99, least: 1, perSlice: 77),
            (count: .max, spread: 200, least: 1, perSlice: .max / 2 + 1),
        ])
    func rate(_ given: (count: Int, spread: Int64, least: Int, perSlice: Int)) {
        let pace = ClosingPace(closing: given.count, over: .milliseconds(given.spread), atLeast: given.least, from: start)
        #expect(pace.perSlice == given.perSlice)
    }

    @Test("a slice's worth once a slice, and one that is late is not made up for at once")
    func slices() {
        var pace = ClosingPace(closing: 100, over: .seconds(1), atLeast: 1, from: start)
        #expect(pace.take(at: start) == 10)
        #expect(pace.take(at: start) == 0)
        #expect(pace.take(at: start + .milliseconds(99)) == 0)
        #expect(pace.next == start + .milliseconds(100))
        #expect(pace.take(at: start + .milliseconds(750)) == 10)
        #expect(pace.take(at: start + .milliseconds(751)) == 0)
        #expect(pace.next == start + .milliseconds(850))
        var hurried = ClosingPace.hurried(from: start)
        #expect(hurried.take(at: start) == .max)
    }
}
