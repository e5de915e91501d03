// Weather: what goes wrong on the way, one fault after the other, each chosen by the seed among those that its fate allows. Judges nothing.
import Base

final class Weather {
    enum Fault: CaseIterable {
        /// A connection breaks, and both ends hear of it.
        case reset
        /// A connection goes dead, and nobody hears of it.
        case silence
        /// A client reads nothing for a while.
        case stall
        /// kill -9, and a new process soon after.
        case crash
        /// SIGTERM, and a new process once it is over.
        case restart
        /// The process stands still.
        case freeze
        /// The wall's clock is set.
        case clock
        /// The disk takes nothing for a while.
        case disk
    }

    unowned let world: Simulation
    private let faults: [Fault]
    private var isOver = false

    init(_ world: Simulation) {
        self.world = world
        faults = Fault.allCases.filter(world.fate.faults.contains)
    }

    func begin() {
        guard !isOver, !faults.isEmpty else { return }
        world.after(world.chance.span(world.fate.faultPause)) { [self] in
            guard !isOver else { return }
            strike(world.chance.pick(faults))
            begin()
        }
    }

    /// From now on nothing goes wrong.
    func end() {
        isOver = true
        world.disk.release()
    }

    private func strike(_ fault: Fault) {
        world.trace.note(world.now, "*") { "\(fault)" }
        world.tally[.faults] += 1
        let sockets = world.machine?.sockets ?? []
        switch fault {
        case .reset:
            world.tally[.resets] += 1
            if !sockets.isEmpty { world.chance.pick(sockets).break_() }
        case .silence: if !sockets.isEmpty { world.silence(world.chance.pick(sockets)) }
        case .stall:
            world.tally[.stalls] += 1
            if !sockets.isEmpty { world.chance.pick(sockets).stall(world.chance.span(100...20_000)) }
        case .crash: world.crash()
        case .restart: world.restart()
        case .freeze: world.machine?.freeze(world.chance.span(50...8_000))
        case .clock: world.stepWall(world.chance.number(-4_000...4_000))
        case .disk:
            guard !world.disk.isHeld, world.machine != nil else { return }
            world.disk.hold()
            world.tally[.diskFailures] += 1
            world.after(world.chance.span(10...6_000)) { [world] in world.disk.release() }
        }
    }
}
