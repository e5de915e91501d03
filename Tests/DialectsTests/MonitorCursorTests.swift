// MonitorCursorTests: a place in a list is any short text; an empty one is the beginning.
import Base
import Testing

@testable import Dialects

struct MonitorCursorTests {
    @Test("a cursor is taken as it is, none where there is none, and not at any length")
    func read() throws {
        #expect(try MonitorCursor.read(nil) == nil)
        #expect(try MonitorCursor.read(.empty) == nil)
        let longest = SharedBytes(String(repeating: "a", count: 100))
        #expect(try MonitorCursor.read(longest) == longest)
        #expect(
            problem { try MonitorCursor.read(SharedBytes(String(repeating: "a", count: 101))) }
                == "Invalid request: cursor must be the next_cursor of an earlier answer")
    }
}
