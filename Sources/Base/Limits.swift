// Limits: the numbers that bound the server, in one place, each with its reason. Configuration fills it once; everybody else is given it.
// The relations between the numbers are checked when it is made whole. Not here: the pace of the loop (EventLoop.Settings), and the
// bounds of HTTP's finer syntax (HTTPLimits).

/// The server's bounds. Bytes are bytes, times are `TimeSpan`s, counts are counts.
public struct Limits: Sendable {
    // MARK: Connections

    /// Sockets open at once; one more is accepted and closed. A slot costs memory only once it was used.
    public var connectionsMax = 1_048_576
    /// Connections of one address, IPv6 by its 64 bits; 0 for any number. A proxy, or a company behind one address, has no more ports than
    /// some 28,000 by Linux's own setting, and is not to be hurt; where clients come by themselves, a few hundred are plenty.
    public var connectionsPerAddressMax = 32_768
    /// Connections let in within one second, of all addresses; 0 for any number. The others wait in the kernel's backlog, where they cost
    /// little: no default, because clients that all come back at once are to be back soon.
    public var acceptsPerSecondMax = 0
    /// Handshakes of TLS that one address may have under way: half of what all may have.
    public var handshakesPerAddressMax = 2_048
    /// One read: large enough for sixteen 16 KiB messages, small enough to stay in a core's second-level cache.
    public var receiveBufferBytes = 256 << 10
    /// An answer of this size leaves at once instead of at the end of the turn: it is still warm in the cache.
    public var eagerFlushBytes = 4 << 10
    /// What one connection may send in one turn before the others have theirs.
    public var writeBytesPerTurn = 1 << 20
    /// A connection whose own input makes its output is not read while more than this waits for it.
    public var pauseReadingBytes = 1 << 20
    /// Bytes that may wait for one connection; beyond it the connection is closed (1013).
    public var queuedBytesMax = 64 << 20
    /// Beyond this a watcher's news wait apart from its queue, where newer progress takes the place of older: four seconds of a busy task,
    /// and as much again as the kernel holds for it.
    public var conflatedBytesMin = 64 << 10
    /// The same for a watcher that has read all so far: what one turn may bring it, a batch of thousands of reports.
    public var burstBytesMax = 1 << 20
    /// Logs that may wait for one watcher before the oldest are left out, and told as a gap.
    public var waitingLogBytesMax = 1 << 20
    /// Messages that leave in one frame, where a client asked for that; a longer one has a frame of its own.
    public var batchBytesMax = 64 << 10
    /// After the last byte the other end gets this long to close, so that a reset does not destroy what it has not read yet.
    public var lingerTimeout = TimeSpan.seconds(1)

    // MARK: HTTP

    /// Request line and headers together; as common servers have it.
    public var headerBytesMax = 16 << 10
    public var headerCountMax = 100
    public var targetBytesMax = 8 << 10
    /// A request's body: a few images in base64.
    public var bodyBytesMax = 16 << 20
    /// From the first byte of a request's head to its last.
    public var headTimeout = TimeSpan.seconds(10)
    /// A body must arrive with at least this many bytes a second within each `headTimeout`, and so must a WebSocket message within each
    /// `pingInterval`; answers must be read as fast once `keepAliveTimeout` is over.
    public var bodyBytesPerSecondMin = 1 << 10
    /// Between two requests of a connection.
    public var keepAliveTimeout = TimeSpan.seconds(75)
    /// Bytes of later requests that may wait behind one that is not answered yet.
    public var pipelinedBytesMax = 64 << 10

    // MARK: WebSocket

    /// One message, all its fragments together, also after inflating.
    public var messageBytesMax = 16 << 20
    /// Fragments of one message: a bound on work, not on memory.
    public var fragmentsMax = 131_072
    /// A silent WebSocket is pinged after this, and closed after another of it.
    public var pingInterval = TimeSpan.seconds(30)
    /// When the server stops, what is still open this long after every socket was told so is dropped. The other end of any closing
    /// handshake gets `lingerTimeout`.
    public var closeTimeout = TimeSpan.seconds(5)

