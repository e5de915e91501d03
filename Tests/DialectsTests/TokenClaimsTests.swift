// TokenClaimsTests: which claims hold when, and which are no claims. The tokens' signatures are BearerTokenTests' matter.
import Base
import Domain
import Testing

@testable import Dialects

struct TokenClaimsTests {
    private static let now = WallTime(milliseconds: 1_700_000_000_000)

    private func principal(
        _ json: String, _ rules: TokenRules = TokenRules(), at now: WallTime = TokenClaimsTests.now
    ) throws(TokenProblem) -> Principal {
        try TokenClaims(json: SharedBytes(json).span).principal(under: rules, at: now)
    }

    private func problem(_ json: String, _ rules: TokenRules = TokenRules(), at now: WallTime = TokenClaimsTests.now) -> TokenProblem? {
        do throws(TokenProblem) { _ = try principal(json, rules, at: now) } catch { return error }
        return nil
    }

    private func rules(issuer: String? = nil, audience: String? = nil, leeway: Int64 = 0) -> TokenRules {
        TokenRules(issuer: issuer.map { SharedBytes($0) }, audience: audience.map { SharedBytes($0) }, leeway: .seconds(leeway))
    }

    // MARK: Time

    @Test("RFC 7519 §4.1.4: a token ends at its exp, and the leeway later")
    func expiry() {
        let json = #"{"sub":"7","exp":1700000000}"#
        #expect(problem(json, rules(), at: WallTime(milliseconds: 1_699_999_999_999)) == nil)
        #expect(problem(json, rules(), at: Self.now) == .expired)
        #expect(problem(json, rules(leeway: 5), at: WallTime(milliseconds: 1_700_000_004_999)) == nil)
        #expect(problem(json, rules(leeway: 5), at: WallTime(milliseconds: 1_700_000_005_000)) == .expired)
    }

