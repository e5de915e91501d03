// RequestProblem: what was wrong with something that a client or a worker said, in words that name it. The peer is wrong, not the server.
internal import Base
public import JSON

/// Why a message is refused before the domain hears of it.
public enum RequestProblem: Error, Sendable {
    case malformed(JSONError)
    case notAnObject
    /// Neither `data` nor `messages`.
    case nothingToDo
    case wrongType(member: StaticString, expected: StaticString)
    case outOfRange(member: StaticString, expected: String)
    case missing(member: StaticString)
    case unknownType(String)

    /// The member that it is about; nil where it is about the whole.
    var member: StaticString? {
        switch self {
        case .wrongType(let member, _), .outOfRange(let member, _), .missing(let member): member
        case .malformed, .notAnObject, .nothingToDo, .unknownType: nil
        }
    }

    /// The sentence for the one who sent it.
    public var sentence: String {
        switch self {
        case .malformed(let error): "Invalid JSON: \(error.description)"
        case .notAnObject: "Invalid request: a JSON object is expected"
        case .nothingToDo: "Invalid request: data or messages required"
        case .wrongType(let member, let expected): "Invalid request: \(member) must be \(expected)"
        case .outOfRange(let member, let expected): "Invalid request: \(member) must be \(expected)"
        case .missing(let member): "Invalid request: \(member) required"
        case .unknownType(let type): "Unknown message type: \(type)"
        }
    }
}
