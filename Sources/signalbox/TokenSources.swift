// TokenSources: what the operator said about tokens: who needs one, and where the keys lie that they are checked with. Reads those files
// once, at the start; checks no token. A secret that nobody gave is SecretFile's to make.
import Base
import Crypto
import Dialects
import Gateway
import Glibc

/// Where tokens and their rules come from.
struct TokenSources {
    var mode = Authentication.Mode.users
    /// A PEM file, or the PEM text itself.
    var publicKey: String?
    /// A file with a JWK set.
    var keySet: String?
    var issuer: SharedBytes?
    var audience: SharedBytes?

    /// A PEM file beyond this is something else: a key has some hundred bytes, a certificate a few thousand.
    private static let pemBytesMax = 64 << 10

    /// What the server is to ask for, with its keys. Where the operator gave none, they are one secret, kept in the folder `data`.
    ///
    /// - Parameter warn: is told what the operator may not have meant.
    func authentication(
        data: String, environment: (String) -> String?, warn: (String) -> Void
    ) throws(Mistake) -> Authentication {
        guard mode != .off else { return Authentication(mode: .off) }
        var keys = TokenKeys()
        if let publicKey { try add(TokenSources.key(publicKey), to: &keys) }
        if let keySet {
            for key in try TokenSources.keys(ofSet: keySet, warn: warn) { try add(key, to: &keys) }
        }
        let isGiven = environment("JWT_SECRET")?.isEmpty == false
        if isGiven || keys.isEmpty {
            let keepsNothing = !isGiven && data == Configuration.noData
            if keepsNothing {
                warn("no token can be made for this server: it keeps no data, and neither JWT_SECRET nor a public key is set")
            }
            let secret = keepsNothing ? try SecretFile.fresh() : try SecretFile.secret(file: nil, environment: environment, data: data)
            try add(TokenKey(secret: secret), to: &keys)
        }
        return Authentication(mode: mode, keys: keys, rules: TokenRules(issuer: issuer, audience: audience))
    }

    private func add(_ key: TokenKey, to keys: inout TokenKeys) throws(Mistake) {
        do throws(TooManyTokenKeys) {
            try keys.add(key)
        } catch {
            throw Mistake(sentence: "tokens are checked with at most \(TokenKeys.countMax) keys, and there are more")
        }
    }

    // MARK: Public keys

    private static func key(_ source: String) throws(Mistake) -> TokenKey {
        let isText = source.hasPrefix("-----BEGIN ")
        let name = isText ? "the public key" : source
        let text = isText ? SharedBytes(source) : try read(source, bytesMax: pemBytesMax)
        do throws(PublicKeyError) {
            return TokenKey(publicKey: try PublicKey(pem: text.span))
        } catch {
            throw Mistake(sentence: "\(name): \(words(error))")
        }
    }

    private static func words(_ error: PublicKeyError) -> String {
        switch error {
        case .malformed: "this is no public key in PEM"
        case .privateKey: "this is a private key, its issuer's alone; wanted is the public half (openssl pkey -pubout)"
        case .unsupported: "such keys are not used here; wanted is RSA of at most \(PublicKey.rsaBitsMax) bits, P-256 or Ed25519"
        case .weak(let bits): "an RSA key of \(bits) bits is too weak; wanted are \(PublicKey.rsaBitsMin) or more"
        }
    }

    // MARK: JWK sets

    private static func keys(ofSet path: String, warn: (String) -> Void) throws(Mistake) -> [TokenKey] {
        let text = try read(path, bytesMax: KeySet.bytesMax)
        do throws(KeySetError) {
            let set = try KeySet(text.span)
            for (index, omission) in set.omissions {
                warn("\(path): the key at index \(index) is left out: \(words(omission))")
            }
            return set.keys
        } catch {
            throw Mistake(sentence: "\(path): \(words(error))")
        }
    }

    private static func words(_ error: KeySetError) -> String {
        switch error {
        case .tooLong: "a JWK set has at most \(KeySet.bytesMax) bytes"
        case .notJSON: "this is no JSON"
        case .notAKeySet: "this is no JWK set: wanted is {\"keys\":[...]}"
        case .noUsableKey: "no key of this JWK set can be used; wanted are RSA, P-256, Ed25519 or secret ones that check signatures"
        }
    }

    private static func words(_ omission: KeySet.Omission) -> String {
        switch omission {
        case .malformed: "it is malformed"
        case .unsupported: "its kind or its algorithm is not used here"
        case .otherUse: "it is not for checking signatures"
        case .refused(let error): words(error)
        case .weakSecret: "its secret is too short or too long"
        }
    }

    // MARK: Files

    /// What is in a file that has at most that many bytes.
    private static func read(_ path: String, bytesMax: Int) throws(Mistake) -> SharedBytes {
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw unreadable(path) }
        defer { _ = close(descriptor) }
        var bytes = ByteWriter()
        var piece = [UInt8](repeating: 0, count: 16 << 10)
        while true {
            let count = unsafe Glibc.read(descriptor, &piece, piece.count)
            if count < 0 {
                if errno == EINTR { continue }
                throw unreadable(path)
            }
            if count == 0 { return bytes.take() }
            bytes.append(piece.span.extracting(0..<count))
            guard bytes.count <= bytesMax else { throw Mistake(sentence: "\(path): this has more than \(bytesMax) bytes") }
        }
    }

    private static func unreadable(_ path: String) -> Mistake {
        Mistake(sentence: "cannot read \(path): \(unsafe String(cString: strerror(errno)))")
    }
}
