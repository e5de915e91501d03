// Metrics: what the server counts, and the page that tells it in Prometheus' text format (version 0.0.4). Counters are plain additions
// on the loop's thread; gauges are read when the page is asked for. No label ever holds what a client wrote.
internal import Base
internal import Domain
internal import HTTP1

struct Metrics {
    var connectionsOpened: UInt64 = 0
    var connectionsClosed: UInt64 = 0
    var connectionsRefused: UInt64 = 0
    var handshakes: UInt64 = 0
    var handshakesFailed: UInt64 = 0
    var webSocketsOpen = 0
    var webSocketsOpened: UInt64 = 0
    /// Those that are open, by `SocketKind`.
    var socketsOpen = [Int](repeating: 0, count: SocketKind.allCases.count)
    var webSocketsFailed: UInt64 = 0
    var slowConsumers: UInt64 = 0
    var eventStreamsOpen = 0
    var eventStreamsOpened: UInt64 = 0
    var eventStreamsSlow: UInt64 = 0
    /// Publications written, once for each format that somebody listens in.
    var encodings: UInt64 = 0
    /// Publications given to one watcher.
    var deliveries: UInt64 = 0
    var backlogs: UInt64 = 0
    var conflated: UInt64 = 0
    var logsLeftOut: UInt64 = 0
    var silentSockets: UInt64 = 0
    var leasesExpired: UInt64 = 0
    var isDraining = false
    /// Sockets and streams that a stop or a takeover ended.
    var drainClosed: UInt64 = 0
    var hubClients = 0
    var hubReturns: UInt64 = 0
    var hubReturnsRefused: UInt64 = 0
    var hubTasksLost: UInt64 = 0
    var eventsReplayed: UInt64 = 0
    var pollingSessions = 0
    var pollsAnswered: UInt64 = 0
    var socketSessionsOpened: UInt64 = 0
    var socketSessionsFailed: UInt64 = 0
    var socketSessionsSlow: UInt64 = 0
    var socketSessionsSilent: UInt64 = 0
    var socketUpgrades: UInt64 = 0
    var socketReturns: UInt64 = 0
    var socketClientsTooFast: UInt64 = 0
    var samples: UInt64 = 0
    var revocations = 0
    var revokedTokens: UInt64 = 0
    var revokedConnections: UInt64 = 0
    var requests: UInt64 = 0
    var requestsMalformed: UInt64 = 0
    var requestsTimedOut: UInt64 = 0
    var answersUnread: UInt64 = 0
    var messagesIn: UInt64 = 0
    var messagesOut: UInt64 = 0
    var workerStatuses: UInt64 = 0
    var reportsAccepted: UInt64 = 0
    var reportsRefused: UInt64 = 0
    var bytesIn: UInt64 = 0
    var bytesOut: UInt64 = 0
    var turns: UInt64 = 0
    var turnDuration = DurationHistogram()
    var bounds = BoundCounts()
    /// Read when the page is asked for.
    var inputBytes = 0
    var memoryBytes = 0
    var memoryHighBytes = 0
    /// Responses by the first digit of their status.
    private var responses: InlineArray<6, UInt64> = InlineArray(repeating: 0)

    mutating func count(_ status: HTTPStatus) { responses[min(status.code / 100, 5)] += 1 }

