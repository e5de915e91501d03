"""What is measured: families of cases, and in each case who runs the load generator's which command.

A figure is compared within its case only. `limit` names the entry that the others are held against.
"""

from dataclasses import dataclass, field

from peers import NAMES


@dataclass
class Entry:
    """One row of a case: a server in its part, and a run of the load generator against it."""

    label: str
    peer: str
    part: str
    command: str
    scheme: str
    options: list
    path: str = ""
    # A server that has served nobody, for each run.
    fresh: bool = False


@dataclass
class Case:
    name: str
    entries: list
    # Whether the quick selection has it.
    quick: bool = True
    # Of what an earlier case of this name found, and for which label, half is the rate; and how many deliveries are one publication.
    half_of: tuple = None
    # The label of the limit, where it is not the family's.
    limit: str = None


@dataclass
class Family:
    name: str
    title: str
    # What was counted, as the load generator has it in the names of its figures, and for people.
    noun: str
    about: str
    cases: list
    limit: str = None
    # The figure that is compared, where it is not the noun's per CPU-second of the server.
    figure: str = None
    unit: str = "per CPU-second of the server"
    rate: str = None
    # Figures of the last column, with their divisors and units.
    more: list = field(default_factory=list)
    lower_is_better: bool = False
    # `make load` has it, `make bench` has not.
    big: bool = False

    @property
    def compared(self):
        return self.figure or f"{self.noun}_per_server_cpu_s"

    @property
    def rated(self):
        return self.rate or f"{self.noun}_per_s"


LATENCIES = [("latency_p50_us", 1000, "p50 ms"), ("latency_p99_us", 1000, "p99 ms")]
SOCKETS = ["raw", "signalbox", "lws", "nio", "node", "python"]


def plain(peer):
    """The part in which a peer speaks WebSocket and nothing else."""
    return "memory" if peer == "signalbox" else "ws"


def path(peer):
    return "/echo" if peer == "signalbox" else "/"


def timed(settings, connections=100):
    """Ten thousand connections take a server seconds to answer once: less would measure how it begins."""
    slow = connections > 1000
    seconds, warmup = (max(settings.seconds, 3), max(settings.warmup, 2)) if slow else (settings.seconds, settings.warmup)
    return ["--seconds", seconds, "--warmup", warmup]


def echo_case(name, settings, peers, connections, size, depth, quick=True, part=None, scheme="ws", more=()):
    options = ["--connections", connections, "--size", size, "--depth", depth, *timed(settings, connections), *more]
    return Case(
        name, [Entry(NAMES[peer], peer, part or plain(peer), "echo", scheme, options, path(peer)) for peer in peers], quick
    )


def size_name(size):
    return f"{size} B" if size < 1024 else f"{size // 1024} KiB"


def echo(settings):
    cases = [
        echo_case(f"{size_name(size)}, {depth} in flight", settings, SOCKETS, 100, size, depth, quick=(size, depth) in QUICK_ECHOES)
        for size in (64, 1024, 16384)
        for depth in (1, 16)
    ]
    return Family("echo", "Echo, 100 connections", "messages", ECHO, cases, NAMES["raw"], more=LATENCIES)


QUICK_ECHOES = {(64, 1), (64, 16), (16384, 1)}
ECHO = "Every connection keeps so many messages in flight; every byte that comes back is compared with what was sent."


def echo_many(settings):
    cases = [
        echo_case(f"64 B, {depth} in flight", settings, SOCKETS, 10_000, 64, depth, more=["--in-flight", 256]) for depth in (1, 16)
    ]
    return Family("echo-10000", "Echo, 10,000 connections", "messages", ECHO, cases, NAMES["raw"], more=LATENCIES, big=True)


COMPRESSING = ["signalbox", "lws", "node", "python"]


def deflate(settings):
    def case(size, count):
        # libwebsockets 4.1 closes connections at 16 KiB.
        peers = [peer for peer in COMPRESSING if peer != "lws" or size < 16384]
        quick = size != 64 and count == 100
        return echo_case(f"{size_name(size)}, {count:,} connections", settings, peers, count, size, 1, quick, "deflate", more=["--deflate"])

    cases = [
        case(size, count)
        for size in (64, 1024, 16384)
        for count in (100, 10_000)
        if count == 100 or size == 1024
    ]
    about = (
        "Echo with permessage-deflate, no contexts kept, one message in flight; what comes back is inflated and compared. The letters"
        " are drawn by lot, so that 1 KiB becomes some 640 bytes."
    )
    return Family("deflate", "Echo, compressed", "messages", about, cases, None, more=LATENCIES)


