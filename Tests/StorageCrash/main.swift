// StorageCrash: a process to be killed. It journals tasks without end and says on its standard output which numbers were acknowledged;
// StorageTests kills it and looks whether they are there. Its arguments are the data directory, the first task and a durability.
import Base
import Dispatch
import Domain
import Glibc
import Storage

let arguments = CommandLine.arguments
guard arguments.count == 4, let first = UInt64(arguments[2]) else { exit(2) }
var settings = StorageSettings()
settings.durability = arguments[3] == "processEnd" ? .processEnd : .powerLoss
settings.checkpointPages = 64

/// One line an acknowledgement, in one write, so that a line is whole or not there.
@Sendable
func say(_ text: String) {
    let line = Array((text + "\n").utf8)
    _ = unsafe line.withUnsafeBytes { unsafe write(1, $0.baseAddress, $0.count) }
}

/// Commits that may be on their way: some batches gather while one is written, and a kill meets every moment.
let commits = DispatchSemaphore(value: 0)

do {
    let journal = try Journal(.directory(arguments[1]), settings) { report in
        switch report {
        case .committed(let number): say("\(number)")
        case .failed(_, let error, _): say("failed: \(error)")
        }
        commits.signal()
    }
    let payload = SharedBytes([UInt8](repeating: 0x61, count: 700))
    var number = first
    while true {
        // A handful of batches, of which the first may be committed alone and the others together.
        for _ in 0..<7 {
            // Task n is submitted by record 2n, and every third is ended by record 2n + 1. A batch is three tasks.
            var batch: [RecordEntry] = []
            for _ in 0..<3 {
                let id = TaskID(high: number, low: 1)
                let time = WallTime(milliseconds: Int64(number))
                let image = TaskImage(
                    id: id, group: SharedBytes("g"), isDetached: true, payload: payload, timeout: .seconds(1), createdAt: time,
                    enqueuedAt: time)
                batch.append(RecordEntry(number: number * 2, record: .submitted(image)))
                if number % 3 == 0 {
                    let ending = TaskEnding(
                        id: id, event: .completed(TaskEvent.Completion(result: payload)), endedAt: time, sequence: 2)
                    batch.append(RecordEntry(number: number * 2 + 1, record: .ended(ending)))
                }
                number += 1
            }
            try journal.append(batch)
        }
        commits.wait()
    }
} catch {
    say("failed: \(error)")
    exit(1)
}