    /// Appends the page.
    func write(_ broker: Broker, _ recorder: Recorder, queuedBytes: Int, version: StaticString, to writer: inout ByteWriter) {
        var page = MetricsPage()
        page.begin("build_info", .gauge, "The version that runs.", to: &writer)
        writer.append("signalbox_build_info{version=\"")
        writer.append(version)
        writer.append("\"} 1\n")

        page.gauge("connections", "Connections that are open.", Int(connectionsOpened - connectionsClosed), to: &writer)
        page.counter("connections_opened_total", "Connections that were accepted.", connectionsOpened, to: &writer)
        page.counter("connections_refused_total", "Connections turned away at the limit.", connectionsRefused, to: &writer)
        page.counter("tls_handshakes_total", "Handshakes of TLS that were done.", handshakes, to: &writer)
        page.counter("tls_handshakes_failed_total", "Handshakes of TLS that came to nothing.", handshakesFailed, to: &writer)
        page.gauge("websockets", "WebSockets that are open.", webSocketsOpen, to: &writer)
        page.counter("websockets_opened_total", "WebSockets that were opened.", webSocketsOpened, to: &writer)
        page.counter("websockets_failed_total", "WebSockets ended because the peer broke the protocol.", webSocketsFailed, to: &writer)
        page.counter("websockets_slow_total", "WebSockets ended because they were read too slowly.", slowConsumers, to: &writer)
        page.counter("websockets_silent_total", "WebSockets ended because nothing answered pings.", silentSockets, to: &writer)
        page.gauge("hub_clients", "Clients of the hub that are connected.", hubClients, to: &writer)
        page.counter("hub_returns_total", "Clients of the hub that came back as who they were.", hubReturns, to: &writer)
        page.counter("hub_returns_refused_total", "Clients that came back too late, or as somebody else.", hubReturnsRefused, to: &writer)
        page.counter("hub_tasks_lost_total", "Subscriptions that came back and whose missed events were gone.", hubTasksLost, to: &writer)
        page.counter("events_replayed_total", "Missed events that were told to clients who came back.", eventsReplayed, to: &writer)
        page.counter("websocket_messages_received_total", "Messages received.", messagesIn, to: &writer)
        page.counter("websocket_messages_sent_total", "Messages sent.", messagesOut, to: &writer)
        page.gauge("draining", "Whether the server takes no new tasks because it stops: 1 or 0.", isDraining ? 1 : 0, to: &writer)
        page.counter("drain_closed_total", "Sockets and streams ended because the server stops.", drainClosed, to: &writer)
        page.counter("received_bytes_total", "Bytes received.", bytesIn, to: &writer)
        page.counter("sent_bytes_total", "Bytes sent.", bytesOut, to: &writer)
        page.gauge("queued_bytes", "Bytes that wait to be sent.", queuedBytes, to: &writer)
        page.gauge("records_waiting", "Records that are not written yet.", recorder.waitingCount, to: &writer)
        page.gauge("promises_waiting", "Answers that wait for records.", recorder.promiseCount, to: &writer)
        page.counter("records_lost_total", "Records given up because the disk refused them.", UInt64(recorder.lost), to: &writer)
        writeFanout(&page, to: &writer)

        page.counter("http_requests_total", "Requests whose head was read.", requests, to: &writer)
        page.counter("http_requests_malformed_total", "Requests that broke the protocol.", requestsMalformed, to: &writer)
        page.counter("http_requests_timed_out_total", "Requests that came too slowly.", requestsTimedOut, to: &writer)
        page.counter("http_responses_slow_total", "Connections ended because answers were not read.", answersUnread, to: &writer)
        page.begin("http_responses_total", .counter, "Responses by class of status.", to: &writer)
        for digit in 2...5 {
            writer.append("signalbox_http_responses_total{class=\"")
            writer.append(decimal: digit)
            writer.append("xx\"} ")
            writer.append(decimal: Int(clamping: responses[digit]))
            writer.append("\n")
        }

        bounds.write(&page, to: &writer)
        page.gauge("input_bytes", "Bytes of requests and messages that have come in part.", inputBytes, to: &writer)
        page.gauge("memory_bytes", "Memory that the process holds, as it was last looked at.", memoryBytes, to: &writer)
        page.gauge("memory_high_bytes", "Memory beyond which nobody new is let in; 0 for any.", memoryHighBytes, to: &writer)
        page.gauge("revocations", "Users whose tokens were revoked.", revocations, to: &writer)
        page.counter("revoked_tokens_refused_total", "Revoked tokens that were shown and refused.", revokedTokens, to: &writer)
        page.counter(
            "revoked_connections_total", "Sockets, streams and sessions closed because their token was revoked.", revokedConnections,
            to: &writer)
        writeSockets(&page, to: &writer)
        writeTasks(broker, &page, to: &writer)
        page.counter("turns_total", "Turns of the loop.", turns, to: &writer)
        page.histogram("turn_duration_seconds", "From the end of a turn's sleep to its end.", turnDuration, to: &writer)
    }

    private func writeFanout(_ page: inout MetricsPage, to writer: inout ByteWriter) {
        page.gauge("event_streams", "Streams of server-sent events that are open.", eventStreamsOpen, to: &writer)
        page.counter("event_streams_opened_total", "Streams of server-sent events that were opened.", eventStreamsOpened, to: &writer)
        page.counter("event_streams_slow_total", "Streams ended because they were read too slowly.", eventStreamsSlow, to: &writer)
        page.counter("events_encoded_total", "Events written, once a format that somebody listens in.", encodings, to: &writer)
        page.counter("events_delivered_total", "Events given to a watcher, once each.", deliveries, to: &writer)
        page.counter("watchers_behind_total", "Watchers that began to read too slowly.", backlogs, to: &writer)
        page.counter("events_conflated_total", "Progress that newer progress took the place of.", conflated, to: &writer)
        page.counter("events_left_out_total", "Logs left out, and told as a gap.", logsLeftOut, to: &writer)
    }

