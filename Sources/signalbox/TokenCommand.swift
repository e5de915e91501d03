// TokenCommand: `signalbox token`: makes one token with the server's secret and says it, and nothing else, so that a shell can take it as
// it is. Serves nobody and keeps nothing, but for the secret that a first use makes.
import Base
import Dialects
import Domain
import Reactor

/// What `signalbox token` was asked for.
private struct TokenRequest {
    var subject: SharedBytes?
    var role = Role.user
    /// Seconds.
    var lifetime: Int64 = 3_600
    var tasks: [TaskID] = []
    var groups: [SharedBytes]?
    var file: String?
    var data: String?

    /// Ten years; who wants more wants another kind of credential.
    private static let lifetimeMax: Int64 = 3_650 * 86_400

    init(_ arguments: ArraySlice<String>) throws(Mistake) {
        var rest = arguments
        while let argument = rest.popFirst() {
            guard argument.hasPrefix("--") else { throw Mistake(sentence: "'\(argument)' is not understood; see signalbox token --help") }
            let parts = argument.dropFirst(2).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = String(parts[0])
            guard TokenRequest.names.contains(name) else {
                throw Mistake(sentence: "there is no option --\(name); see signalbox token --help")
            }
            guard let value = parts.count == 2 ? String(parts[1]) : rest.popFirst() else {
                throw Mistake(sentence: "--\(name) needs a value; see signalbox token --help")
            }
            do throws(Mistake) {
                try set(name, value)
            } catch {
                throw Mistake(sentence: "--\(name): \(error.sentence)")
            }
        }
    }

    private static let names = ["sub", "role", "ttl", "tasks", "groups", "secret-file", "data"]

    private mutating func set(_ name: String, _ value: String) throws(Mistake) {
        switch name {
        case "sub":
            let bytes = SharedBytes(value)
            // The server reads users' ids by the same rule.
            guard TaskID(bytes.span) != nil else {
                throw Mistake(sentence: "'\(value)' is no user id; wanted are 1 to \(Principal.userBytesMax) bytes, no control characters")
            }
            subject = bytes
        case "role":
            guard let role = Role.allCases.first(where: { $0.word.description == value }) else {
                throw Mistake(sentence: "'\(value)' is no role; wanted is \(TokenRequest.roles)")
            }
            self.role = role
        case "ttl": lifetime = try TokenRequest.seconds(value)
        case "tasks": tasks = try TokenRequest.tasks(value)
        case "groups": groups = try TokenRequest.groups(value)
        case "secret-file": file = value
        default: data = value
        }
    }

    static let roles = Role.allCases.map(\.word.description).joined(separator: ", ")

    private static func seconds(_ text: String) throws(Mistake) -> Int64 {
        let units: [Character: Int64] = ["s": 1, "m": 60, "h": 3_600, "d": 86_400]
        let digits = text.dropLast()
        if let last = text.last, let unit = units[last], digits.utf8.allSatisfy(\.isASCIIDigit), let count = Int64(digits) {
            let (seconds, overflow) = count.multipliedReportingOverflow(by: unit)
            if !overflow, seconds > 0, seconds <= lifetimeMax { return seconds }
        }
        throw Mistake(sentence: "'\(text)' is no lifetime; wanted is a number and s, m, h or d, as 30s, 15m, 1h or 7d, up to 3650d")
    }

    private static func tasks(_ text: String) throws(Mistake) -> [TaskID] {
        var tasks: [TaskID] = []
        for name in text.split(separator: ",") {
            guard let task = TaskID(SharedBytes(String(name)).span) else { throw Mistake(sentence: "'\(name)' is no task id") }
            tasks.append(task)
        }
        guard tasks.count <= Principal.tasksMax else {
            throw Mistake(sentence: "a token lists at most \(Principal.tasksMax) tasks, and these are \(tasks.count)")
        }
        return tasks
    }

    private static func groups(_ text: String) throws(Mistake) -> [SharedBytes] {
        let names = text.split(separator: ",")
        guard !names.isEmpty else { throw Mistake(sentence: "'\(text)' names no group") }
        guard names.count <= Principal.groupsMax else {
            throw Mistake(sentence: "a token lists at most \(Principal.groupsMax) groups, and these are \(names.count)")
        }
        return names.map { SharedBytes(String($0)) }
    }
}

/// `signalbox token`, from its arguments to what it says.
///
/// - Parameter now: the time of day, which a token counts from.
/// - Returns: the token and a line feed, for standard output, with exit code 0; else a sentence for standard error, with code 2 where
///   the command line is wrong and 1 where the world is.
func token(
    _ arguments: ArraySlice<String>, environment: (String) -> String?,
    now: WallTime = WallTime(milliseconds: SystemClock.wallMilliseconds())
) -> (text: String, code: Int32) {
    if arguments.contains(where: { $0 == "--help" || $0 == "-h" }) { return (tokenHelp, 0) }
    let request: TokenRequest
    do throws(Mistake) {
        request = try TokenRequest(arguments)
    } catch {
        return ("signalbox: \(error.sentence)\n", 2)
    }
    guard let subject = request.subject else { return ("signalbox: --sub is missing: whose token is it?\n", 2) }
    func variable(_ name: String) -> String? { environment(name).flatMap { $0.isEmpty ? nil : $0 } }
    let claims = TokenClaims(
        subject: subject, role: request.role, tasks: request.tasks, groups: request.groups,
        issuer: variable("JWT_ISSUER").map { SharedBytes($0) }, audience: variable("JWT_AUDIENCE").map { [SharedBytes($0)] },
        issuedAt: now, expiry: WallTime(milliseconds: now.milliseconds + request.lifetime * 1_000))
    do throws(Mistake) {
        let secret = try SecretFile.secret(
            file: request.file, environment: environment, data: request.data ?? variable("DATA") ?? "./data")
        let token = BearerToken.make(claims, secret: secret)
        guard token.count <= BearerToken.bytesMax else {
            return ("signalbox: a token has at most \(BearerToken.bytesMax) bytes, and this one \(token.count): list less\n", 2)
        }
        return ("\(token)\n", 0)
    } catch {
        return ("signalbox: \(error.sentence)\n", 1)
    }
}

private let tokenHelp = """
    signalbox token: makes a token for the server that uses the same secret.

      signalbox token --sub USER [OPTIONS]

      --sub USER           whose token it is: the user's id
      --role ROLE          \(TokenRequest.roles) (default user)
      --ttl TIME           how long it is good, as 30s, 15m, 1h or 7d (default 1h)
      --tasks ID,ID        tasks of others that it may watch as well
      --groups NAME,NAME   groups that a worker may work in (default all)
      --secret-file PATH   sign with the secret in this file; else with the one in JWT_SECRET
      --data DIR           else with the one in DIR/\(SecretFile.name), which is made when it is missing (DATA, default ./data)

    JWT_ISSUER and JWT_AUDIENCE, where set, are named in the token, as the server asks for them.

    """
