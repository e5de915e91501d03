// TallyTests: counts go up, down, and away.
import Base
import Testing

@testable import Domain

struct TallyTests {
    @Test("a name is counted as long as somebody bears it")
    func counts() {
        var tally = Tally()
        let (one, two) = (SharedBytes("one"), SharedBytes("two"))
        tally.add(one)
        tally.add(one)
        tally.add(two)
        #expect(tally[one] == 2 && tally[two] == 1 && tally.count == 2)
        var seen: [SharedBytes: Int] = [:]
        tally.forEach { seen[$0] = $1 }
        #expect(seen == [one: 2, two: 1])
        tally.remove(one)
        tally.remove(two)
        #expect(tally[one] == 1 && tally[two] == 0 && tally.count == 1)
        tally.remove(one)
        #expect(tally.count == 0)
    }
}
