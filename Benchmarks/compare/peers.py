"""Who is compared: how each server is started in each of its parts, and why it cannot be where something is missing.

What setup.sh made lies in the folder of peers; the rest comes from Debian. A peer that is missing is left out, and said to be.
"""

import os
import resource
import shutil
import socket
import subprocess

from process import Failure, Group, Process

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCES = os.path.join(os.path.dirname(HERE), "Peers")
NODE_PATH = "/usr/share/nodejs:/usr/lib/nodejs"
NCHAN_MODULES = ["/usr/lib/nginx/modules/ngx_nchan_module.so", "/usr/share/nginx/modules/ngx_nchan_module.so"]

# The option with which Signalbox lets other processes have its port too (SO_REUSEPORT).
SHARE_PORT = "--share-port"

# The order in which they stand in tables and plots.
NAMES = {
    "signalbox": "Signalbox",
    "raw": "C loop",
    "join": "C loop, joining",
    "lws": "libwebsockets",
    "nio": "SwiftNIO",
    "node": "Node ws",
    "python": "Python websockets",
    "nchan": "Nchan",
    "gearmand": "gearmand",
    "redis": "Redis",
}


def needed(path, words):
    if not path or not os.path.exists(path):
        raise Failure(words)
    return path


def free_port():
    """For a server that cannot choose one itself. Somebody else could take it before it is used; then the server says so."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Peers:
    """Starts servers, each at most once in each part, and ends them all."""

    def __init__(self, signalbox, raw, built, folder):
        self.signalbox_binary = os.path.abspath(signalbox)
        self.raw_binary = os.path.abspath(raw)
        self.built = os.path.abspath(built)
        self.folder = folder
        self.running = {}
        self.missing = {}
        self.started = 0

    def get(self, peer, part, fresh=False):
        """The server in its part, None where it is missing; a fresh one has served nobody."""
        if (peer, part) in self.missing:
            return None
        if fresh:
            self.end(peer, part)
        if (peer, part) not in self.running:
            try:
                self.running[peer, part] = getattr(self, peer)(part)
            except (Failure, OSError) as failure:
                self.missing[peer, part] = str(failure)
                return None
        return self.running[peer, part]

    def end(self, peer=None, part=None):
        """Ends one, or all."""
        for key in list(self.running):
            if peer is None or key == (peer, part):
                self.running.pop(key).end()

    def place(self):
        """A folder of a server's own."""
        self.started += 1
        path = os.path.join(self.folder, str(self.started))
        os.mkdir(path)
        return path

    def certificate(self):
        """A self-signed certificate of P-256 and its key, made once."""
        certificate, key = os.path.join(self.folder, "certificate.pem"), os.path.join(self.folder, "key.pem")
        if not os.path.exists(certificate):
            command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
            command += ["-subj", "/CN=localhost", "-out", certificate, "-keyout", key]
            if not shutil.which("openssl") or subprocess.run(command, capture_output=True).returncode != 0:
                raise Failure("openssl makes no certificate")
        return certificate, key

    def signalbox(self, part):
        folder = self.place()
        command = [self.signalbox_binary, "serve", "--listen", "127.0.0.1:0", "--echo-path", "/echo", "--auth", "off"]
        command += ["--log-level", "info", "--data", folder if part == "durable" else ":memory:"]
        # The clients of a run come from few addresses.
        command += ["--socketio-max-sessions-per-address", "1000000", "--max-queue-length", "100000"]
        if part == "deflate":
            command += ["--deflate"]
        if part == "crowd":
            # A million sockets that are pinged, and told a heartbeat, every thirty seconds are 66,000 messages a second.
            command += ["--ping-interval-ms", "600000"]
        if part == "tls":
            certificate, key = self.certificate()
            command += ["--tls-cert", certificate, "--tls-key", key]
        if part == "two":
            usage = subprocess.run([self.signalbox_binary, "--help"], capture_output=True, text=True).stdout
            if SHARE_PORT not in usage:
                raise Failure(f"it has no {SHARE_PORT}")
            command[command.index("127.0.0.1:0")] = f"127.0.0.1:{free_port()}"
            command += [SHARE_PORT]
            return Group([Process(NAMES["signalbox"], command, folder), Process(NAMES["signalbox"], command, self.place())])
        return Process(NAMES["signalbox"], command, folder)

    def raw(self, part):
        if part == "two":
            command = [self.raw_binary, "ws", str(free_port())]
            return Group([Process(NAMES["raw"], command, self.place()) for _ in range(2)])
        command = [self.raw_binary, part, "0"]
        if part == "tls":
            command += self.certificate()
        return Process(NAMES["raw"], command, self.place())

    def nio(self, part):
        binary = needed(os.path.join(self.built, "nio", "release", "nio-peer"), "setup.sh did not build it")
        return Process(NAMES["nio"], [binary, part, "0"], self.place())

    def lws(self, part):
        binary = needed(os.path.join(self.built, "lws-peer"), "setup.sh did not build it: libwebsockets-dev is missing")
        return Process(NAMES["lws"], [binary, "ws", "0"] + (["deflate"] if part == "deflate" else []), self.place())

    def node(self, part):
        node = needed(shutil.which("node"), "nodejs is missing")
        command = ["env", f"NODE_PATH={NODE_PATH}", "NODE_ENV=production", node, os.path.join(SOURCES, "Node", "peer.js")]
        return Process(NAMES["node"], command + scripted(part), self.place())

    def python(self, part):
        python = needed(os.path.join(self.built, "venv", "bin", "python"), "setup.sh did not install websockets")
        return Process(NAMES["python"], [python, "-B", os.path.join(SOURCES, "Python", "peer.py")] + scripted(part), self.place())

    def nchan(self, part):
        nginx = needed(shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin"), "nginx is missing")
        module = needed(next(filter(os.path.exists, NCHAN_MODULES), None), "libnginx-mod-nchan is missing")
        folder, port = self.place(), free_port()
        with open(os.path.join(SOURCES, "Nchan", "nginx.conf")) as source:
            text = source.read()
        descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        for word, value in {"PORT": port, "FOLDER": folder, "MODULE": module, "DESCRIPTORS": descriptors}.items():
            text = text.replace(word, str(value))
        path = os.path.join(folder, "nginx.conf")
        with open(path, "w") as file:
            file.write(text)
        return self.listening(Process(NAMES["nchan"], [nginx, "-e", "stderr", "-p", folder, "-c", path], folder, port))

    def gearmand(self, part):
        binary = needed(shutil.which("gearmand", path=os.environ["PATH"] + ":/usr/sbin"), "gearman-job-server is missing")
        folder, port = self.place(), free_port()
        # Without threads: all of its work is then on one core, as everybody's is.
        command = [binary, "--listen", "127.0.0.1", "--port", str(port), "--threads", "0", "--log-file", "none"]
        command += ["--file-descriptors", "4096"]
        return self.listening(Process(NAMES["gearmand"], command, folder, port))

    def redis(self, part):
        binary = needed(shutil.which("redis-server"), "redis-server is missing")
        folder, port = self.place(), free_port()
        command = [binary, "--bind", "127.0.0.1", "--port", str(port), "--dir", folder, "--save", ""]
        command += ["--appendonly", "yes", "--appendfsync", "always"] if part == "durable" else ["--appendonly", "no"]
        return self.listening(Process(NAMES["redis"], command, folder, port))

    def listening(self, server):
        """Waits until a server that does not say so listens."""
        for _ in range(200):
            if server.process.poll() is not None:
                break
            with socket.socket() as probe:
                probe.settimeout(1)
                if probe.connect_ex(("127.0.0.1", server.port)) == 0:
                    return server
            server.listening.wait(0.05)
        server.end()
        raise Failure(f"it does not listen: {' '.join(''.join(server.lines).split())}")


def scripted(part):
    """The arguments of a peer that is a script."""
    return ["ws", "0", "deflate"] if part == "deflate" else [part, "0"]
