"""Several processes behind one port (--share-port): the kernel deals the connections out, and each process is a house of its own."""
import http.client
from contextlib import ExitStack

import pytest

from servers import BOUND, eventually, run

# With two processes, all of so many connections come to the same one once in 2 to the 63rd runs.
CONNECTIONS = 64
SHARING = ("--share-port", "--auth", "off", "--data", ":memory:")


@pytest.fixture
def beside(launch):
    """Starts one more process on the port of another."""
    def start(first, *arguments):
        server = launch(*(arguments or SHARING), listen=(first.address,))
        server.port = first.port
        server.log.first(lambda line: "event=listening" in line)
        return server
    return start


class Callers:
    """Many connections to one port, and the task that the first one has made known: who does not know it is another process."""

    def __init__(self, server, name):
        self.stack = ExitStack()
        self.connections = []
        for _ in range(CONNECTIONS):
            connection = http.client.HTTPConnection(server.host, server.port, timeout=BOUND)
            self.stack.callback(connection.close)
            connection.connect()
            self.connections.append(connection)
        self.path = f"/api/task/task/{name}/status"
        answer = self.ask(0, "POST", "/api/task/register", f'{{"task_id": "{name}", "user_id": 1}}')
        assert answer == 200

    def ask(self, which, method="GET", path=None, body=None):
        connection = self.connections[which]
        connection.request(method, path or self.path, body=body, headers={"Content-Type": "application/json"} if body else {})
        response = connection.getresponse()
        response.read()
        return response.status

    def houses(self):
        """How many connections are the first one's process's, and how many another's."""
        answers = [self.ask(which) for which in range(CONNECTIONS)]
        assert set(answers) <= {200, 404}, answers
        return answers.count(200), answers.count(404)


def test_connections_come_to_both_and_what_one_knows_the_other_does_not(launch, beside):
    first = launch(*SHARING)
    second = beside(first)
    with ExitStack() as stack:
        callers = Callers(first, "ours")
        stack.enter_context(callers.stack)
        ours, others = callers.houses()
        assert ours > 0 and others > 0, (ours, others)
    assert second.stop() == 0
    # Whoever comes now comes to the one that is left.
    with ExitStack() as stack:
        callers = Callers(first, "all-ours")
        stack.enter_context(callers.stack)
        assert callers.houses() == (CONNECTIONS, 0)


@pytest.mark.parametrize(("first", "second"), [((), SHARING), (SHARING, ()), ((), ())])
def test_port_is_shared_by_those_who_all_wish_it(launch, first, second):
    """A process that was forgotten must not take half of the connections of one that knows nothing of it."""
    server = launch(*first)
    result = run("serve", "--listen", server.address, *second)
    assert result.returncode == 1 and "cannot listen" in result.stderr and str(server.port) in result.stderr, result


def test_data_folder_is_not_shared(launch, tmp_path):
    folder = ("--data", str(tmp_path / "data"))
    server = launch("--share-port", *folder)
    result = run("serve", "--listen", server.address, "--share-port", *folder)
    assert result.returncode == 1 and "cannot keep data" in result.stderr, result


@pytest.mark.parametrize("sharing", [("--share-port",), ()], ids=["that shared", "that did not"])
def test_successor_shares_the_port_of_a_predecessor(launch, beside, tmp_path, sharing):
    """Each of several processes has a door of its own, and is followed by itself."""
    door = ("--takeover", str(tmp_path / "door"), "--auth", "off", "--data", ":memory:")
    first = launch(*door, *sharing)
    heir = launch(*door, "--share-port", listen=(first.address,))
    heir.port = first.port
    heir.log.first(lambda line: "event=listening" in line and "from=takeover" in line)
    assert first.wait() == 0
    beside(heir)

    def both():
        with ExitStack() as stack:
            callers = Callers(heir, "ours")
            stack.enter_context(callers.stack)
            ours, others = callers.houses()
        return ours > 0 and others > 0
    eventually(both, "connections to both")


@pytest.mark.parametrize("way", [("--share-port",), ()], ids=["flag", "variable"])
def test_unix_socket_alone_cannot_be_shared(launch, tmp_path, way):
    settings = {} if way else {"SHARE_PORT": "on"}
    result = run("serve", "--listen", f"unix:{tmp_path}/s", *way, **settings)
    assert result.returncode == 2 and "--share-port" in result.stderr and "unix socket" in result.stderr, result
    # Beside a port it is one process's, as ever.
    server = launch(*way, listen=("127.0.0.1:0", f"unix:{tmp_path}/s"), **settings)
    assert server.get("/healthz").status == 200
