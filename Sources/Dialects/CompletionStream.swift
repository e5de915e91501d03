// CompletionStream: the server-sent events that OpenAI's clients read: each piece of a result behind `data: `, on one line, and `[DONE]` at
// the end. Knows no HTTP, and of what a worker sends only where its lines end; a result that came whole is made into one piece.
public import Base
public import JSON

public enum CompletionStream {
    /// Appends a piece as the worker sent it.
    public static func writePiece(_ piece: SharedBytes, to writer: inout ByteWriter) {
        write(to: &writer) { $0.append(piece) }
    }

    public static func writeDone(to writer: inout ByteWriter) { writer.append("data: [DONE]\n\n") }

    /// Appends a comment that keeps the connection alive.
    public static func writeHeartbeat(to writer: inout ByteWriter) { EventStreamDialect.writeHeartbeat(to: &writer) }

    /// Appends an error, behind which nothing comes: clients raise it.
    public static func writeError(to writer: inout ByteWriter, _ error: (inout ByteWriter) -> Void) { write(to: &writer, error) }

    /// Appends a result whose worker sent no pieces, as the one piece that it is.
    ///
    /// - Parameter index: used.
    public static func writeWhole(
        _ result: SharedBytes, of endpoint: CompletionEndpoint, _ index: inout JSONIndex, to writer: inout ByteWriter
    ) {
        let text = result.span
        guard endpoint == .chat, (try? index.build(from: text)) != nil, index.kind(of: index.root) == .object else {
            return write(to: &writer) { $0.append(result.isEmpty ? null : result) }
        }
        write(to: &writer) { writer in
            writeMembers(of: index.root, index, text, to: &writer) { key, value, writer in
                if index.equals(key, "object", in: text) {
                    writer.append("\"object\":\"chat.completion.chunk\"")
                } else if index.equals(key, "choices", in: text), index.kind(of: value) == .array {
                    writer.append("\"choices\":[")
                    for (number, choice) in index.elements(of: value).enumerated() {
                        if number > 0 { writer.append(UInt8(ascii: ",")) }
                        writeChoice(choice, index, text, to: &writer)
                    }
                    writer.append(UInt8(ascii: "]"))
                } else {
                    return false
                }
                return true
            }
        }
    }

    private static let null = SharedBytes("null")

    /// A choice of a stream has as `delta` what a whole one has as `message`.
    private static func writeChoice(_ choice: JSONNode, _ index: JSONIndex, _ text: Span<UInt8>, to writer: inout ByteWriter) {
        guard index.kind(of: choice) == .object else { return writer.append(text.extracting(index.range(of: choice))) }
        writeMembers(of: choice, index, text, to: &writer) { key, value, writer in
            guard index.equals(key, "message", in: text) else { return false }
            writer.append("\"delta\":")
            writer.append(text.extracting(index.range(of: value)))
            return true
        }
    }

    /// Appends an object, each member as it stands unless `change` has written another in its place.
    private static func writeMembers(
        of object: JSONNode, _ index: JSONIndex, _ text: Span<UInt8>, to writer: inout ByteWriter,
        _ change: (JSONNode, JSONNode, inout ByteWriter) -> Bool
    ) {
        writer.append(UInt8(ascii: "{"))
        var isFirst = true
        for (key, value) in index.members(of: object) {
            if !isFirst { writer.append(UInt8(ascii: ",")) }
            isFirst = false
            if change(key, value, &writer) { continue }
            writer.append(text.extracting(index.range(of: key)))
            writer.append(UInt8(ascii: ":"))
            writer.append(text.extracting(index.range(of: value)))
        }
        writer.append(UInt8(ascii: "}"))
    }

    private static func write(to writer: inout ByteWriter, _ json: (inout ByteWriter) -> Void) {
        writer.append("data: ")
        let start = writer.count
        json(&writer)
        EventStreamDialect.straighten(&writer, from: start)
        writer.append("\n\n")
    }
}
