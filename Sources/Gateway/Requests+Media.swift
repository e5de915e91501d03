// Requests+Media: in which form content may come: JSON, not compressed. Looks at the head alone, before anything of the content is kept.
internal import Base
internal import HTTP1

extension Requests {
    /// Why the content of a request will not be read; nil where it will, or where none is wanted.
    func mediaProblem(_ route: Route, _ head: borrowing RequestHead, _ bytes: Span<UInt8>) -> StaticString? {
        switch route {
        case .submit, .report, .reports, .createDeployment, .updateDeployment, .postActivity, .replayLetters: break
        case _: return nil
        }
        guard isJSON(head, bytes) else { return "Content-Type must be application/json" }
        // Nothing is ever inflated here: a small body cannot become a large one.
        if let coding = head.value(.contentEncoding), !bytes.equals("identity", ignoringASCIICaseAt: coding) {
            return "Content-Encoding must be identity, or left out"
        }
        return nil
    }

    /// Whether the content may be read as JSON. One without a type is taken as it is: only browsers are bound by types, and they always
    /// tell their origin as well.
    private func isJSON(_ head: borrowing RequestHead, _ bytes: Span<UInt8>) -> Bool {
        guard let type = head.value(.contentType) else { return true }
        var end = type.lowerBound
        while end < type.upperBound, bytes[end] != UInt8(ascii: ";"), bytes[end] > UInt8(ascii: " ") { end += 1 }
        return bytes.equals("application/json", ignoringASCIICaseAt: type.lowerBound..<end)
    }
}
