// Fate: what a seed decides before anything happens: the server's limits, how slow and how broken everything around it is, who takes part,
// and for how long. Throws the dice of the run's beginning; what happens on the way is Weather's.
import Base
import Domain
import Gateway

struct Fate {
    var settings = Settings()
    /// Whether bytes arrive in pieces, buffers are small and messages come in fragments.
    let isCutting: Bool
    /// Whether anything goes wrong that the server has to bear.
    let faults: Set<Weather.Fault>
    /// How often, in milliseconds between two.
    let faultPause: ClosedRange<Int>
    /// How long it goes on before everybody finishes.
    let length: TimeSpan
    private let latencyMax: Int
    private let poolMax: Int
    private let diskMax: Int
    let workers: Int
    let submitters: Int
    let watchers: Int
    let producers: Int
    let listeners: Int
    let visitors: Int
    let chatters: Int
    let hasOperator: Bool
    /// Groups that workers stand in and tasks are given to.
    let groups: [String]

    init(_ chance: inout Chance) {
        isCutting = chance.once(in: 2)
        latencyMax = chance.pick([1, 5, 5, 40, 200])
        poolMax = chance.pick([1, 10, 300])
        diskMax = chance.pick([1, 5, 20, 400])
        length = .seconds(Int64(chance.number(8...30)))
        faultPause = chance.pick([200...1_500, 500...4_000, 2_000...10_000])
        // A quarter of the runs is spared most of it: there, too, everything has to be right.
        var all = Weather.Fault.allCases
        chance.shuffle(&all)
        faults = Set(all.prefix(chance.once(in: 4) ? chance.number(0...2) : chance.number(3...all.count)))
        workers = chance.number(1...4)
        submitters = chance.number(1...4)
        watchers = chance.number(0...4)
        producers = chance.number(0...2)
        listeners = chance.number(0...3)
        visitors = chance.number(0...3)
        chatters = chance.number(0...2)
        hasOperator = chance.once(in: 2)
        groups = chance.once(in: 2) ? ["default"] : ["default", "g2"]
        settings.limits = Fate.limits(&chance)
        settings.authentication = Authentication(mode: .off)
    }

    private static func limits(_ chance: inout Chance) -> Limits {
        var limits = Limits()
        limits.taskTimeoutMin = .seconds(1)
        limits.taskTimeoutDefault = .seconds(20)
        limits.queueLengthMax = chance.pick([2, 10, 1_000])
        limits.resultTTL = .seconds(900)
        limits.retryDelay = .milliseconds(Int64(chance.pick([10, 1_000])))
        limits.retryDelayMax = .seconds(5)
        limits.recoveryGrace = .seconds(Int64(chance.pick([1, 5, 15])))
        limits.workerLease = .seconds(Int64(chance.pick([2, 6, 30])))
        limits.readyDelay = .milliseconds(Int64(chance.pick([50, 1_000])))
        limits.abandonedGrace = .seconds(Int64(chance.pick([2, 30])))
        limits.pingInterval = .seconds(Int64(chance.pick([3, 30])))
        limits.inlineWorkBytes = chance.pick([150, 64 << 10])
        limits.spliceBytesMin = chance.pick([64, 16 << 10])
        limits.historyLengthMax = chance.pick([3, 8, 100])
        limits.historyBytesMax = chance.pick([4 << 10, 256 << 20])
        limits.replaysMax = chance.pick([1, 32])
        limits.deadLettersMax = chance.pick([3, 10_000])
        limits.storageRetryDelay = .milliseconds(Int64(chance.pick([100, 1_000])))
        limits.drainTimeout = .seconds(Int64(chance.pick([1, 10])))
        limits.sessionResumeTime = .seconds(Int64(chance.pick([5, 300])))
        limits.socketPingInterval = .seconds(Int64(chance.pick([3, 25])))
        limits.socketPingTimeout = .seconds(Int64(chance.pick([2, 20])))
        limits.recoveryTime = .seconds(Int64(chance.pick([5, 120])))
        limits.bulletinsMax = chance.pick([8, 4_096])
        if chance.once(in: 3) {
            // Little room for those who read slowly.
            limits.conflatedBytesMin = 600
            limits.burstBytesMax = 1_200
            limits.waitingLogBytesMax = 300
        }
        if chance.once(in: 4) {
            let bytes = chance.pick([5 << 10, 8 << 10])
            limits.messageBytesMax = bytes
            limits.bodyBytesMax = bytes
            limits.queuedBytesMax = bytes
            limits.conflatedBytesMin = min(limits.conflatedBytesMin, bytes / 4)
        }
        if let contradiction = limits.contradiction { preconditionFailure(contradiction) }
        return limits
    }

    /// Whether there is little room for those who read slowly, so that they are told less.
    var isTight: Bool { settings.limits.conflatedBytesMin < 10_000 }

    // MARK: How long things take

    func latency(_ chance: inout Chance) -> TimeSpan { chance.span(0...latencyMax) }
    func poolLatency(_ chance: inout Chance) -> TimeSpan { chance.span(0...poolMax) }
    func diskLatency(_ chance: inout Chance) -> TimeSpan { chance.span(0...diskMax) }
}
