// MessageValues: values that several dialects write in the same way: words for a person, texts that may be missing, points of time
// in whole seconds. Shapes of messages are the dialects' own.
internal import Base
internal import Domain
internal import JSON

extension JSONObjectWriter {
    /// Words for a person: always a text. A reporter's text goes out as it came; another JSON value becomes the text of it.
    mutating func member(_ key: StaticString, words: TaskEvent.Words) {
        switch words {
        case .plain(let text): member(key, string: text)
        case .raw(let value) where value.isEmpty: member(key, string: "Task failed")
        case .raw(let value) where value.span[0] == UInt8(ascii: "\""): member(key, raw: value)
        case .raw(let value): member(key, string: value)
        }
    }

    /// What a task cost: as somebody told it, byte for byte, or the document's sum and its currency.
    mutating func member(_ key: StaticString, _ cost: Cost) {
        switch cost {
        case .raw(let value): member(key, userValue: value)
        case .metered(let rate, let time):
            let sum = rate.perHour * max(Double(time.nanoseconds) / 3.6e12, 0)
            member(
                key,
                object: {
                    // Millionths: some tasks take a second of a cheap machine.
                    $0.member("total_cost", double: (sum * 1e6).rounded() / 1e6)
                    $0.member("currency", string: rate.currency)
                })
        }
    }

    /// A text, or null.
    mutating func member(_ key: StaticString, stringOrNull text: SharedBytes?) {
        if let text { member(key, string: text) } else { nullMember(key) }
    }

    /// A point of time in whole seconds, `2026-01-20T10:30:00` and what the document ends it with.
    mutating func member(_ key: StaticString, seconds time: WallTime, zone: StaticString) {
        member(key) { writer in
            writer.append(UInt8(ascii: "\""))
            time.append(iso8601To: &writer)
            // Without its `.000Z`.
            writer.truncate(to: writer.count - 5)
            writer.append(zone)
            writer.append(UInt8(ascii: "\""))
        }
    }
}

extension TaskDetails {
    /// When its last event was, as far as is known.
    var lastChange: WallTime { updatedAt ?? endedAt ?? snapshot.startedAt ?? snapshot.createdAt }
}
