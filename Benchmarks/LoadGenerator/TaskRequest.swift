// TaskRequest: the request that gives a task in, made once for a run; only the task's number changes. All numbers have as many digits,
// so that the length is the same for all.

import Base
import LoadSupport

struct TaskRequest {
    private let head: [UInt8]
    private let tail: [UInt8]

    /// - Parameter members: Of the request's JSON object, beside its data and its group, each behind a comma.
    init(_ options: Options, members: String) {
        let group = options.group == "default" ? "" : ",\"group\":\"\(options.group)\""
        let end = "}\(group)\(members)}"
        let whole = RequestRun.request(options.url, path: options.path, body: "{\"data\":{\"n\":\(TaskMessage.firstNumber)\(end)")
        tail = Array(end.utf8)
        head = Array(whole.dropLast(tail.count + 10))
    }

    func append(number: Int, to output: inout ByteWriter) {
        let (head, tail) = (head, tail)
        output.append(head.span)
        output.append(decimal: number)
        output.append(tail.span)
    }
}
