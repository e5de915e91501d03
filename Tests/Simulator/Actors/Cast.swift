// Cast: everybody who takes part in a run, and what they are asked together: to enter, to finish, to leave. Who does what is each one's
// own.
import Base

final class Cast {
    unowned let world: Simulation
    private let workers: [Worker]
    private let submitters: [Submitter]
    private let producers: [Producer]
    private let users: [UserWatcher]
    private let listeners: [HubClient]
    private let visitors: [FleetVisitor]
    private let operators: [Operator]
    private let chatters: [Chatter]
    private var sockets: [SocketWatcher] = []
    private var streams: [StreamWatcher] = []
    private var lastWatcher = 0
    private var isFinishing = false
    private let auditor: Caller

    init(_ world: Simulation) {
        self.world = world
        let groups = world.fate.groups
        // Each group has a worker; the others stand where they like.
        let count = max(world.fate.workers, groups.count)
        workers = (0..<count).map { Worker(world, "w\($0 + 1)", group: $0 < groups.count ? groups[$0] : world.chance.pick(groups)) }
        submitters = (0..<world.fate.submitters).map { Submitter(world, "s\($0 + 1)") }
        producers = (0..<world.fate.producers).map { Producer(world, "p\($0 + 1)") }
        users = (0..<min(world.fate.watchers, 2)).map { UserWatcher(world, "n\($0 + 1)", user: $0 + 1) }
        listeners = (0..<world.fate.listeners).map { HubClient(world, "h\($0 + 1)") }
        visitors = (0..<world.fate.visitors).map { FleetVisitor(world, "v\($0 + 1)") }
        operators = world.fate.hasOperator ? [Operator(world, "o1"), Operator(world, "o2")] : []
        chatters = (0..<world.fate.chatters).map { Chatter(world, "c\($0 + 1)") }
        auditor = Caller(world, "auditor")
    }

    func enter() {
        for worker in workers { worker.connectLater(0...1_000) }
        for submitter in submitters { submitter.enter() }
        for producer in producers { producer.enter() }
        for user in users { user.connectLater(0...1_000) }
        for listener in listeners { listener.enter() }
        for visitor in visitors { visitor.enter() }
        for person in operators { person.enter() }
        for chatter in chatters { chatter.enter() }
        if world.fate.watchers > 0 { watch() }
    }

    /// Somebody begins to watch some task.
    private func watch() {
        world.after(world.chance.span(100...2_000 / world.fate.watchers)) { [self] in
            guard !isFinishing else { return }
            let open = sockets.count { !$0.isDone } + streams.count { !$0.isDone }
            if let task = world.notices.suffix(6).randomElement(using: &world.chance), open < 3 * world.fate.watchers {
                lastWatcher += 1
                if world.chance.once(in: 2) {
                    let watcher = SocketWatcher(world, "g\(lastWatcher)", task)
                    sockets.append(watcher)
                    watcher.connect()
                } else {
                    let watcher = StreamWatcher(world, "e\(lastWatcher)", task)
                    streams.append(watcher)
                    watcher.connectLater(0...10)
                }
            }
            watch()
        }
    }

    /// Nothing new is begun.
    func finish() {
        for worker in workers { worker.settleDown() }
        for submitter in submitters { submitter.finish() }
        for producer in producers { producer.finish() }
        for person in operators { person.finish() }
        for chatter in chatters { chatter.finish() }
        for listener in listeners { listener.finish() }
        for visitor in visitors { visitor.finish() }
        isFinishing = true
    }

    /// Whether everything that was begun has come to its end, as far as anybody here can know. Whoever does not know asks.
    var isDone: Bool {
        let open = world.ledger.promised.filter { !world.ledger.isEnded($0) }
        for id in open { Submitter.ask(world, auditor, id) }
        return open.isEmpty && submitters.allSatisfy(\.isIdle) && producers.allSatisfy(\.isDone) && sockets.allSatisfy(\.isDone)
            && streams.allSatisfy(\.isDone) && chatters.allSatisfy(\.isIdle) && inVain.isEmpty
    }

    /// Completions that workers have in hand and nobody waits for: they are to be told.
    private var inVain: [Int] {
        workers.flatMap(\.wanted).filter { nonce in chatters.contains { $0.hasAbandoned(nonce) } }
    }

    var unfinished: String {
        let open = world.ledger.promised.filter { !world.ledger.isEnded($0) }
        return "\(open.count) tasks (\(open.first ?? "-")), \(submitters.count { !$0.isIdle }) submitters, "
            + "\(producers.count { !$0.isDone }) producers, \(sockets.filter { !$0.isDone }.map(\.name)) and "
            + "\(streams.filter { !$0.isDone }.map(\.name)) wait, \(chatters.count { !$0.isIdle }) chatters, "
            + "completions \(inVain) are in vain"
    }

    /// Everything that was promised is asked after once more.
    func audit() {
        for id in world.ledger.promised { Submitter.ask(world, auditor, id) }
        for producer in producers { producer.audit() }
    }

    func leave() {
        for worker in workers { worker.leave() }
        for submitter in submitters { submitter.leave() }
        for producer in producers { producer.goAway() }
        for user in users { user.leave() }
        for listener in listeners { listener.leave() }
        for visitor in visitors { visitor.goAway() }
        for person in operators { person.leave() }
        for chatter in chatters { chatter.leave() }
        for watcher in sockets { watcher.leave() }
        for watcher in streams { watcher.leave() }
        auditor.drop()
        // Where a cable was pulled, the kernel gives up at last.
        for socket in world.machine?.sockets ?? [] { socket.giveUp() }
    }
}