    /// Messages that a watcher may send in a second, pings among them: many times what the documents' clients do. 0 for any number.
    public var messagesPerSecondMax = 100
    /// The same at once after a silence: whoever comes back asks for all of its subscriptions anew, and more than once.
    public var messageBurstMax = 1_000
    /// The same of a worker, or of a program that reports: beyond it the connection is not read for a moment, and nothing is lost. 0 for
    /// any number: what they say is work, and a turn reads each of them once.
    public var workerMessagesPerSecondMax = 0

    // MARK: All input together

    /// Requests that one connection may send in a second; beyond it it is not read for a moment. 0 for any number: it waits for its
    /// answers as it is.
    public var requestsPerSecondMax = 0
    /// Bytes of requests and messages that have come in part, of all connections together: thirty-two of the largest.
    public var inputMemoryBytesMax = 512 << 20

    // MARK: Memory

    /// What the process may hold before nobody new is let in; 0 for no bound. The program chooses a share of what there is.
    public var memoryHighBytes = 0
    /// How long turning newcomers away may be enough before those who read too slowly are given up, and how long freed memory has to show.
    public var memoryPatience = TimeSpan.milliseconds(500)

    // MARK: JSON and the worker pool

    public var jsonDepthMax = 128
    /// Work over more bytes than this goes to the worker pool: a hop costs about 14 µs, which is some 10 KiB of JSON.
    public var inlineWorkBytes = 64 << 10
    /// Values of a user above this size are sent by reference instead of being copied.
    public var spliceBytesMin = 16 << 10

    // MARK: Tasks

    public var taskTimeoutDefault = TimeSpan.seconds(60)
    public var taskTimeoutMin = TimeSpan.seconds(5)
    public var taskTimeoutMax = TimeSpan.seconds(600)
    /// Tasks that may wait in one group.
    public var queueLengthMax = 1_000
    /// How long an ended task is remembered.
    public var resultTTL = TimeSpan.seconds(300)
    /// Bytes that ended tasks may hold together before the oldest are forgotten early: 300,000 small results.
    public var endedBytesMax = 256 << 20
    /// Bytes of the payloads of tasks that wait or run; beyond it a task is refused as by a full queue.
    public var payloadBytesMax = 1 << 30
    /// A task may be started anew this often when its worker vanishes.
    public var retriesMax = 100
    /// The first retry comes at once: most workers vanish for reasons of their own. The second waits for a part of this, chosen by chance,
    /// and each one after it for a part of twice as much: a task that takes its workers down does not take all of them down.
    public var retryDelay = TimeSpan.seconds(1)
    /// No retry waits for longer.
    public var retryDelayMax = TimeSpan.seconds(30)
    public var idempotencyKeyBytesMax = 255
    /// Tasks that outside programs report and that have not ended: some 100 MB of records.
    public var reportedTasksMax = 100_000
    /// A task of which its outside program says nothing for so long has failed: the program is gone.
    public var reportedSilenceMax = TimeSpan.seconds(24 * 60 * 60)
    /// After a restart, the worker that had a task in hand may come back for so long before the task runs again or fails.
    public var recoveryGrace = TimeSpan.seconds(30)

    // MARK: Dead letters

    /// Tasks that failed and may be tried again; the oldest give way.
    public var deadLettersMax = 10_000
    /// Bytes that they hold together: four of the largest payloads.
    public var deadLetterBytesMax = 64 << 20
    /// How long one is kept: as long as the history.
    public var deadLetterTime = TimeSpan.seconds(7 * 86_400)
    /// Letters that one request replays: each is a task, written down before the answer.
    public var replaysPerRequestMax = 100

    // MARK: Revoked tokens

    /// Users whose tokens are revoked, until an operator forgets them: some 250 bytes each. How long such a token would be good, only its
    /// issuer knows.
    public var revocationsMax = 100_000

    // MARK: Workers

    /// A worker of which nothing was heard for so long has lost its tasks: two pings, a third of this apart, were not answered.
    public var workerLease = TimeSpan.seconds(30)

