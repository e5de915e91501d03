// Certificates: what tests of TLS show each other, made by the openssl command when the first test asks, in a folder that goes with the
// process's temporary files.
import Glibc

@testable import Reactor

/// A folder of PEM files.
struct Certificates {
    let folder: String

    /// An authority, a server's certificate and key by it, a client's, and a server and a client of somebody else's.
    static let made: Certificates = {
        let certificates = Certificates(folder: "/tmp/signalbox-tls-\(getpid())")
        let script = """
            set -e
            rm -rf \(certificates.folder); mkdir -m 700 \(certificates.folder); cd \(certificates.folder)
            new='-newkey ec -pkeyopt ec_paramgen_curve:P-256'
            authority() { openssl req -x509 $new -nodes -days 2 -subj "/CN=$1" -keyout $1.key -out $1.pem; }
            signed() {
                openssl req $new -nodes -subj "/CN=$1" -keyout $1.key -out $1.csr
                openssl x509 -req -in $1.csr -CA $2.pem -CAkey $2.key -CAcreateserial -days ${3:-2} -extfile ${4:-none} -out $1.pem
            }
            : > none; echo 'subjectAltName=DNS:localhost,DNS:*.fleet.example,IP:127.0.0.1,IP:::1' > names
            authority ours; authority theirs
            signed server ours; signed renewed ours; signed worker-7 ours; signed stranger theirs; signed late ours -1 names
            signed named ours 2 names
            openssl req -x509 $new -nodes -days 2 -subj /O=nameless -addext basicConstraints=CA:FALSE -keyout nameless.key -out nameless.pem
            openssl ec -in server.key -aes128 -passout pass:secret -out locked.key
            openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=rsa -keyout rsa.key -out rsa.pem
            cp server.key open.key; chmod 644 open.key; echo garbage > garbage.pem; mkfifo pipe.pem
            """
        let result = unsafe system("(\n\(script)\n) > /dev/null 2>&1")
        precondition(result == 0, "the openssl command makes certificates")
        atexit { _ = unsafe system("rm -rf /tmp/signalbox-tls-\(getpid())") }
        return certificates
    }()

    func path(_ name: String) -> String { "\(folder)/\(name)" }

    func files(_ name: String, key: String? = nil, clients: String? = nil) -> TLSFiles {
        TLSFiles(
            certificate: path("\(name).pem"), key: path("\(key ?? name).key"), clientAuthorities: clients.map { path("\($0).pem") })
    }
}
