// TLSContext: files that TLS can be spoken with are taken, others are named with the reason, and what is doubtful is said.
import Testing

@testable import Reactor

struct TLSContextTests {
    private let made = Certificates.made

    private func sentence(_ files: TLSFiles) -> String? {
        do throws(TLSMistake) { _ = try TLSContext(files) } catch { return error.sentence }
        return nil
    }

    @Test("a certificate with its key is taken, of either kind", arguments: ["server", "rsa"])
    func taken(_ name: String) throws {
        #expect(try TLSContext(made.files(name)).warnings == [])
        #expect(try TLSContext(made.files(name, clients: "ours")).warnings == [])
    }

    @Test("what cannot be used is named, with OpenSSL's reason")
    func refused() {
        let folder = made.folder
        let server = "\(folder)/server.pem"
        #expect(sentence(made.files("nobody")) == "cannot read \(folder)/nobody.pem: No such file or directory")
        #expect(sentence(made.files("server", key: "nobody")) == "cannot read \(folder)/nobody.key: No such file or directory")
        #expect(sentence(made.files("garbage")) == "cannot use the certificate in \(folder)/garbage.pem: no start line")
        #expect(sentence(made.files("pipe")) == "cannot read \(folder)/pipe.pem: it is no ordinary file")
        #expect(
            sentence(TLSFiles(certificate: server, key: server))?.hasPrefix("cannot use the private key in \(server): ") == true)
        // The first error is the key's, and says that it is of another pair.
        #expect(sentence(made.files("server", key: "renewed"))?.hasSuffix("key values mismatch") == true)
        #expect(sentence(made.files("server", key: "rsa")) == "the key in \(folder)/rsa.key is not that of the certificate in \(server)")
        #expect(
            sentence(made.files("server", clients: "garbage"))?.hasPrefix("cannot use the certificates in \(folder)/garbage.pem") == true)
    }

    @Test("a key behind a password is refused, and nobody is asked for it")
    func locked() {
        #expect(sentence(made.files("server", key: "locked"))?.hasPrefix("cannot use the private key in \(made.folder)/locked.key") == true)
    }

    @Test("a key that everybody can read, and a certificate that has ended, are warned of")
    func warnings() throws {
        let open = try TLSContext(made.files("server", key: "open")).warnings
        #expect(open.count == 1 && open[0].hasPrefix("\(made.folder)/open.key can be read by everybody"))
        #expect(try TLSContext(made.files("late")).warnings == ["the certificate in \(made.folder)/late.pem has expired"])
    }
}
