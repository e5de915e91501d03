// Producer: does tasks of its own and reports them, by document N, over HTTP or over one socket with acknowledgements. What was confirmed
// has happened for good; what was not is said again, and then refused as said already, or not.
import Base

/// A task that a program of its own does.
private struct Job {
    let id: String
    let user: Int
    /// The greatest number that was confirmed.
    var confirmed = 0
    /// How it ended, once that was confirmed.
    var ending: String?
    var isRegistered = false
    var stepsLeft: Int
    /// What is under way and not confirmed.
    var pending: String?
}

final class Producer: Talker {
    private let isSocket: Bool
    private let caller: Caller
    private let asker: Caller
    private var jobs: [Job] = []
    private var lastAck = 0
    /// What waits for its acknowledgement: the numbers ascend.
    private var acks: [(number: Int, job: Int, event: String)] = []
    private var isFinishing = false
    private var serial = 0

    override init(_ world: Simulation, _ name: String) {
        isSocket = world.chance.once(in: 2)
        caller = Caller(world, name)
        asker = Caller(world, name + "?")
        super.init(world, name)
    }

    override var target: String { "/api/task/ws/producer" }

    func enter() {
        if isSocket { connectLater(0...500) }
        next()
    }

    func finish() { isFinishing = true }

    var isDone: Bool { jobs.allSatisfy { $0.ending != nil } }

    func goAway() {
        leave()
        caller.drop()
        asker.drop()
    }

    private func next() {
        world.after(world.chance.span(isFinishing ? 1...100 : 5...700)) { [self] in
            guard !hasLeft else { return }
            act()
            next()
        }
    }

    private func act() {
        if !isFinishing, jobs.isEmpty || world.chance.once(in: 6) {
            let id = "job-\(name)-\(jobs.count + 1)"
            jobs.append(Job(id: id, user: world.chance.number(1...2), stepsLeft: world.chance.number(0...9)))
        }
        let open = jobs.indices.filter { jobs[$0].ending == nil && jobs[$0].pending == nil }
        guard !open.isEmpty else { return }
        let index = world.chance.pick(open)
        serial += 1
        if !jobs[index].isRegistered { return report(index, "register", "\"user_id\":\(jobs[index].user)") }
        if jobs[index].stepsLeft > 0, !isFinishing || world.chance.once(in: 3) {
            jobs[index].stepsLeft -= 1
            switch world.chance.number(0...3) {
            case 0: return report(index, "log", "\"logs\":\"line \(serial)\"")
            case 1: return report(index, "started", "")
            case _: return report(index, "progress", "\"progress\":\(world.chance.number(0...100)),\"message\":\"step \(serial)\"")
            }
        }
        switch world.chance.number(0...3) {
        case 0: report(index, "failed", "\"error\":\"failure \(serial)\"")
        case 1: report(index, "cancelled", "\"reason\":\"reason \(serial)\"")
        case _: report(index, "completed", "\"result\":{\"serial\":\(serial)}")
        }
        if world.chance.once(in: 12) { ask(index) }
    }

    // MARK: Reporting

    private func report(_ index: Int, _ event: String, _ members: String) {
        let id = jobs[index].id
        let rest = members.isEmpty ? "" : "," + members
        world.tally[.reports] += 1
        if isSocket {
            guard isTalking else { return }
            lastAck += 1
            acks.append((lastAck, index, event))
            jobs[index].pending = event
            return say("{\"event\":\"\(event)\",\"task_id\":\"\(id)\"\(rest),\"ack\":\(lastAck)}")
        }
        jobs[index].pending = event
        let path = event == "register" ? "/api/task/register" : "/api/task/task/\(id)/\(event)"
        let body = event == "register" ? "{\"task_id\":\"\(id)\"\(rest)}" : "{\(members)}"
        caller.call("POST", path, body: body) { [self] reply, _ in
            jobs[index].pending = nil
            guard let reply else { return }
            do {
                let answer = try JSON(reply.body)
                confirmed(index, event, reply.status, answer["data"]?["seq"]?.integer, answer["error"]?.text)
            } catch {
                world.fail("answer", "\(name): \(error)")
            }
        }
    }

    /// - Parameter status: as over HTTP; 200 for yes.
    private func confirmed(_ index: Int, _ event: String, _ status: Int, _ sequence: Int?, _ error: String?) {
        switch (status, error) {
        case (200, _):
            world.tally[.reportsConfirmed] += 1
            if let sequence {
                // To begin what has begun changes nothing.
                if sequence < jobs[index].confirmed || sequence == jobs[index].confirmed && event != "started" {
                    world.fail("producer", "\(jobs[index].id): \(event) is number \(sequence), behind \(jobs[index].confirmed)")
                }
                jobs[index].confirmed = sequence
            }
            if event == "register" { register(index) }
            if ["completed", "failed", "cancelled"].contains(event) { jobs[index].ending = event }
        case (409, "Task already registered"): register(index)
        // Said before, and the answer was lost.
        case (409, _): if jobs[index].ending == nil { jobs[index].ending = "?" }
        case (404, _):
            if jobs[index].isRegistered { world.fail("lost", "\(jobs[index].id) was registered, and is not there") }
        case (503, _): world.tally[.notStored] += 1
        case _: world.fail("producer", "\(jobs[index].id): \(event) is answered \(status) \(error ?? "")")
        }
    }

    private func register(_ index: Int) {
        jobs[index].isRegistered = true
        world.published(jobs[index].id)
    }

    // MARK: The socket

    override func told(_ text: String) throws {
        let message = try JSON(text)
        guard message["type"]?.text == "ack", let number = message["ack"]?.integer else { throw Malformed("a producer is told \(text)") }
        guard let first = acks.first, first.number == number else {
            return world.fail("producer", "\(name) is told of \(number), and waits for \(acks.first?.number ?? 0)")
        }
        acks.removeFirst()
        jobs[first.job].pending = nil
        if message["ok"]?.isTrue == true { return confirmed(first.job, first.event, 200, nil, nil) }
        let error = message["error"]?.text ?? ""
        let statuses = ["Task not found": 404, "Task could not be stored": 503, "Too many tasks are reported": 503]
        confirmed(first.job, first.event, statuses[error] ?? 409, nil, error)
    }

    override func parted(_ code: Int?) {
        forgetAcks()
        connectLater(10...1_500)
    }

    override func refused(_ status: Int) { connectLater(100...1_000) }

    private func forgetAcks() {
        for ack in acks { jobs[ack.job].pending = nil }
        acks = []
    }

    // MARK: Asking

    func audit() { for index in jobs.indices { ask(index) } }

    private func ask(_ index: Int) {
        let job = jobs[index]
        guard job.isRegistered else { return }
        asker.call("GET", "/api/task/task/\(job.id)/status") { [self] reply, _ in
            guard let reply else { return }
            guard reply.status == 200, let data = (try? JSON(reply.body))?["data"], let sequence = data["seq"]?.integer else {
                return world.fail("lost", "\(job.id) was registered, and is answered \(reply.status) \(reply.bodyText)")
            }
            if sequence < job.confirmed { world.fail("producer", "\(job.id) stands at \(sequence), and \(job.confirmed) was confirmed") }
            if let ending = job.ending, ending != "?", data["status"]?.text != ending {
                world.fail("terminal", "\(job.id) was confirmed as \(ending), and is \(reply.bodyText)")
            }
        }
    }
}
