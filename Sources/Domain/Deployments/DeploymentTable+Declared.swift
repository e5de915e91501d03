// Declared deployments: the models that connected workers say they have. A worker's connection is all the health that is known of them;
// they are never probed and never written down.
public import Base

extension DeploymentTable {
    /// A worker says which models it has: these, and no others any more. Those for which there is no room are not shown, nor are those
    /// whose name, or whose group's, is none (as ``TaskID`` judges): they stand in every list of deployments.
    public mutating func declare(_ models: [SharedBytes], by worker: WorkerID, in group: SharedBytes, at now: Moment) {
        let before = declarations[worker] ?? []
        let models = TaskID(group.span) == nil ? [] : models.filter { TaskID($0.span) != nil }
        var ids: [SharedBytes: SharedBytes] = [:]
        for model in models { ids[DeploymentTable.id(of: model, in: group)] = model }
        // What goes may give way to what comes.
        for slot in before.sorted() {
            guard let id = entries[slot]?.deployment.id, ids[id] == nil else { continue }
            leave(slot, worker)
        }
        for model in models {
            // A model that is named twice counts once.
            let id = DeploymentTable.id(of: model, in: group)
            guard ids.removeValue(forKey: id) != nil else { continue }
            join(id, model, group, worker, at: now)
        }
    }

    /// A worker is gone, and what it declared with it.
    public mutating func withdraw(_ worker: WorkerID, at now: Moment) {
        for slot in (declarations[worker] ?? []).sorted() { leave(slot, worker) }
    }

    private mutating func join(_ id: SharedBytes, _ model: SharedBytes, _ group: SharedBytes, _ worker: WorkerID, at now: Moment) {
        if let slot = slots[id] {
            guard var entry = entries[slot], case .declared(let group, let workers) = entry.deployment.source else { return }
            guard declarations[worker, default: []].insert(slot).inserted else { return }
            entry.deployment.source = .declared(group: group, workers: workers + 1)
            if workers == 0 {
                stopped.remove(entry.stoppedPlace)
                entry.stoppedPlace = Chain<Int>.none
                entry.deployment.status = .running
                entry.deployment.health = .healthy
                entry.deployment.deployedAt = now.wall
                tell(.restarted, entry.deployment)
            }
            _ = entries.with(slot) { $0 = entry }
            return
        }
        guard makeRoom(isDeclared: true) else { return }
        // Copies: both are parts of a worker's message.
        let name = SharedBytes(copying: model.span)
        var deployment = Deployment(
            id: id, form: Deployment.Form(modelID: name, name: name, startTimeout: limits.deploymentStartTimeout),
            source: .declared(group: SharedBytes(copying: group.span), workers: 1), status: .deploying, createdAt: now.wall)
        tell(.started, deployment, until: now.wall)
        deployment.status = .running
        deployment.health = .healthy
        deployment.deployedAt = now.wall
        tell(.completed, deployment)
        declarations[worker, default: []].insert(add(Entry(deployment: deployment)))
    }

    private mutating func leave(_ slot: Int, _ worker: WorkerID) {
        declarations[worker]?.remove(slot)
        if declarations[worker]?.isEmpty == true { declarations[worker] = nil }
        guard var entry = entries[slot], case .declared(let group, let workers) = entry.deployment.source else { return }
        entry.deployment.source = .declared(group: group, workers: max(workers - 1, 0))
        if workers <= 1 {
            end(&entry, slot)
            entry.stoppedPlace = stopped.append(slot)
        }
        _ = entries.with(slot) { $0 = entry }
    }

    /// `worker:<group>:<model>`. A colon in a group is written as in a path, so that no two pairs have one name.
    static func id(of model: SharedBytes, in group: SharedBytes) -> SharedBytes {
        var writer = ByteWriter(capacity: declaredPrefix.count + group.count + model.count + 16)
        writer.append(declaredPrefix)
        let text = group.span
        for index in text.indices {
            switch text[index] {
            case UInt8(ascii: ":"): writer.append("%3A")
            case UInt8(ascii: "%"): writer.append("%25")
            case let byte: writer.append(byte)
            }
        }
        writer.append(UInt8(ascii: ":"))
        writer.append(model)
        return writer.seal()
    }

    /// Whether a name is of the kind that only workers' declarations give.
    static func isDeclared(_ text: Span<UInt8>) -> Bool {
        let prefix = declaredPrefix.span
        guard text.count >= prefix.count else { return false }
        for index in prefix.indices where text[index] != prefix[index] { return false }
        return true
    }

    private static let declaredPrefix = SharedBytes("worker:")
}
