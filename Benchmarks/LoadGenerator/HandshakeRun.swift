// HandshakeRun: WebSockets that are opened (RFC 6455 §4.1), looked at and reset, a number of them at once; with TLS, its whole handshake
// before. Counts those whose response was good; anything else ends the run. Closed loop, as EchoRun is.
//
// Cost of a handshake: a socket, connect, send, recv, three epoll_ctl, and close: some 30 µs here, and as much in the kernel's interrupts.

import LoadSupport

enum HandshakeRun {
    static func perform(_ options: Options) throws(RunError) -> Outcome {
        try Descriptors.demand(options.inFlight)
        let tally = try Tally(options)
        let goesOn = {
            tally.advance()
            return tally.goesOn
        }
        try Dialer(options).open(upgradingAt: options.url.path, while: goesOn) { dialed in
            tally.finish(Clock.now() - dialed.since)
            dialed.wire.reset()
        }
        var report = Report()
        report.add("command", "handshake")
        report.add("in_flight", options.inFlight)
        tally.report("handshakes", into: &report)
        return Outcome(report: report, faults: tally.measured == 0 ? 1 : 0)
    }
}
