// Command: what the simulator is asked for on its command line, and what it prints: who found what, how often what happened, and the digest
// of all that was delivered, by which two processes can be compared.
import Glibc

struct Command {
    private var seeds: ClosedRange<UInt64> = 1...1
    private var isTraced = false
    private var isTerse = false
    private var isWrong = false

    init(_ arguments: some Sequence<String>) {
        for argument in arguments {
            switch argument {
            case "--trace": isTraced = true
            case "--terse": isTerse = true
            case let text:
                let ends = text.split(separator: ".", omittingEmptySubsequences: true).map { UInt64($0) }
                guard let first = ends.first ?? nil, let last = ends.last ?? nil, first <= last, ends.count <= 2 else {
                    isWrong = true
                    continue
                }
                seeds = first...last
            }
        }
    }

    /// - Returns: the exit code: 0 where nothing was found, 1 where something was, 2 where it was asked for nothing that it knows.
    func run() -> Int32 {
        if isWrong {
            print("usage: Simulator [SEED | FROM..TO] [--trace] [--terse]")
            return 2
        }
        var total = Tally()
        var digest: UInt64 = 0
        var failures = 0
        for seed in seeds {
            guard let simulation = try? Simulation(seed: seed, isTraced: isTraced) else {
                print("no descriptors left")
                return 2
            }
            let violation = simulation.run()
            total.add(simulation.tally)
            digest = digest &* 31 &+ simulation.trace.digest
            if let violation {
                failures += 1
                print("seed \(seed): \(violation)")
                fflush(nil)
                if isTerse { return 1 }
            } else if seeds.count == 1 {
                print("seed \(seed): nothing found")
            } else if !isTerse, (seed - seeds.lowerBound + 1) % 100 == 0 {
                print("\(seed - seeds.lowerBound + 1) seeds, \(failures) with a violation")
            }
        }
        if !isTerse { print("\(total)\ndigest \(String(digest, radix: 16))") }
        return failures == 0 ? 0 : 1
    }
}