    private func writeSockets(_ page: inout MetricsPage, to writer: inout ByteWriter) {
        page.counter("socketio_sessions_opened_total", "Socket.IO sessions that were opened.", socketSessionsOpened, to: &writer)
        page.counter(
            "socketio_sessions_failed_total", "Sessions ended because their client broke the protocol.", socketSessionsFailed, to: &writer)
        page.counter("socketio_sessions_slow_total", "Sessions by polling ended because too much waited.", socketSessionsSlow, to: &writer)
        page.counter("socketio_sessions_silent_total", "Sessions ended because nothing answered pings.", socketSessionsSilent, to: &writer)
        page.gauge("socketio_polling_sessions", "Sessions that are carried by polling.", pollingSessions, to: &writer)
        page.counter("socketio_polls_answered_total", "Polls that were answered.", pollsAnswered, to: &writer)
        page.counter("socketio_upgrades_total", "Sessions that moved from polling to a WebSocket.", socketUpgrades, to: &writer)
        page.counter("socketio_returns_total", "Clients that came back as who they were.", socketReturns, to: &writer)
        page.counter(
            "socketio_too_fast_total", "Clients ended because they sent too many packets in a second.", socketClientsTooFast, to: &writer)
        page.counter("resource_samples_total", "Looks at the machine, one for all who watch.", samples, to: &writer)
    }

    private func writeTasks(_ broker: Broker, _ page: inout MetricsPage, to writer: inout ByteWriter) {
        let statistics = broker.statistics
        page.begin("tasks", .gauge, "Tasks by state; ended ones while they are remembered.", to: &writer)
        for (state, count) in [
            ("queued", broker.queuedCount), ("executing", broker.executingCount), ("ended", broker.endedCount),
        ] as [(StaticString, Int)] {
            writer.append("signalbox_tasks{state=\"")
            writer.append(state)
            writer.append("\"} ")
            writer.append(decimal: count)
            writer.append("\n")
        }
        page.gauge("tasks_reported", "Tasks of outside programs that have not ended.", broker.reportedCount, to: &writer)
        page.counter("tasks_submitted_total", "Tasks that were taken in.", statistics.submitted, to: &writer)
        page.counter("tasks_registered_total", "Tasks of outside programs that were taken in.", statistics.registered, to: &writer)
        page.counter("tasks_restored_total", "Tasks of an earlier process that were taken up again.", statistics.restored, to: &writer)
        page.begin("tasks_ended_total", .counter, "Tasks that ended, by how.", to: &writer)
        for (state, count) in [
            ("completed", statistics.completed), ("failed", statistics.failed), ("cancelled", statistics.cancelled),
        ] as [(StaticString, UInt64)] {
            writer.append("signalbox_tasks_ended_total{state=\"")
            writer.append(state)
            writer.append("\"} ")
            writer.append(decimal: Int(clamping: count))
            writer.append("\n")
        }
        page.begin("tasks_refused_total", .counter, "Tasks that were not taken in, by why.", to: &writer)
        for (reason, count) in [
            ("no_worker", statistics.refusedNoWorker), ("queue_full", statistics.refusedQueueFull),
        ] as [(StaticString, UInt64)] {
            writer.append("signalbox_tasks_refused_total{reason=\"")
            writer.append(reason)
            writer.append("\"} ")
            writer.append(decimal: Int(clamping: count))
            writer.append("\n")
        }
        page.counter("task_retries_total", "Tasks queued again because their worker vanished.", statistics.retried, to: &writer)
        page.gauge("task_retries_delayed", "Tasks that wait for the time of their next try.", broker.pausedCount, to: &writer)
        page.counter(
            "worker_leases_expired_total", "Workers that lost their tasks because nothing was heard of them.", leasesExpired, to: &writer)
        page.gauge("dead_letters", "Failed tasks that may be tried again.", broker.letterCount, to: &writer)
        page.gauge("dead_letter_bytes", "Bytes that they hold.", broker.letterBytes, to: &writer)
        page.counter("dead_letters_kept_total", "Failed tasks that were kept to be tried again.", statistics.lettersKept, to: &writer)
        page.counter("dead_letters_replayed_total", "Failed tasks that were tried again.", statistics.lettersReplayed, to: &writer)
        page.counter(
            "dead_letters_dropped_total", "Failed tasks for which there was no room, or whose time was up.", statistics.lettersDropped,
            to: &writer)
        page.counter("task_log_messages_total", "Log messages of workers.", statistics.logLines, to: &writer)
        page.counter("task_chunks_total", "Pieces of streamed results.", statistics.chunks, to: &writer)
        page.counter("worker_reports_refused_total", "Late or foreign words of workers.", statistics.reportsRefused, to: &writer)
        page.counter("worker_statuses_total", "States that workers told of themselves.", workerStatuses, to: &writer)
        page.counter("producer_reports_total", "Reports of outside programs that were taken.", reportsAccepted, to: &writer)
        page.counter("producer_reports_refused_total", "Reports of outside programs that were not taken.", reportsRefused, to: &writer)
        page.gauge("workers", "Workers that are connected.", broker.workerCount, to: &writer)
        page.gauge("groups", "Groups with a worker or a waiting task.", broker.groupCount, to: &writer)
        page.gauge("task_payload_bytes", "Bytes of the payloads of tasks that have not ended.", broker.payloadBytes, to: &writer)
        page.gauge("task_result_bytes", "Bytes that ended tasks hold.", broker.endedBytes, to: &writer)
        page.histogram("task_wait_seconds", "From submission to a worker's hand.", statistics.waiting, to: &writer)
        page.histogram("task_duration_seconds", "From submission to the end.", statistics.total, to: &writer)
    }
}