def tls(settings):
    peers = ["raw", "signalbox"]
    cases = [
        echo_case(f"{size_name(size)}, {depth} in flight", settings, peers, 100, size, depth, depth == 1, "tls", "wss")
        for size in (64, 16384)
        for depth in (1, 16)
    ]
    about = "TLS 1.3 with a certificate of P-256. The C loop has one OpenSSL session a socket and calls SSL_read and SSL_write."
    return Family("tls", "Echo over TLS, 100 connections", "messages", about, cases, NAMES["raw"], more=LATENCIES)


def processes(settings):
    """The wall rate is what counts here: whether a second process adds one's worth where there are cores for both and for the client."""
    cases = []
    for size, depth in ((64, 1), (64, 16)):
        options = ["--connections", 100, "--size", size, "--depth", depth, *timed(settings)]
        entries = [
            Entry(f"{NAMES[peer]}, {words}", peer, part, "echo", "ws", options, path(peer))
            for peer in ("raw", "signalbox")
            for words, part in (("one process", plain(peer)), ("two processes", "two"))
        ]
        cases.append(Case(f"{size} B, {depth} in flight", entries, quick=False))
    about = (
        "Two processes have one port (SO_REUSEPORT); the kernel deals the connections out. CPU-seconds are those of both together."
        " Client and servers share the processors, so that the wall rate grows only as far as there are cores for all three."
    )
    return Family("processes", "Two processes on one port", "messages", about, cases, f"{NAMES['raw']}, one process", more=LATENCIES)


def handshakes(settings):
    options = ["--in-flight", 64, *timed(settings)]

    def entry(peer, part, scheme="ws"):
        return Entry(NAMES[peer], peer, part, "handshake", scheme, options, path(peer))

    cases = [
        Case("WebSocket", [entry(peer, plain(peer)) for peer in SOCKETS]),
        Case("WebSocket over TLS", [entry(peer, "tls", "wss") for peer in ("raw", "signalbox")], quick=False),
    ]
    about = "A connection is accepted, upgraded (SHA-1 and the response) and reset by the client; 64 at once."
    return Family("handshakes", "Handshakes", "handshakes", about, cases, NAMES["raw"], more=LATENCIES)


FAN = (
    "Publications of some 300 bytes, every watcher checks every number. The C loop calls `send` once a delivery and does nothing else:"
    " the limit with one in flight. With several it is the one that joins: what came in one read leaves in one `send`."
)
FANS = ["raw", "join", "signalbox", "nchan", "nio", "node", "python"]


def fan_entry(peer, label, options, publisher="worker"):
    if peer == "signalbox":
        if publisher == "monitor":
            return Entry(label, peer, "memory", "monitor", "http", [*options, "--bytes", 350])
        return Entry(label, peer, "memory", "fanout", "http", [*options, "--publisher", publisher])
    if peer in ("raw", "join"):
        return Entry(label, "raw", "join" if peer == "join" else "fan", "fanout", "ws", [*options, "--publisher", "raw"])
    return Entry(label, peer, "fan", "fanout", "ws", [*options, "--publisher", "raw"])


def publications(settings, watchers, flight):
    """As many as take the slowest but Python some `seconds`: at 100,000 deliveries a second, more where they are joined."""
    return max(2 * flight, int(100_000 * settings.seconds * (1 if flight == 1 else 4) / watchers))


def fan_case(settings, watchers, flight, peers, quick=True):
    options = ["--subscribers", watchers, "--in-flight", flight, "--publications", publications(settings, watchers, flight)]
    peers = [peer for peer in peers if peer != "join" or flight > 1]
    # With several in flight the limit is who joins them.
    limit = NAMES["join"] if "join" in peers else None
    return Case(f"{watchers:,} watchers, {flight} in flight", [fan_entry(peer, NAMES[peer], options) for peer in peers], quick, limit=limit)


