// Goal: some hundred runs of the whole product under faults find nothing, and meet with everything that they are there for; a run is its
// seed's, whenever it is made.
import Synchronization
import Testing

@testable import Simulator

@Suite("Simulation")
struct SimulationTests {
    private static let seeds: ClosedRange<UInt64> = 1...150

    @Test("no seed finds anything, and all of them together have seen everything")
    func seeds() throws {
        var total = Tally()
        for seed in SimulationTests.seeds {
            let simulation = try Simulation(seed: seed)
            let violation = simulation.run()
            #expect(violation == nil, "make sim SEED=\(seed) TRACE=1")
            total.add(simulation.tally)
        }
        #expect(total.blind == [], "the simulation has gone blind")
    }

    @Test("the same seed is the same run, to the last byte", arguments: UInt64(1)...5)
    func again(_ seed: UInt64) throws {
        let first = try Simulation(seed: seed)
        let second = try Simulation(seed: seed)
        _ = (first.run(), second.run())
        #expect(first.trace.digest == second.trace.digest)
        #expect(first.tally.description == second.tally.description)
    }
}
