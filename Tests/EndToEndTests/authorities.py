"""Certificates, made by the openssl command, and servers and clients that speak TLS by them. Not a test and no fixture."""
import http.client
import re
import signal
import ssl
import subprocess

from servers import BOUND, Server

KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
NAMES = "subjectAltName=DNS:localhost,IP:127.0.0.1"


def openssl(*words, **options):
    return subprocess.run(["openssl", *map(str, words)], capture_output=True, text=True, errors="replace", timeout=BOUND, **options)


class Authority:
    """Whose certificates are believed by whoever is given `pem`."""

    def __init__(self, folder, name):
        self.folder, self.name = folder, name
        self.pem, self.key = folder / f"{name}.pem", folder / f"{name}.key"
        made = openssl("req", "-x509", *KEY, "-days", 2, "-subj", f"/CN={name}", "-keyout", self.key, "-out", self.pem)
        assert made.returncode == 0, made.stderr

    def sign(self, name, file=None, names=NAMES, days=2):
        """A certificate and its key, as two files."""
        pem, key, request = (self.folder / f"{file or name}.{kind}" for kind in ("pem", "key", "csr"))
        extensions = self.folder / "names"
        extensions.write_text(names)
        made = openssl("req", *KEY, "-subj", f"/CN={name}", "-keyout", key, "-out", request)
        assert made.returncode == 0, made.stderr
        made = openssl("x509", "-req", "-in", request, "-CA", self.pem, "-CAkey", self.key, "-CAcreateserial", "-days", days,
                       "-extfile", extensions, "-out", pem)
        assert made.returncode == 0, made.stderr
        return pem, key


class SecureServer(Server):
    """A server all of whose clients speak TLS."""

    def __init__(self, authority, pem, key, *arguments, clients=None, **settings):
        self.authority, self.pem, self.key = authority, pem, key
        options = ["--tls-cert", str(pem), "--tls-key", str(key)]
        if clients:
            options += ["--tls-client-ca", str(clients.pem)]
        super().__init__([*options, *arguments], settings)

    def url(self, path, scheme="http"):
        return f"{scheme}s://{self.address}{path}"

    def context(self, certificate=None, highest=None):
        """What a client of Python's needs to know."""
        context = ssl.create_default_context(cafile=str(self.authority.pem))
        if certificate:
            context.load_cert_chain(*map(str, certificate))
        if highest:
            context.maximum_version = highest
        return context

    def connection(self):
        return http.client.HTTPSConnection(self.host, self.port, timeout=BOUND, context=self.context())

    def channel(self, certificate=None, highest=None):
        """A socket that has shaken hands."""
        return self.context(certificate, highest).wrap_socket(self.raw(), server_hostname=self.host)

    def client(self, *words, **options):
        """What `openssl s_client` says of a connection."""
        return openssl("s_client", "-connect", self.address, "-CAfile", self.authority.pem, *words, **{"input": ""} | options)

    def read_anew(self):
        """Has it look at its files again; returns what it says of them."""
        seen = len(self.log.seen)
        self.process.send_signal(signal.SIGHUP)
        return self.log.first(lambda line: line in self.log.seen[seen:] and re.search("event=\"?(certificate read|the certificate)", line))
