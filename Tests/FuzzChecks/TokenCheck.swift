// TokenCheck: nothing that a bearer says is believed but by a signature. Whatever the token: what is accepted was signed with one of the
// keys, with that key's own algorithm, and its claims hold by a second reading; no header, no claims, no signature, no key set and no PEM
// make anything trap. RFC 7519, RFC 8725.
import Base
import Crypto
import Dialects
import Domain
import JSON

private let now = WallTime(milliseconds: 1_700_000_100_000)
private let secretText = SharedBytes("0123456789abcdef0123456789abcdef")
private let issuer = SharedBytes("https://issuer.example")
private let audience = SharedBytes("signalbox")

/// The public halves of three keys whose private halves have signed one message each.
private let keySetText = #"""
    {"keys":[{"kty":"RSA","n":"g_7PpScuoWKEModE7lDj8RPtVrtDbvHEQM2hXmHjycq7dPOb0yahA7hJJnVimKCIeTgRbmydaN64q6IQp\#
    yxyZtssTYzv4nz5MRgfWatiQmgwS7HpZfY451YZaKTpRizgXdJxACWemDblX3tNXCa8TRHEyiKZPR7NYiGFeeNedYOKuWQbk70RqVIpUYtqM\#
    Dh1f2bOI2sFc2CZwvZEOIV7siktdDsFxjvmuS5HIDb4UiVGRwMhb5bofXrGv674ZAXp2tK0ojxN3NqsZezCdkOf1JKU7rld5iXnxzBjxwmqw\#
    dPDPzGWjhadj3YnFR5OzlzP5oCLLanLv_PMBQe1AJ8Nnw","e":"AQAB","kid":"RS256","use":"sig","alg":"RS256"},{"kty":"E\#
    C","crv":"P-256","x":"OfChCa-WhUFxd_xiLUXCOxcsuxqY72sF-vx0BOjULrY","y":"EybOaNiGuATN962a9DEytMfuvBUz_dMWLAda\#
    mWWz5G8","kid":"ES256","use":"sig","alg":"ES256"},{"x":"fGyq4p_GI62t15O5LdkwjAkxcl5HeHAiwdKIpUXsHII","kty":"\#
    OKP","crv":"Ed25519","kid":"EdDSA","use":"sig","alg":"EdDSA"}]}
    """#

/// The one claims' text that the three have signed, under a header each.
private let signedClaims = """
    {"sub":"42","role":"publisher","tasks":["a","1e9651fd-6aa1-4b2c-9d5e-0123456789ab"],"iss":"https://issuer.example",\
    "aud":["signalbox","other"],"iat":1700000000,"nbf":1700000000,"exp":1700003600}
    """
private let signedMessages = ["RS256", "ES256", "EdDSA"].map { name in
    letters(Array(#"{"alg":"\#(name)","kid":"\#(name)","typ":"JWT"}"#.utf8)) + [0x2e] + letters(Array(signedClaims.utf8))
}

private let publicKeys = keys(withSecret: false)
private let allKeys = keys(withSecret: true)

private func keys(withSecret: Bool) -> TokenKeys {
    var keys = TokenKeys()
    do {
        for key in try KeySet(SharedBytes(keySetText).span).keys { try keys.add(key) }
        if withSecret { try keys.add(TokenKey(secret: TokenSecret(secretText), identifier: SharedBytes("HS256"))) }
    } catch {
        fatalError("the keys are none: \(error)")
    }
    require(keys.keys.count == (withSecret ? 4 : 3), "\(keys.keys.count) keys")
    return keys
}

func checkTokens(_ input: FuzzInput) {
    // What is asked besides the signature.
    let strict = TokenRules(issuer: issuer, audience: audience, leeway: .seconds(10))
    let rules = input.choice & 8 == 0 ? strict : TokenRules()
    let keys = input.choice & 4 == 0 ? allKeys : publicKeys
    switch input.choice & 3 | input.choice >> 2 & 4 {
    case 0: checkToken(input.bytes, keys, rules)
    case 1: checkToken(signed(header: Array(#"{"alg":"HS256"}"#.utf8), claims: input.bytes), keys, rules)
    case 2: checkToken(signed(header: input.bytes, claims: Array(signedClaims.utf8)), keys, rules)
    case 3: checkConfusion(input.bytes, rules)
    case 4: checkKeySet(input.bytes)
    case 5: checkPEM(input.bytes)
    case 6: checkBase64(input)
    default: checkRoundTrip(input.bytes, rules)
    }
}

// MARK: Tokens

private func checkToken(_ token: [UInt8], _ keys: TokenKeys, _ rules: TokenRules) {
    let principal: Principal
    do {
        principal = try BearerToken.verify(token.span, keys: keys, rules: rules, now: now)
    } catch {
        return require(error.reason.utf8CodeUnitCount > 0, "an error without words")
    }
    let parts = token.split(separator: 0x2e, omittingEmptySubsequences: false).map(Array.init)
    require(parts.count == 3, "\(parts.count) parts are accepted")
    let message = parts[0] + [0x2e] + parts[1]
    if !signedMessages.contains(message) {
        require(keys.keys.count == 4, "nobody but the secret has signed \(token)")
        require(letters(array(HMAC.sha256(message.span, key: secretText.span).span)) == parts[2], "\(token) is forged")
        let header = Claims(decoded(parts[0]))
        require(header.text("alg") == Array("HS256".utf8) && !header.has("crit"), "a header that says otherwise")
        require(!header.has("kid") || header.text("kid") == Array("HS256".utf8), "another key")
    }
    checkClaims(Claims(decoded(parts[1])), principal, rules)
}

/// A second reading of what must hold: with doubles, and two milliseconds of grace for them.
private func checkClaims(_ claims: Claims, _ principal: Principal, _ rules: TokenRules) {
    let moment = Double(now.milliseconds)
    let leeway = Double(rules.leeway.milliseconds) + 2
    if claims.has("exp") {
        guard let end = claims.number("exp") else { fatalError("an end that is no number is accepted") }
        require(end * 1_000 + leeway > moment, "a token that ended at \(end) is accepted")
    }
    if claims.has("nbf") {
        guard let begin = claims.number("nbf") else { fatalError("a beginning that is no number is accepted") }
        require(begin * 1_000 - leeway < moment, "a token that begins at \(begin) is accepted")
    }
    require((principal.expiry == nil) == !claims.has("exp"), "an end that is not the token's")
    if let wanted = rules.issuer { require(claims.text("iss") == array(wanted.span), "another issuer is accepted") }
    let named = claims.texts("aud") ?? claims.text("aud").map { [$0] }
    if let wanted = rules.audience {
        require(named?.contains(array(wanted.span)) == true, "a token for another is accepted")
    } else {
        require(!claims.has("aud"), "a token for somebody is accepted by nobody")
    }
    guard let user = principal.user else { fatalError("a token without a bearer is accepted") }
    // A number beyond what a double holds is not compared.
    let subject = claims.text("sub") ?? claims.number("sub").flatMap { Int64(exactly: $0) }.map { Array("\($0)".utf8) }
    require(!user.isEmpty && (subject == array(user.span) || user.count > 15), "\(user) is not \(subject as Any)")
    require(Array(principal.role.word.description.utf8) == claims.text("role") ?? Array("user".utf8), "another role")
    require(principal.tasks.count == claims.texts("tasks")?.count ?? 0, "other tasks")
}

/// Public keys are known to everybody: a token that was signed with what is public is forged, whatever its header says.
private func checkConfusion(_ header: [UInt8], _ rules: TokenRules) {
    let message = letters(header) + [0x2e] + letters(Array(signedClaims.utf8))
    guard !signedMessages.contains(message) else { return }
    for key in [keySetText, ""] {
        let code = HMAC.sha256(message.span, key: SharedBytes(key).span)
        let token = message + [0x2e] + letters(array(code.span))
        let principal = try? BearerToken.verify(token.span, keys: publicKeys, rules: rules, now: now)
        require(principal == nil, "\(token) is forged")
    }
    let bare = message + [0x2e]
    require((try? BearerToken.verify(bare.span, keys: allKeys, rules: rules, now: now)) == nil, "\(bare) is not signed")
}

private func checkRoundTrip(_ text: [UInt8], _ rules: TokenRules) {
    guard let secret = try? TokenSecret(secretText) else { return }
    let parts = text.split(separator: 0x0a, maxSplits: 3, omittingEmptySubsequences: false)
    let names = parts.dropFirst().compactMap { TaskID(SharedBytes(Array($0)).span) }
    guard let subject = parts.first.map({ SharedBytes(Array($0)) }), TaskID(subject.span) != nil else { return }
    let claims = TokenClaims(
        subject: subject, role: Role.allCases[text.count % Role.allCases.count], tasks: names, issuer: rules.issuer,
        audience: rules.audience.map { [$0] }, notBefore: now, expiry: WallTime(milliseconds: now.milliseconds + 5_000))
    let token = BearerToken.make(claims, secret: secret)
    guard token.count <= BearerToken.bytesMax else { return }
    guard let principal = try? BearerToken.verify(token.span, keys: allKeys, rules: rules, now: now) else {
        fatalError("a token that was made is refused: \(claims)")
    }
    require(principal.user == subject && principal.role == claims.role && principal.tasks == names, "\(principal) is not \(claims)")
}

// MARK: Keys

private func checkKeySet(_ text: [UInt8]) {
    guard let set = try? KeySet(text.span) else { return }
    var index = JSONIndex(limits: JSONLimits(depthMax: 16))
    guard (try? index.build(from: text.span)) != nil, let list = index.member("keys", of: index.root, in: text.span) else {
        fatalError("a text without keys gives some")
    }
    let count = index.elements(of: list).reduce(0) { count, _ in count + 1 }
    require(set.keys.count + set.omissions.count == count && !set.keys.isEmpty, "\(set.keys.count) keys of \(count)")
    var keys = TokenKeys()
    for key in set.keys.prefix(TokenKeys.countMax) { _ = try? keys.add(key) }
    // What these keys have not signed.
    for (message, name) in zip(signedMessages, ["RS256", "ES256", "EdDSA"]) {
        let token = message + [0x2e] + letters([UInt8](repeating: 1, count: name == "RS256" ? 256 : 64))
        require((try? BearerToken.verify(token.span, keys: keys, rules: TokenRules(), now: now)) == nil, "\(name) is forged")
    }
}

private func checkPEM(_ text: [UInt8]) {
    guard let key = try? PublicKey(pem: text.span) else { return }
    for count in [0, 64, 256] {
        let signature = [UInt8](repeating: 1, count: count)
        require(!key.verifies(signature.span, of: text.span), "\(count) bytes are a signature")
    }
}

/// One text for one value.
private func checkBase64(_ input: FuzzInput) {
    for alphabet in [Base64.Alphabet.standard, .urlSafe] {
        var writer = ByteWriter()
        Base64.encode(input.bytes.span, alphabet, into: &writer)
        let text = array(writer.span)
        require(text.count == Base64.encodedCount(of: input.bytes.count, alphabet), "\(text.count) letters")
        var back = ByteWriter()
        require((try? Base64.decode(text.span, alphabet, into: &back)) != nil && array(back.span) == input.bytes, "read as another")
        var other = ByteWriter()
        guard (try? Base64.decode(input.bytes.span, alphabet, into: &other)) != nil else { continue }
        var again = ByteWriter()
        Base64.encode(other.span, alphabet, into: &again)
        require(array(again.span) == input.bytes, "\(input.bytes) is a second text of \(array(other.span))")
    }
}

// MARK: Letters and members

private func letters(_ bytes: [UInt8]) -> [UInt8] {
    var writer = ByteWriter()
    Base64.encode(bytes.span, .urlSafe, into: &writer)
    return array(writer.span)
}

private func decoded(_ text: [UInt8]) -> [UInt8] {
    var writer = ByteWriter()
    do { try Base64.decode(text.span, .urlSafe, into: &writer) } catch { fatalError("\(text) is no base64 and is accepted") }
    return array(writer.span)
}

/// A token of these two texts, signed with the secret whatever the header says.
private func signed(header: [UInt8], claims: [UInt8]) -> [UInt8] {
    let message = letters(header) + [0x2e] + letters(claims)
    return message + [0x2e] + letters(array(HMAC.sha256(message.span, key: secretText.span).span))
}

/// A JSON object, read once more.
private struct Claims {
    private let bytes: [UInt8]
    private let index: JSONIndex

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
        var index = JSONIndex(limits: JSONLimits(depthMax: 16))
        require((try? index.build(from: bytes.span)) != nil, "what is no JSON is accepted")
        self.index = index
        require(index.kind(of: index.root) == .object, "\(bytes) is no object and is accepted")
    }

    private func node(_ name: StaticString) -> JSONNode? { index.member(name, of: index.root, in: bytes.span) }

    private func text(_ node: JSONNode) -> [UInt8]? {
        var writer = ByteWriter()
        return index.decode(node, in: bytes.span, into: &writer) ? array(writer.span) : nil
    }

    func has(_ name: StaticString) -> Bool { node(name) != nil }
    func text(_ name: StaticString) -> [UInt8]? { node(name).flatMap(text) }
    func number(_ name: StaticString) -> Double? { node(name).flatMap { index.double($0, in: bytes.span) } }

    /// The texts of an array; nil where it is none.
    func texts(_ name: StaticString) -> [[UInt8]]? {
        guard let node = node(name), index.kind(of: node) == .array else { return nil }
        return index.elements(of: node).compactMap { text($0) }
    }
}
