// Goal: some hundred runs of the whole product under faults find nothing, and meet with everything that they are there for.
import Testing

@testable import Simulator

@Suite("Simulation")
struct SimulationTests {
    @Test("a seed finds nothing", arguments: UInt64(1)...3)
    func seed(_ seed: UInt64) throws {
        let simulation = try Simulation(seed: seed)
        let violation = simulation.run()
        #expect(violation == nil, "make sim SEED=\(seed) TRACE=1")
    }
}
