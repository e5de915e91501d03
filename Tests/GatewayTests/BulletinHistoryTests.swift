// Goal: the history holds the newest within its two bounds, and answers a position with all that came behind it, or not at all.
import Base
import Domain
import TestSupport
import Testing

@testable import Gateway

@Suite("The history of the channels")
struct BulletinHistoryTests {
    /// The server's context, in which editions are written; it says so when they are.
    private let network = FakeNetwork()

    private func edition(_ offset: UInt64, bytes: Int = 0, isResources: Bool = false) -> Edition {
        let activity = Activity(
            id: SharedBytes("act-\(offset)"), kind: .userOperation, message: SharedBytes(String(repeating: "x", count: bytes)),
            severity: .info, createdAt: WallTime(milliseconds: 0))
        let event: MonitorEvent = isResources ? .models([]) : .activity(activity)
        return Edition(Bulletin(number: offset, offset: offset, at: WallTime(milliseconds: 0), event: event))
    }

    @Test("as many as the count, and the oldest go first")
    func count() {
        var history = BulletinHistory(countMax: 3, bytesMax: .max)
        #expect(history.since(0)?.isEmpty == true)
        for offset: UInt64 in [2, 5, 6] { history.append(edition(offset)) }
        #expect(offsets(history.since(0)) == [2, 5, 6])
        #expect(offsets(history.since(2)) == [5, 6])
        #expect(offsets(history.since(4)) == [5, 6])
        #expect(offsets(history.since(6)) == [])
        #expect(offsets(history.since(99)) == [])
        history.append(edition(9))
        #expect(history.since(1) == nil)
        #expect(offsets(history.since(2)) == [5, 6, 9])
    }

    @Test("what was dropped is let go of soon")
    func letGo() {
        var history = BulletinHistory(countMax: 1_000, bytesMax: .max)
        var first: Edition? = edition(1)
        weak let kept = first
        if let first { history.append(first) }
        first = nil
        for offset: UInt64 in 2...1_000 { history.append(edition(offset)) }
        #expect(kept != nil)
        for offset: UInt64 in 1_001...1_200 { history.append(edition(offset)) }
        #expect(kept == nil)
        #expect(history.since(200)?.count == 1_000 && history.since(199) == nil)
    }

    @Test("the texts that were written count, and one that is larger than all is held")
    func bytes() {
        var history = BulletinHistory(countMax: 100, bytesMax: 5_300)
        for offset in 1...5 { history.append(edition(UInt64(offset))) }
        #expect(offsets(history.since(0)) == [1, 2, 3, 4, 5])
        let large = edition(6, bytes: 400)
        _ = large.text(omittingOffset: true, network.server.context)
        history.append(large)
        #expect(offsets(history.since(3)) == [4, 5, 6] || offsets(history.since(4)) == [5, 6])
        let huge = edition(7, bytes: 5_000)
        _ = huge.text(omittingOffset: false, network.server.context)
        history.append(huge)
        #expect(offsets(history.since(6)) == [7])
        #expect(history.since(5) == nil)
    }

    @Test("what nobody has heard counts for what it will hold once it is told, so that it does not grow beyond the bound")
    func unwritten() {
        var history = BulletinHistory(countMax: 100, bytesMax: 20_000)
        for offset: UInt64 in 1...20 { history.append(edition(offset, bytes: 1_000)) }
        let held = history.since(history.droppedOffset) ?? []
        #expect(held.count >= 4)
        for edition in held { _ = edition.text(omittingOffset: false, network.server.context) }
        #expect(held.reduce(0) { $0 + $1.byteCount } <= 22_000)
    }

    @Test("the last of a kind, oldest first, and no further back than the depth")
    func last() {
        var history = BulletinHistory(countMax: 100, bytesMax: .max)
        for offset: UInt64 in 1...20 { history.append(edition(offset, isResources: offset % 5 == 0)) }
        let isResources: (Bulletin) -> Bool = { $0.event.channel == .modelStatus }
        #expect(history.last(3, depth: 100, where: isResources).map(\.bulletin.offset) == [10, 15, 20])
        #expect(history.last(3, depth: 7, where: isResources).map(\.bulletin.offset) == [15, 20])
        #expect(history.last(3, depth: 0, where: isResources).isEmpty)
        #expect(history.last(100, depth: 100) { !isResources($0) }.count == 16)
    }

    @Test("seeded runs against a list", arguments: 0..<30)
    func oracle(_ seed: UInt64) {
        var random = Seeded(seed: seed)
        let countMax = Int.random(in: 1...120, using: &random)
        let bytesMax = Int.random(in: 1...40_000, using: &random)
        var history = BulletinHistory(countMax: countMax, bytesMax: bytesMax)
        var list: [(offset: UInt64, bytes: Int)] = []
        var dropped: UInt64 = 0
        var offset: UInt64 = 0
        for _ in 0..<600 {
            offset += UInt64.random(in: 1...4, using: &random)
            let edition = edition(offset, bytes: Int.random(in: 0...600, using: &random))
            if Bool.random(using: &random) {
                _ = edition.text(omittingOffset: Bool.random(using: &random), network.server.context)
            }
            history.append(edition)
            list.append((offset, edition.byteCount))
            while list.count > countMax || list.count > 1 && list.reduce(0, { $0 + $1.bytes }) > bytesMax {
                dropped = list.removeFirst().offset
            }
            let asked = UInt64.random(in: 0...(offset + 3), using: &random)
            let expected = asked < dropped ? nil : list.map(\.offset).filter { $0 > asked }
            #expect(offsets(history.since(asked)) == expected)
            #expect(offsets(history.since(dropped)) == list.map(\.offset))
            let depth = Int.random(in: 0...200, using: &random)
            let count = Int.random(in: 1...12, using: &random)
            let odd = list.suffix(depth).map(\.offset).filter { $0 % 2 == 1 }.suffix(count)
            #expect(history.last(count, depth: depth) { $0.offset % 2 == 1 }.map(\.bulletin.offset) == Array(odd))
        }
    }

    private func offsets(_ editions: [Edition]?) -> [UInt64]? { editions?.map(\.bulletin.offset) }
}

@Suite("An edition")
struct EditionTests {
    @Test("each text is written once, the numbered one is the bare one and its offset, and a frame holds the packet")
    func texts() throws {
        let context = FakeNetwork().server.context
        let edition = Edition(Bulletin(number: 1, offset: 77, at: WallTime(milliseconds: 0), event: .models([])))
        let before = context.metrics.encodings
        let bare = edition.text(omittingOffset: true, context)
        _ = edition.text(omittingOffset: true, context)
        #expect(context.metrics.encodings == before + 1)
        let numbered = edition.text(omittingOffset: false, context)
        _ = edition.text(omittingOffset: false, context)
        #expect(context.metrics.encodings == before + 2)
        let text = bare.bytes[bare.packet].description
        #expect(text.hasPrefix("42[\"model_status_update\",{") && text.hasSuffix("}]"))
        #expect(numbered.bytes[numbered.packet].description == text.dropLast() + ",\"77\"]")
        for one in [bare, numbered] {
            var bytes = Array(0..<one.bytes.count).map { one.bytes.span[$0] }
            let frame = try #require(try Wire.frame(&bytes))
            #expect(bytes.isEmpty)
            #expect(try Wire.describe(frame, nil) == one.bytes[one.packet].description)
        }
    }
}