    @Test("the bearer may act for as long as the token is accepted, and not longer")
    func end() throws {
        let one = try principal(#"{"sub":"7","exp":1700000001}"#, rules(leeway: 5))
        #expect(one.expiry == WallTime(milliseconds: 1_700_000_006_000))
        #expect(try principal(#"{"sub":"7"}"#).expiry == nil)
    }

    @Test("RFC 7519 §4.1.5: a token begins at its nbf, and the leeway earlier")
    func beginning() {
        let json = #"{"sub":"7","nbf":1700000000}"#
        #expect(problem(json, rules(), at: Self.now) == nil)
        #expect(problem(json, rules(), at: WallTime(milliseconds: 1_699_999_999_999)) == .notYetValid)
        #expect(problem(json, rules(leeway: 5), at: WallTime(milliseconds: 1_699_999_995_000)) == nil)
        #expect(problem(json, rules(leeway: 5), at: WallTime(milliseconds: 1_699_999_994_999)) == .notYetValid)
    }

    @Test("when it was issued is known where it says so; a time that has not come, the leeway included, says nothing")
    func issue() throws {
        #expect(try principal(#"{"sub":"7","iat":1699999999.5}"#).issuedAt == WallTime(milliseconds: 1_699_999_999_500))
        #expect(try principal(#"{"sub":"7","iat":-9223372036854775808}"#).issuedAt == WallTime(milliseconds: .min))
        #expect(try principal(#"{"sub":"7","iat":1700000005}"#, rules(leeway: 5)).issuedAt?.seconds == 1_700_000_005)
        // Milliseconds, as some write them, are such a time.
        for text in ["1700000005.001", "1700000000000", "1e300"] {
            #expect(try principal(#"{"sub":"7","iat":\#(text)}"#, rules(leeway: 5)).issuedAt == nil, "\(text)")
        }
        #expect(try principal(#"{"sub":"7"}"#).credential == Credential(user: SharedBytes("7"), issuedAt: nil))
    }

    @Test("the leeway is at most a minute, and never negative")
    func leeway() {
        #expect(TokenRules(leeway: .seconds(3_600)).leeway == .seconds(60))
        #expect(TokenRules(leeway: .seconds(-1)).leeway == .zero)
        #expect(TokenRules().leeway <= TokenRules.leewayMax)
    }

    @Test(
        "RFC 7519 §2: a time is a number of seconds, with or without a fraction, however large",
        arguments: [
            ("1700000000.5", 1_700_000_000_500), ("1.7000000015e9", 1_700_000_001_500), ("1700000000.0", 1_700_000_000_000),
            ("17e8", 1_700_000_000_000), ("0", 0), ("-1", -1_000), ("-0.0005", -1), ("9223372036854775807", .max),
            ("-9223372036854775808", .min),
            ("1e300", .max), ("-1e300", .min), ("9223372036854775808", .max),
        ] as [(String, Int64)])
    func times(text: String, milliseconds: Int64) throws {
        let claims = try TokenClaims(json: SharedBytes(#"{"sub":"7","exp":\#(text),"nbf":\#(text),"iat":\#(text)}"#).span)
        let time = WallTime(milliseconds: milliseconds)
        #expect(claims.expiry == time)
        #expect(claims.notBefore == time)
        #expect(claims.issuedAt == time)
    }

    @Test("an end beyond all time is an end that never comes, and a beginning beyond it never comes")
    func extremes() throws {
        #expect(try principal(#"{"sub":"7","exp":1e300}"#, rules(leeway: 60)).expiry == WallTime(milliseconds: .max))
        #expect(problem(#"{"sub":"7","exp":-1e300}"#, rules(leeway: 60)) == .expired)
        #expect(problem(#"{"sub":"7","nbf":1e300}"#, rules(leeway: 60)) == .notYetValid)
        #expect(problem(#"{"sub":"7","nbf":-1e300}"#, rules(leeway: 60), at: WallTime(milliseconds: .max)) == nil)
    }

    @Test("what is no number is no time", arguments: ["null", #""1700000000""#, "true", "[]", "{}", "1e999"])
    func noTimes(_ value: String) {
        #expect(problem(#"{"sub":"7","exp":\#(value)}"#) == .malformed(.expiry))
        #expect(problem(#"{"sub":"7","nbf":\#(value)}"#) == .malformed(.notBefore))
        #expect(problem(#"{"sub":"7","iat":\#(value)}"#) == .malformed(.issuedAt))
    }

    // MARK: Issuer and audience

    @Test("an issuer counts where one is asked for")
    func issuers() {
        #expect(problem(#"{"sub":"7","iss":"a"}"#, rules(issuer: "a")) == nil)
        #expect(problem(#"{"sub":"7","iss":"a\u0062"}"#, rules(issuer: "ab")) == nil)
        #expect(problem(#"{"sub":"7","iss":"A"}"#, rules(issuer: "a")) == .wrongIssuer)
        #expect(problem(#"{"sub":"7"}"#, rules(issuer: "a")) == .missing(.issuer))
        #expect(problem(#"{"sub":"7","iss":"a"}"#) == nil)
        for value in ["7", "null", #"["a"]"#] {
            #expect(problem(#"{"sub":"7","iss":\#(value)}"#, rules(issuer: "a")) == .malformed(.issuer))
        }
    }

    @Test("RFC 7519 §4.1.3: the server must find itself in the audience, a text or a list")
    func audiences() {
        #expect(problem(#"{"sub":"7","aud":"a"}"#, rules(audience: "a")) == nil)
        #expect(problem(#"{"sub":"7","aud":["b","a"]}"#, rules(audience: "a")) == nil)
        #expect(problem(#"{"sub":"7","aud":"b"}"#, rules(audience: "a")) == .wrongAudience)
        #expect(problem(#"{"sub":"7","aud":["b","aa"]}"#, rules(audience: "a")) == .wrongAudience)
        #expect(problem(#"{"sub":"7","aud":[]}"#, rules(audience: "a")) == .wrongAudience)
        #expect(problem(#"{"sub":"7"}"#, rules(audience: "a")) == .missing(.audience))
        for value in ["7", "null", #"["a",7]"#, "{}", #"[["a"]]"#] {
            #expect(problem(#"{"sub":"7","aud":\#(value)}"#, rules(audience: "a")) == .malformed(.audience))
        }
    }

    @Test("RFC 7519 §4.1.3: a server without a name finds itself in no audience", arguments: [#""a""#, #"["a"]"#, "[]", #""""#])
    func unexpectedAudience(_ value: String) {
        #expect(problem(#"{"sub":"7","aud":\#(value)}"#) == .unexpectedAudience)
    }

    // MARK: Who

    @Test(
        "a subject is a text, or a whole number by its digits",
        arguments: [
            (#""42""#, "42"), ("42", "42"), ("-7", "-7"), ("42.0", "42"), ("9223372036854775807", "9223372036854775807"),
            (#""\u0034é""#, "4é"),
        ])
    func subjects(value: String, user: String) throws {
        #expect(try principal(#"{"sub":\#(value)}"#).user == SharedBytes(user))
    }

    @Test(
        "what is no user id is refused",
        arguments: ["null", #""""#, "4.5", "true", "[]", #""a\u0000b""#, #""a\nb""#, "9223372036854775808", "1e999"])
    func noSubjects(_ value: String) {
        #expect(problem(#"{"sub":\#(value)}"#) == .malformed(.subject))
    }

    @Test("a user id has at most 200 bytes, and must be there")
    func subjectLength() {
        #expect(problem(#"{"sub":"\#(String(repeating: "x", count: 200))"}"#) == nil)
        #expect(problem(#"{"sub":"\#(String(repeating: "x", count: 201))"}"#) == .malformed(.subject))
        #expect(problem("{}") == .missing(.subject))
    }

    @Test("a role is one of four words, and user where it is not said")
    func roles() throws {
        for role in Role.allCases { #expect(try principal(#"{"sub":"7","role":"\#(role.word)"}"#).role == role) }
        #expect(try principal(#"{"sub":"7"}"#).role == .user)
        #expect(try principal(#"{"sub":"7","role":"\u0061dmin"}"#).role == .admin)
        for value in [#""root""#, #""Admin""#, #""""#, "null", "1", #"["admin"]"#] {
            #expect(problem(#"{"sub":"7","role":\#(value)}"#) == .malformed(.role))
        }
    }

    @Test("tasks are a list of task ids, at most 128")
    func tasks() throws {
        let listed = try principal(#"{"sub":"7","tasks":["a","1e9651fd-6aa1-4b2c-9d5e-0123456789ab"]}"#).tasks
        #expect(listed.map(\.description) == ["a", "1e9651fd-6aa1-4b2c-9d5e-0123456789ab"])
        #expect(try principal(#"{"sub":"7","tasks":[]}"#).tasks == [])
        func list(_ count: Int) -> String {
            #"{"sub":"7","tasks":[\#(((0..<count).map { "\"\($0)\"" }).joined(separator: ","))]}"#
        }
        #expect(try principal(list(128)).tasks.count == 128)
        #expect(problem(list(129)) == .malformed(.tasks))
        for value in ["null", #""a""#, "[7]", #"[""]"#, #"["a\nb"]"#, "{}", #"["\#(String(repeating: "x", count: 201))"]"#] {
            #expect(problem(#"{"sub":"7","tasks":\#(value)}"#) == .malformed(.tasks))
        }
    }

    @Test("groups are a list of names, at most 128; none at all is not the same as an empty list")
    func groups() throws {
        #expect(try principal(#"{"sub":"7","groups":["gpu","b\u00e9"]}"#).groups == [SharedBytes("gpu"), SharedBytes("bé")])
        #expect(try principal(#"{"sub":"7","groups":[]}"#).groups == [])
        #expect(try principal(#"{"sub":"7"}"#).groups == nil)
        func list(_ count: Int) -> String {
            #"{"sub":"7","groups":[\#(((0..<count).map { "\"\($0)\"" }).joined(separator: ","))]}"#
        }
        #expect(try principal(list(128)).groups?.count == 128)
        #expect(problem(list(129)) == .malformed(.groups))
        for value in ["null", #""a""#, "[7]", #"[""]"#, "{}", "true"] {
            #expect(problem(#"{"sub":"7","groups":\#(value)}"#) == .malformed(.groups))
        }
    }

    @Test("claims of other names are ignored; of equal names the last one counts, as other libraries have it")
    func others() throws {
        #expect(try principal(#"{"x":{"sub":"8"},"sub":"7","jti":7,"scope":null}"#).user == SharedBytes("7"))
        #expect(try principal(#"{"sub":"6","sub":"7"}"#).user == SharedBytes("7"))
    }

    @Test("claims are written in one form")
    func written() {
        var writer = ByteWriter()
        TokenClaims(subject: SharedBytes("7")).write(to: &writer)
        #expect(writer.seal().description == #"{"sub":"7","role":"user"}"#)
        writer.removeAll()
        TokenClaims(
            subject: SharedBytes("7"), role: .admin, tasks: [TaskID(high: 0, low: 1)], groups: [SharedBytes("g")],
            issuer: SharedBytes("i"), audience: [SharedBytes("a")], issuedAt: WallTime(milliseconds: 1_999),
            notBefore: WallTime(milliseconds: 2_000), expiry: WallTime(milliseconds: -1)
        ).write(to: &writer)
        #expect(
            writer.seal().description == """
                {"sub":"7","role":"admin","tasks":["00000000-0000-0000-0000-000000000001"],"groups":["g"],"iss":"i","aud":["a"],\
                "iat":1,"nbf":2,"exp":-1}
                """)
    }
}
