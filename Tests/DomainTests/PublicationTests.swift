// PublicationTests: what may become of a publication that waits, and that it stays a small value.
import Base
import Testing
import TestSupport

@testable import Domain

struct PublicationTests {
    private static func publication(_ event: TaskEvent, epoch: UInt64 = 9) -> Publication {
        let origin = StreamOrigin(task: TaskID(high: 1, low: 2), user: SharedBytes("u"), project: nil, epoch: epoch)
        return Publication(
            number: 3, origin: origin, sequence: 2, at: WallTime(milliseconds: 4), event: event, state: .executing, progress: 41)
    }

    @Test("progress gives way to newer progress of the same stream, and to no other")
    func progress() {
        let first = Self.publication(.progress(.init(reported: 1)))
        #expect(first.conflation == .replaceable(key: 9))
        #expect(first.conflation == Self.publication(.progress(.init(reported: 2))).conflation)
        #expect(first.conflation != Self.publication(.progress(.init(reported: 2)), epoch: 10).conflation)
    }

    @Test("logs may be left out, everything else but progress is sent")
    func others() {
        #expect(Self.publication(.log(.init(logs: .empty))).conflation == .droppable)
        let kept: [TaskEvent] = [
            .queued, .started(.init(startedAt: WallTime(milliseconds: 0))), .chunk(.empty), .failed(.init(error: .plain(.empty))),
            .completed(.init(result: .empty)), .cancelled(reason: nil),
        ]
        for event in kept { #expect(Self.publication(event).conflation == .never) }
    }

    @Test("whose it is stands in its origin")
    func origin() {
        let publication = Self.publication(.queued)
        #expect(publication.task == TaskID(high: 1, low: 2) && publication.user == SharedBytes("u"))
        #expect(publication.project == nil && publication.epoch == 9)
    }

    @Test("a publication is 64 bytes, also where there may be none")
    func size() {
        #expect(MemoryLayout<Publication>.stride == 64 && MemoryLayout<Publication?>.stride == 64)
        #expect(Self.publication(.queued).byteCount == 64)
    }
}
