// WatcherMembers: members that the messages of several dialects have in common, read with the words that name what is wrong with them.
internal import Base
internal import Domain
internal import JSON

extension Members {
    /// A task's name, which has to be there.
    func taskID(_ name: StaticString, in text: Span<UInt8>, _ scratch: inout ByteWriter) throws(RequestProblem) -> TaskID {
        guard let node = node(name, in: text) else { throw .missing(member: name) }
        guard let contents = index.contents(of: node) else { throw .wrongType(member: name, expected: "a text") }
        let id: TaskID?
        // Escapes only shrink: six bytes of text at most for one of the name.
        if contents.count > TaskID.bytesMax * 6 {
            id = nil
        } else if index.hasEscapes(node) {
            let start = scratch.count
            _ = index.decode(node, in: text, into: &scratch)
            id = TaskID(scratch.span.extracting(start..<scratch.count))
            scratch.truncate(to: start)
        } else {
            id = TaskID(text.extracting(contents))
        }
        guard let id else { throw .outOfRange(member: name, expected: "1 to \(TaskID.bytesMax) bytes of printable text") }
        return id
    }

    /// A token in `token`, which has to be there.
    func token(in text: Span<UInt8>, _ scratch: inout ByteWriter) throws(RequestProblem) -> SharedBytes {
        let token = try self.text("token", bytesMax: BearerToken.bytesMax, in: text, &scratch)
        guard let token, !token.isEmpty else { throw .missing(member: "token") }
        return token
    }

    /// The problem of a word that nobody knows: the word is repeated, but not at any length.
    func unknownType(_ word: JSONNode, in text: Span<UInt8>) -> RequestProblem {
        let word = index.string(word, in: text) ?? ""
        return .unknownType(String(word.unicodeScalars.prefix(64).map(Character.init)))
    }
}

extension SharedBytes {
    /// A reporter's JSON that is kept with its task.
    func bounded(_ name: StaticString, _ limits: Limits) throws(RequestProblem) -> SharedBytes {
        guard count <= limits.stepInfoBytesMax else {
            throw .outOfRange(member: name, expected: "at most \(limits.stepInfoBytesMax) bytes long")
        }
        return self
    }
}
