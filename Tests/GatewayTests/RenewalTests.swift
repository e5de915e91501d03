// Goal: a worker that has a newer token goes on with it. That watchers and producers do stands with their transcripts.
import Domain
import TestSupport
import Testing

@testable import Gateway

@Suite("Newer tokens")
struct RenewalTests {
    @Test("a worker goes on with a newer token, if that one is for its group", arguments: Chunking.all)
    func refreshedWorker(_ chunking: Chunking) throws {
        func token(_ user: String = "rack", _ role: Role = .worker, seconds: Int64 = 3_600) throws -> String {
            try Tokens.token(user, role, seconds: seconds)
        }
        let stage = Stage(chunking, try Tokens.settings(.all))
        stage.play("""
            w upgrades /ws?token=\(try token(seconds: 10))
            w < {"type":"connected",…
            w > {"type":"refresh","token":"\(try token("other"))"}
            w < {"type":"error","error":"Invalid or expired token"}
            w > {"type":"refresh"}
            w < {"type":"error","error":"Invalid request: token required"}
            w > {"type":"refresh","token":"\(try token(seconds: 60))"}
            w < {"type":"refreshed"}
            * wait 89s
            w < nothing
            * wait 1s
            w < close 4003 authentication failed
            v upgrades /ws?token=\(try token())
            v < {"type":"connected",…
            v > {"type":"refresh","token":"\(try token("rack", .user))"}
            v < close 4003 authentication failed
            """)
        stage.end()
    }
}