/// The page's grammar: help, type, samples.
struct MetricsPage {
    enum Kind { case counter, gauge, histogram }

    mutating func begin(_ name: StaticString, _ kind: Kind, _ help: StaticString, to writer: inout ByteWriter) {
        writer.append("# HELP signalbox_")
        writer.append(name)
        writer.append(" ")
        writer.append(help)
        writer.append("\n# TYPE signalbox_")
        writer.append(name)
        switch kind {
        case .counter: writer.append(" counter\n")
        case .gauge: writer.append(" gauge\n")
        case .histogram: writer.append(" histogram\n")
        }
    }

    mutating func counter(_ name: StaticString, _ help: StaticString, _ value: UInt64, to writer: inout ByteWriter) {
        begin(name, .counter, help, to: &writer)
        sample(name, "", Int(clamping: value), to: &writer)
    }

    mutating func gauge(_ name: StaticString, _ help: StaticString, _ value: Int, to writer: inout ByteWriter) {
        begin(name, .gauge, help, to: &writer)
        sample(name, "", value, to: &writer)
    }

    mutating func histogram(_ name: StaticString, _ help: StaticString, _ value: DurationHistogram, to writer: inout ByteWriter) {
        begin(name, .histogram, help, to: &writer)
        var cumulative: UInt64 = 0
        for (index, bound) in DurationHistogram.boundsMicroseconds.enumerated() {
            cumulative += value.counts[index]
            bucket(name, to: &writer)
            seconds(nanoseconds: bound * 1_000, to: &writer)
            writer.append("\"} ")
            writer.append(decimal: Int(clamping: cumulative))
            writer.append("\n")
        }
        bucket(name, to: &writer)
        writer.append("+Inf\"} ")
        writer.append(decimal: Int(clamping: value.count))
        writer.append("\nsignalbox_")
        writer.append(name)
        writer.append("_sum ")
        seconds(nanoseconds: value.sumNanoseconds, to: &writer)
        writer.append("\n")
        sample(name, "_count", Int(clamping: value.count), to: &writer)
    }

    private func bucket(_ name: StaticString, to writer: inout ByteWriter) {
        writer.append("signalbox_")
        writer.append(name)
        writer.append("_bucket{le=\"")
    }

    private func sample(_ name: StaticString, _ suffix: StaticString, _ value: Int, to writer: inout ByteWriter) {
        writer.append("signalbox_")
        writer.append(name)
        writer.append(suffix)
        writer.append(" ")
        writer.append(decimal: value)
        writer.append("\n")
    }

    /// Seconds with nine decimals: no rounding, no exponent.
    private func seconds(nanoseconds: Int64, to writer: inout ByteWriter) {
        writer.append(decimal: Int(nanoseconds / 1_000_000_000))
        writer.append(".")
        let fraction = nanoseconds % 1_000_000_000
        var unit: Int64 = 100_000_000
        while unit > 0 {
            writer.append(UInt8(ascii: "0") + UInt8(fraction / unit % 10))
            unit /= 10
        }
    }
}
