// Shelf: what a disk would remember of a broker's records, without a disk: images that follow the records. It says so when a record
// makes no sense, and when somebody hears of what is not written yet.
import Base
import Testing

@testable import Domain

final class Shelf {
    private(set) var images: [TaskID: TaskImage] = [:]
    /// The live tasks' numbers grow in the order of their submission.
    private var numbers: [TaskID: Int] = [:]
    private var ends: [TaskID: Int] = [:]
    private var count = 0
    /// Events that are written down, by their tasks.
    private(set) var events: [TaskID: [UInt64]] = [:]

    /// Failed tasks that may be tried again.
    private var kept: [TaskID: DeadLetter] = [:]

    /// Writes down what the effects say, in their order.
    func take(_ effects: [Effect]) {
        for effect in effects {
            switch effect {
            case .assign, .recall, .dismiss: break
            case .record(let record): write(record)
            case .archive(let publication): archive(publication)
            case .accept(_, let task): #expect(images[task.id] != nil && task.isRecorded, "a task is promised before it is written")
            case .acknowledge(let id, _): #expect(images[id]?.state.isTerminal ?? true, "a worker is thanked before it is written")
            case .answer(_, let task): #expect(images[task.id]?.state.isTerminal ?? true, "an end is answered before it is written")
            case .publish(let publication):
                guard let image = images[publication.task], publication.event.isTerminal else { continue }
                #expect(image.state.isTerminal && image.sequence == publication.sequence, "an end is told before it is written")
            }
        }
    }

    private func write(_ record: Record) {
        count += 1
        switch record {
        case .submitted(let image):
            // An ended one of the same name may have been forgotten in memory.
            #expect(images[image.id]?.state.isTerminal ?? true, "a task is written down twice")
            #expect(image.ending == nil && !image.state.isTerminal)
            if let letter = image.replayOf {
                #expect(kept.removeValue(forKey: letter) != nil, "a task takes the place of no letter")
            }
            images[image.id] = image
            images[image.id]?.replayOf = nil
            events[image.id] = nil
            numbers[image.id] = count
        case .assigned(let start):
            change(start.id, start.sequence) {
                $0.state = .executing
                $0.worker = start.worker
                $0.startedAt = start.startedAt
                $0.attempts = start.attempts
                $0.lease = start.sequence
            }
        case .requeued(let requeue):
            change(requeue.id, requeue.sequence) {
                $0.state = .queued
                $0.retriesLeft = requeue.retriesLeft
                $0.retryAt = requeue.retryAt
            }
        case .resumed(let id, let sequence):
            #expect(sequence > images[id]?.sequence ?? sequence, "a number may be given twice")
            change(id, sequence) { _ in }
        case .ended(let ending):
            change(ending.id, ending.sequence) {
                $0.state = ending.state
                $0.ending = ending
                $0.payload = .empty
            }
            ends[ending.id] = count
        case .removed(let id):
            #expect(images[id]?.state.isTerminal == true, "what is not written is unwritten")
            images[id] = nil
            events[id] = nil
        case .letterKept(let letter):
            #expect(images[letter.id]?.state == .failed, "a letter of a task that has not failed")
            #expect(kept.updateValue(letter, forKey: letter.id) == nil, "a letter is written twice")
        case .letterRemoved(let id): #expect(kept.removeValue(forKey: id) != nil, "a letter goes that is not there")
        case .progressCleared(let id): images[id]?.progress = nil
        case .progressed, .logged, .happened, .sessionOpened, .sessionTouched, .sessionClosed, .activityNoted, .alertChanged,
            .deploymentChanged, .deploymentRemoved, .revoked, .revocationRemoved:
            Issue.record("a record that is not the broker's")
        }
    }

    private func change(_ id: TaskID, _ sequence: UInt64, _ body: (inout TaskImage) -> Void) {
        guard var image = images[id], !image.state.isTerminal else {
            Issue.record("a record of a task that is not written, or has ended")
            return
        }
        body(&image)
        image.sequence = max(image.sequence, sequence)
        images[id] = image
    }

    private func archive(_ publication: Publication) {
        guard var image = images[publication.task] else {
            Issue.record("an event of a task that is not written")
            return
        }
        #expect(publication.sequence > events[publication.task]?.last ?? 0, "an event is written twice, or out of its order")
        events[publication.task, default: []].append(publication.sequence)
        image.sequence = max(image.sequence, publication.sequence)
        if case .progress(let report) = publication.event {
            image.progress = ProgressRow(
                taskID: image.id, progress: Int(publication.progress), totalSteps: report.totalSteps ?? 0,
                completedSteps: report.completedSteps ?? 0, message: report.message ?? .empty, status: SharedBytes("running"),
                createdAt: publication.at, sequence: publication.sequence)
        }
        images[publication.task] = image
    }

    /// In the order of their numbers.
    var letters: [DeadLetter] { kept.values.sorted { $0.number < $1.number } }

    /// As the database would give them back.
    var live: [TaskImage] {
        images.values.filter { !$0.state.isTerminal }.sorted { numbers[$0.id, default: 0] < numbers[$1.id, default: 0] }
    }

    var ended: [TaskImage] {
        images.values.filter(\.state.isTerminal).sorted { ends[$0.id, default: 0] < ends[$1.id, default: 0] }
    }
}