    /// A connected worker that sent no `ready` counts as ready after this.
    public var readyDelay = TimeSpan.seconds(1)
    /// How long a task that ended without its worker keeps the worker's room if the worker says nothing: one that knows no `cancel` is
    /// likely still computing.
    public var abandonedGrace = TimeSpan.seconds(30)
    /// Tasks that one worker may hold.
    public var concurrencyMax = 1_024
    /// Models that one worker may declare.
    public var modelsMax = 64
    /// A worker's words about a step of its task: kept with the task.
    public var progressTextBytesMax = 4 << 10
    /// What a reporter knows of a step besides: kept with the task, and in its history.
    public var stepInfoBytesMax = 512 << 10
    /// Lines that one message adds to a task's log: they are kept with the task for a while.
    public var logBytesMax = 64 << 10
    /// The name of a group or a model.
    public var nameBytesMax = 200

    // MARK: Watchers

    /// Topics that one watcher may listen on.
    public var subscriptionsMax = 128
    /// A watcher that says nothing for so long is closed, as document G says.
    public var watcherIdleTimeout = TimeSpan.seconds(30 * 60)
    /// Events of one task that are remembered for watchers who come back.
    public var historyLengthMax = 100
    /// Bytes that the histories of all tasks may hold together before the oldest give way.
    public var historyBytesMax = 256 << 20
    /// How long a hub client whose socket is gone may come back as who it was.
    public var sessionResumeTime = TimeSpan.seconds(300)
    /// Sessions that wait for their clients; the oldest give way.
    public var parkedSessionsMax = 100_000
    public var parkedBytesMax = 64 << 20
    /// Events that one watcher who comes back is told out of the database; who missed more is told how things stand.
    public var replayEventsMax = 10_000
    public var replayBytesMax = 4 << 20
    /// Watchers who come back and for whom the database is read at once, each with up to `replayBytesMax`; the others wait.
    public var replaysMax = 32

    // MARK: Socket.IO

    /// From a handshake or a pong to the next ping: Engine.IO's own default.
    public var socketPingInterval = TimeSpan.seconds(25)
    /// From a ping to the end of who does not answer it: Engine.IO's own default too.
    public var socketPingTimeout = TimeSpan.seconds(20)
    /// From a session's second transport to the end of its upgrade.
    public var socketUpgradeTimeout = TimeSpan.seconds(10)
    /// A session that is let into no namespace for so long ends: it may hold its place for no more.
    public var socketConnectTimeout = TimeSpan.seconds(10)
    /// One polling body, one message, and one poll's answer: the official server's default.
    public var socketPayloadMax = 1_000_000
    /// Packets of one polling body: a bound on work.
    public var socketPacketsMax = 1_000
    /// Bytes that may wait for the next poll of one session; beyond it the session ends, and may be recovered: all that is remembered for
    /// those who come back has room.
    public var socketQueuedBytesMax = 16 << 20
    /// Sessions by polling: they have no socket whose number would bound them.
    public var pollingSessionsMax = 100_000
    /// The same of one address, so that nobody takes all of them; a proxy in front is one address, and a unix socket none.
    public var pollingSessionsPerAddressMax = 10_000
    /// Binary parts of one packet.
    public var attachmentsMax = 16
    /// Bytes of packets whose binary parts have not all come, of all clients together.
    public var attachmentBytesMax = 64 << 20
    /// From a packet's text to its last binary part.
    public var attachmentTimeout = TimeSpan.seconds(20)
    /// Packets that one client may send in a second, over all its transports, and at once after a silence. A large one counts as several,
    /// so that the largest is a second's worth.
    public var socketPacketsPerSecondMax = 50
    /// How long a Socket.IO client whose session ended may come back as who it was: the official server's default.
    public var recoveryTime = TimeSpan.seconds(120)
    /// Clients that may come back; the oldest give way.
    public var recoverablesMax = 100_000
    /// Events of one channel that are remembered for those who come back: three minutes of a server that notes as much as it may.
    public var bulletinsMax = 4_096
    /// Bytes that one channel's hold.
    public var bulletinBytesMax = 8 << 20

    // MARK: The fleet's vital signs