def fanout(settings):
    cases = [fan_case(settings, 1000, 1, FANS), fan_case(settings, 1000, 16, FANS), fan_case(settings, 10_000, 1, FANS, False)]
    cases += [fan_case(settings, 10_000, 16, FANS, False)]
    # Every watcher has a task of his own: here the publication is what costs, and each has one delivery.
    options = ["--subscribers", 10_000, "--tasks", 10_000, "--in-flight", 256, "--publications", int(50_000 * settings.seconds)]
    cases.append(Case("10,000 watchers of as many tasks", [fan_entry(peer, NAMES[peer], options) for peer in ("raw", "signalbox")], False))
    return Family("fanout", "Fan-out", "deliveries", FAN, cases, NAMES["raw"], more=LATENCIES)


def fanout_many(settings):
    cases = [fan_case(settings, 18_000, flight, FANS) for flight in (1, 16)]
    return Family("fanout-18000", "Fan-out to 18,000", "deliveries", FAN, cases, NAMES["raw"], more=LATENCIES, big=True)


PROTOCOLS = [("worker", "a task's socket (G)"), ("user", "a user's socket (N)"), ("hub", "the hub (P)"), ("monitor", "Socket.IO (E)")]


def protocols(settings):
    cases = []
    for watchers in (1000, 10_000, 18_000):
        for flight in (1, 16):
            options = ["--subscribers", watchers, "--in-flight", flight, "--publications", publications(settings, watchers, flight)]
            limit = "raw" if flight == 1 else "join"
            entries = [fan_entry(limit, NAMES[limit], options)]
            entries += [fan_entry("signalbox", label, options, publisher) for publisher, label in PROTOCOLS]
            name, quick = f"{watchers:,} watchers, {flight} in flight", (watchers, flight) == (1000, 1)
            cases.append(Case(name, entries, quick, limit=NAMES[limit]))
    about = "Signalbox's fan-out in each of its protocols; 350 bytes an event over Socket.IO, 300 and what each protocol adds elsewhere."
    return Family("protocols", "Fan-out, protocol by protocol", "deliveries", about, cases, NAMES["raw"], more=LATENCIES)


def latency(settings):
    """The rate is half of what the same server took in the same call, so that no queue is the cause of a latency."""
    cases = []
    for watchers in (1000, 10_000):
        peers = ["raw", "signalbox"] + (["nchan", "nio", "node", "python"] if watchers == 1000 else [])
        full = fan_case(settings, watchers, 1, peers, quick=watchers == 1000)
        full.name = f"{watchers:,} watchers, as many as it can"
        options = ["--subscribers", watchers, "--publications", max(20, int(50_000 * settings.seconds / watchers))]
        entries = [fan_entry(peer, NAMES[peer], options) for peer in peers]
        cases += [full, Case(f"{watchers:,} watchers, half of that", entries, full.quick, half_of=(full.name, watchers))]
    about = (
        "Open loop: publications are due at a fixed rate, half of what the same server took before with one in flight, and a"
        " delivery's time runs from when its publication was due, whoever was late."
    )
    return Family("latency", "Delivery latency at half of the maximum rate", "deliveries", about, cases, NAMES["raw"], more=LATENCIES)


def dispatch(settings):
    def options(clients=64, workers=16):
        return ["--clients", clients, "--workers", workers, *timed(settings)]

    def queue(peer, part, label, *more, clients=64):
        name = "gearman" if peer == "gearmand" else "redis"
        return Entry(label, peer, part, "queue", "tcp", [*options(clients), "--queue", name, *more])

    def own(part, command, label="Signalbox", *more, clients=64, workers=16):
        return Entry(label, "signalbox", part, command, "http", [*options(clients, workers), *more])

    cases = [
        Case("result in the response", [
            own("memory", "dispatch"), queue("gearmand", "memory", "gearmand"), queue("redis", "memory", "Redis"),
        ]),
        Case("result in the response, 4 workers of 16 tasks each", [
            own("memory", "dispatch", "Signalbox", "--concurrency", 16, workers=4),
        ]),
        Case("result in the response, kept on disk", [own("durable", "dispatch"), queue("redis", "durable", "Redis")], False),
        Case("submitted, then asked for every 5 ms", [
            own("memory", "dispatch", "in memory", "--async"), own("durable", "dispatch", "on disk", "--async"),
        ], False),
        Case("receipt only", [
            own("memory", "submit"), queue("gearmand", "memory", "gearmand", "--async"), queue("redis", "memory", "Redis", "--async"),
        ]),
        Case("receipt only, kept on disk", [own("durable", "submit"), queue("redis", "durable", "Redis", "--async")]),
        Case("receipt only, kept on disk, 256 clients", [
            own("durable", "submit", clients=256), queue("redis", "durable", "Redis", "--async", clients=256),
        ]),
    ]
    about = (
        "64 clients, 16 workers that take no time and hold one task each where nothing else is said (with 16, one read and one write of a"
        " worker's socket serve several tasks); each result is compared with its task. gearmand (one thread, in memory) speaks its"
        " binary protocol; Redis is a list, BLMOVE into the worker's own list, a list for each client's results, and LREM. Neither has"
        " leases, retries, timeouts of tasks, groups or HTTP. A task on disk is behind an fsync: Signalbox with `--durability"
        " power-loss`, Redis with `appendfsync always`. A result in Signalbox's response is promised to nobody, so the disk has no"
        " part in it."
    )
    return Family("dispatch", "Dispatch", "tasks", about, cases, None, more=LATENCIES)


