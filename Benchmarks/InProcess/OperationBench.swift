// OperationBench: how long an operation computes and how often it asks for memory. An operation is done many times in a batch that takes
// some milliseconds; of the batches the median counts, and the lowest and the highest are told. What an operation is, the other files say.
import AllocationCount

/// Something that is done `count` times.
struct Operation {
    let floor: String
    let name: String
    /// What one of them is made of, where it is more than one thing: a delivery, a task.
    let parts: Int
    let body: (Int) -> Void

    init(_ floor: String, _ name: String, parts: Int = 1, _ body: @escaping (_ count: Int) -> Void) {
        self.floor = floor
        self.name = name
        self.parts = parts
        self.body = body
    }
}

enum OperationBench {
    private enum Style {
        case table, json
    }

    private static let batches = 15

    static func run(_ arguments: [String]) {
        var seconds = 0.2
        var only = ""
        var style = Style.table
        var rest = arguments[...]
        while let option = rest.popFirst() {
            switch option {
            case "--json": style = .json
            case "--seconds":
                guard let value = rest.popFirst().flatMap({ Double($0) }), value > 0, value < 60 else { fail("--seconds is a number") }
                seconds = value
            case "--only": only = rest.popFirst() ?? ""
            default: fail("operations has no option \(option)")
            }
        }
        for operation in Codecs.operations() + Events.operations() + Machines.operations() {
            guard only.isEmpty || operation.name.contains(only) || operation.floor.contains(only) else { continue }
            show(operation, measure(operation, seconds: seconds), style)
        }
    }

    private struct Figures {
        var nanoseconds: Double
        var lowest: Double
        var highest: Double
        var allocations: Double
    }

    private static func measure(_ operation: Operation, seconds: Double) -> Figures {
        // As many as take a batch's share of the time; finding that warms everything up.
        let share = Int(seconds * 1e9) / batches
        var count = 1
        while true {
            let start = computedNanoseconds()
            operation.body(count)
            let spent = computedNanoseconds() - start
            if spent >= share { break }
            count = spent * 16 < share ? count * 8 : max(count + 1, count * share / max(spent, 1) + 1)
        }
        var times: [Double] = []
        var allocations = 0
        for _ in 0..<batches {
            let (before, start) = (allocation_count(), computedNanoseconds())
            operation.body(count)
            times.append(Double(computedNanoseconds() - start) / Double(count * operation.parts))
            allocations += Int(allocation_count() - before)
        }
        times.sort()
        return Figures(
            nanoseconds: times[batches / 2], lowest: times[0], highest: times[batches - 1],
            allocations: Double(allocations) / Double(batches * count * operation.parts))
    }

    private static func show(_ operation: Operation, _ figures: Figures, _ style: Style) {
        switch style {
        case .json:
            print(
                "{\"floor\":\"\(operation.floor)\",\"name\":\"\(operation.name)\",\"ns\":\(tenths(figures.nanoseconds)),"
                    + "\"ns_min\":\(tenths(figures.lowest)),\"ns_max\":\(tenths(figures.highest)),"
                    + "\"allocations\":\(tenths(figures.allocations))}")
        case .table:
            let name = operation.floor + ": " + operation.name
            print(
                name + String(repeating: " ", count: max(1, 64 - name.count)) + tenths(figures.nanoseconds) + " ns",
                tenths(figures.allocations))
        }
    }

    private static func tenths(_ value: Double) -> String {
        let scaled = Int((value * 10).rounded())
        return "\(scaled / 10).\(scaled % 10)"
    }
}

/// Keeps what was computed from being optimised away.
@inline(never)
func consume<Value>(_ value: Value) {}
