// Broker+Models: which models there are, and which group has one: for requests that name a model and no group. Decides nothing about which
// worker of a group it is; WorkerPool does.
//
// Cost: a look at each group, some 50 ns each; nothing is allocated.
public import Base

/// Who would do a task that names a model and no group.
public enum ModelPlace: Equatable, Sendable {
    case group(SharedBytes)
    /// There are workers, and none of them has it.
    case nowhere
    /// There is no worker at all.
    case deserted
}

/// A model that somebody declares.
public struct DeclaredModel: Equatable, Sendable {
    public let name: SharedBytes
    public let group: SharedBytes
    /// Since when the first of its workers is connected.
    public let since: WallTime
}

extension Broker {
    /// The group for a task of that model: one of those whose workers declare it, by room for it, then by the shorter line, then by name;
    /// else the default group, if a worker of it declares no models and so takes any.
    public func place(for model: SharedBytes) -> ModelPlace {
        guard workerCount > 0 else { return .deserted }
        var best: (group: Group, room: Int)?
        for group in groups.values where group.staffCount > 0 && group.isDeclared(model) {
            let room = group.choose(for: model)?.room ?? 0
            guard let other = best else {
                best = (group, room)
                continue
            }
            let figures = (-room, group.waitingCount)
            let otherFigures = (-other.room, other.group.waitingCount)
            // The order of a dictionary is chance, and may not be ours.
            if figures < otherFigures || figures == otherFigures && group.name.precedes(other.group.name) { best = (group, room) }
        }
        if let best { return .group(best.group.name) }
        guard let group = groups[Broker.defaultGroup], group.allWorkers.contains(where: { !$0.isDraining && $0.models.isEmpty }) else {
            return .nowhere
        }
        return .group(group.name)
    }

    /// The models that connected workers declare, by name; of several groups that have one, the one that had it first.
    public var declaredModels: [DeclaredModel] {
        var found: [SharedBytes: DeclaredModel] = [:]
        for group in groups.values {
            for worker in group.allWorkers where !worker.isDraining {
                for name in worker.models {
                    let model = DeclaredModel(name: name, group: group.name, since: worker.connectedAt)
                    guard let other = found[name] else {
                        found[name] = model
                        continue
                    }
                    let isFirst = (model.since.milliseconds, other.since.milliseconds)
                    if isFirst.0 < isFirst.1 || isFirst.0 == isFirst.1 && model.group.precedes(other.group) { found[name] = model }
                }
            }
        }
        return found.values.sorted { $0.name.precedes($1.name) }
    }

    /// The task that is remembered under a key.
    public func task(underKey key: SharedBytes) -> TaskRecord? { tasks.task(withKey: key) }
}

extension SharedBytes {
    /// Whether it comes first in the order of bytes.
    public func precedes(_ other: SharedBytes) -> Bool {
        let (left, right) = (span, other.span)
        for index in 0..<min(left.count, right.count) where left[index] != right[index] { return left[index] < right[index] }
        return left.count < right.count
    }
}