    /// How often the machine is looked at while somebody listens: document E's two seconds.
    public var resourcePeriod = TimeSpan.seconds(2)
    /// How often the deployments are told: document E's five seconds.
    public var modelPeriod = TimeSpan.seconds(5)
    /// Deployments in the registry: all of them are told every `modelPeriod`.
    public var deploymentsMax = 1_000
    /// Within it a deployment that starts must answer a probe.
    public var deploymentStartTimeout = TimeSpan.seconds(30)
    /// Between two probes of a deployment that runs.
    public var probeInterval = TimeSpan.seconds(10)
    /// Between two probes of a deployment that starts: somebody waits for it.
    public var startProbeInterval = TimeSpan.seconds(1)
    /// From a probe's connection to the end of its patience.
    public var probeTimeout = TimeSpan.seconds(5)
    /// Of a probe's answer; its first line says all that is asked.
    public var probeBytesMax = 16 << 10
    /// Probes under way at once; others wait.
    public var probesMax = 64
    /// Probes that fail one after the other before a deployment counts as unhealthy: one may be lost.
    public var probeFailuresMax = 3
    /// Activities that this server notes of its tasks in a second; of more it notes how many.
    public var taskActivitiesPerSecondMax = 20
    public var activityMessageBytesMax = 4 << 10
    public var activityExtraBytesMax = 64 << 10
    /// GPUs that one worker may tell of.
    public var gpusMax = 64
    /// A worker's own words about its memory, or its load: kept, and told to all who listen.
    public var workerStatusBytesMax = 4 << 10

    // MARK: The dashboard

    /// How often open dashboards are told what has changed: twice a second is as good as at once.
    public var dashboardPeriod = TimeSpan.milliseconds(500)
    /// Rows of each of its lists: more than anybody reads, and less than 100 KiB a message, also where every row is full.
    public var dashboardRowsMax = 50
    /// Dashboards that are open at once.
    public var dashboardsMax = 64

    // MARK: What is written down

    /// Bytes of records that could not be written and are tried again; what comes beyond it is given up.
    public var unwrittenBytesMax = 64 << 20
    /// How long the server waits before it tries again: a disk that was full is rarely full for less.
    public var storageRetryDelay = TimeSpan.seconds(1)

    // MARK: The end

    /// Waiting requests, and what workers have in hand, get this long once the server was asked to stop.
    public var drainTimeout = TimeSpan.seconds(10)
    /// The same for waiting requests when another process takes over: who connects meanwhile waits in the kernel.
    public var takeoverDrainTimeout = TimeSpan.seconds(5)
    /// The time over which many sockets are closed when the server ends: a hundred thousand that come back in ten seconds are served.
    public var drainSpread = TimeSpan.seconds(10)
    /// Sockets that are closed in 100 ms even if that is faster: this many that come back at once are no burden.
    public var closingPaceMin = 1_000
    /// Once another process has taken over, who has connected and not asked yet is heard for so long, to be told to come again.
    public var lastRequestTimeout = TimeSpan.seconds(1)

    public init() {}

    /// What does not fit together, as a sentence for the operator; nil where all does.
    public var contradiction: String? {
        if taskTimeoutMin > taskTimeoutMax { return "the smallest task timeout is above the largest" }
        if taskTimeoutDefault < taskTimeoutMin || taskTimeoutDefault > taskTimeoutMax {
            return "the default task timeout lies outside the smallest and the largest"
        }
        if workerLease < .milliseconds(100) { return "a worker's lease may not be shorter than 100 ms: it would be lost to a busy moment" }
        if retryDelay > retryDelayMax { return "the shortest pause before a retry is above the longest" }
        if headerBytesMax < targetBytesMax { return "a request's target would be allowed more bytes than all of its head" }
        if headerBytesMax > 65_535 { return "a request's head may have at most 65535 bytes" }
        if headerCountMax > 254 { return "a request may have at most 254 header fields" }
        if receiveBufferBytes < headerBytesMax { return "one read is smaller than a request's head" }
        if queuedBytesMax < messageBytesMax { return "the longest message would not fit into a connection's queue" }
        if queuedBytesMax < bodyBytesMax { return "the largest body would not fit into a connection's queue" }
        if conflatedBytesMin > burstBytesMax { return "a watcher that lags would have more room than one that keeps up" }
        if conflatedBytesMin > queuedBytesMax { return "a watcher would be closed before its news were conflated" }
        if bulletinBytesMax >= socketQueuedBytesMax { return "what a Socket.IO client missed would not fit into its queue" }
        if inputMemoryBytesMax < max(bodyBytesMax, messageBytesMax) {
            return "the largest body or message would not fit into the memory for input"
        }
        if eagerFlushBytes > writeBytesPerTurn { return "an eager answer would be larger than a turn's share" }
        return nil
    }
}
