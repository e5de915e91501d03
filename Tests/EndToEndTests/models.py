"""Models that a deployment may stand for: small HTTP servers that answer health probes as they are told."""
import http.server
import socket
import threading


class Model:
    """A model that is up; `status` is what it answers a probe with. It can die and live again at the same port."""

    def __init__(self, status=200):
        self.status, self.probes, self.port, self.server = status, [], 0, None
        self.live()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.die()

    def live(self):
        model = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                model.probes.append((self.path, dict(self.headers)))
                self.send_response(model.status)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_):
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def die(self):
        """Nothing listens at its port any more."""
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            self.server = None


class Silence:
    """Something that takes connections and never says a word."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()