def dispatch_latency(settings):
    options = ["--clients", 64, "--workers", 64, *timed(settings)]

    def entries(*more):
        return [
            Entry("Signalbox", "signalbox", "memory", "dispatch", "http", [*options, *more]),
            Entry("gearmand", "gearmand", "memory", "queue", "tcp", [*options, *more, "--queue", "gearman"]),
            Entry("Redis", "redis", "memory", "queue", "tcp", [*options, *more, "--queue", "redis"]),
        ]

    full = Case("as many as it can", entries())
    cases = [full, Case("half of that", entries(), half_of=(full.name, 1)), Case("1,000 a second", entries("--rate", 1000))]
    about = (
        "64 clients and as many workers, so that no task waits for one. Open loop in the later cases: tasks are due at half of what"
        " the same server took before, or at a thousand a second, and a task's time runs from when it was due until its result is"
        " there."
    )
    return Family("dispatch-latency", "Added latency", "tasks", about, cases, None, more=LATENCIES)


def polling(settings):
    cases = []
    for name, watchers, polled, flight, count, quick in (
        ("1,000 by polling, 1 in flight", 0, 1000, 1, 60, True),
        ("1,000 by polling, 16 in flight", 0, 1000, 16, 480, True),
        ("10,000 by WebSocket and 1,000 by polling, 16", 10_000, 1000, 16, 120, False),
    ):
        options = ["--subscribers", watchers, "--polling", polled, "--in-flight", flight, "--bytes", 350]
        options += ["--publications", max(2 * flight, round(count * settings.seconds))]
        cases.append(Case(name, [Entry("Signalbox", "signalbox", "memory", "monitor", "http", options)], quick))
    about = "Clients of Socket.IO without a WebSocket: each answers what it gets with the next request."
    return Family(
        "polling", "Socket.IO by polling", "deliveries", about, cases, None,
        more=[*LATENCIES, ("requests_per_server_cpu_s", 1, "requests per CPU-second")],
    )


def idle(settings):
    cases = []
    for name, part, more in (("plain", None, []), ("with permessage-deflate", "deflate", ["--deflate"])):
        options = ["--connections", settings.idle, "--hold", 1, *more]
        peers = SOCKETS if part is None else COMPRESSING
        cases.append(Case(
            f"{settings.idle:,} WebSockets, {name}",
            [Entry(NAMES[peer], peer, part or plain(peer), "idle", "ws", options, path(peer), fresh=True) for peer in peers],
        ))
    tls_options = ["--connections", settings.idle, "--hold", 1]
    cases.append(Case(
        f"{settings.idle:,} WebSockets, TLS",
        [Entry(NAMES[peer], peer, "tls", "idle", "wss", tls_options, path(peer), fresh=True) for peer in ("raw", "signalbox")], False,
    ))
    about = "Resident anonymous memory of the server before and after, divided by the connections. The kernel's share is not in it."
    return Family(
        "idle", "Idle connections", "connections", about, cases, figure="anonymous_bytes_per_connection", unit="bytes of user space each",
        rate="handshakes_per_s", lower_is_better=True,
    )


ALL = [
    echo, deflate, tls, processes, handshakes, fanout, protocols, latency, dispatch, dispatch_latency, polling, idle,
    echo_many, fanout_many,
]


def families(settings):
    return [make(settings) for make in ALL]
