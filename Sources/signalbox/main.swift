// signalbox: the program. Reads its configuration, makes the performers and the machine, introduces them to each other, and turns the
// loop until it is asked to stop. Exit codes: 0 an orderly end, 1 the world was wrong, 2 the command line was.
import Base
import Gateway
import Glibc
import Reactor
import Storage
import Vitals

/// Writes to a descriptor whatever happens in between; what cannot be written is lost, as a log must not stop its server.
@Sendable func writeAll(_ bytes: Span<UInt8>, to descriptor: Int32) {
    unsafe bytes.withUnsafeBytes { buffer in
        var start = 0
        while start < buffer.count {
            let count = unsafe write(descriptor, buffer.baseAddress! + start, buffer.count - start)
            if count > 0 { start += count } else if errno != EINTR { return }
        }
    }
}

func print(_ text: String, to descriptor: Int32) {
    writeAll(SharedBytes(text).span, to: descriptor)
}

/// A variable of the environment.
func variable(_ name: String) -> String? { unsafe getenv(name).map { unsafe String(cString: $0) } }

func serve(_ arguments: ArraySlice<String>) -> Int32 {
    var configuration: Configuration
    do throws(Mistake) {
        configuration = try Configuration(arguments: arguments, environment: variable)
    } catch {
        print("signalbox: \(error.sentence)\n", to: STDERR_FILENO)
        return 2
    }
    var plan: ListenPlan
    do throws(Mistake) {
        plan = try ListenPlan(&configuration, SocketActivation(environment: variable, process: getpid()))
    } catch {
        print("signalbox: \(error.sentence)\n", to: STDERR_FILENO)
        return 2
    }
    let supervisor = Supervisor(environment: variable, process: getpid(), at: SystemClock.now())
    for name in SocketActivation.variables + Supervisor.variables { _ = unsafe unsetenv(name) }
    let log = Log(level: configuration.logLevel, format: configuration.logFormat) { line in writeAll(line.span, to: STDERR_FILENO) }
    log.now = WallTime(milliseconds: SystemClock.wallMilliseconds())
    do throws(Mistake) {
        configuration.settings.authentication = try configuration.tokens.authentication(
            data: configuration.data, environment: variable, warn: { log.warning("tokens", ("reason", $0)) })
    } catch {
        print("signalbox: \(error.sentence)\n", to: STDERR_FILENO)
        return 1
    }
    let tls: TLSContext?
    do throws(TLSMistake) {
        tls = try configuration.tlsFiles.map { files throws(TLSMistake) in try TLSContext(files) }
    } catch {
        print("signalbox: \(error.sentence)\n", to: STDERR_FILENO)
        return 1
    }
    for warning in tls?.warnings ?? [] { log.warning("tls", ("reason", warning)) }
    configuration.settings.limits.memoryHighBytes =
        configuration.memoryHighBytes ?? ProcessMemory.bound().map { $0 / 10 * 8 } ?? 0
    do throws(Errno) {
        let awaited = [SIGTERM, SIGINT, SIGHUP]
        // Before any thread starts, so that every thread has the mask.
        Signals.block(awaited)
        let inheritance: Inheritance?
        do throws(Mistake) {
            inheritance = try configuration.takeover.flatMap { path throws(Mistake) in
                try Inheritance.claim(at: path, version: "\(Configuration.version)")
            }
        } catch {
            log.error("cannot take over", ("reason", error.sentence))
            return 1
        }
        if let inheritance { plan.inherit(inheritance.listeners) }
        let descriptors = try DescriptorLimit.raise()
        let limits = configuration.settings.limits
        var settings = EventLoop.Settings()
        settings.receiveBytes = limits.receiveBufferBytes
        settings.eagerFlushBytes = limits.eagerFlushBytes
        settings.flushBytesMax = limits.writeBytesPerTurn
        settings.pauseReadingBytes = limits.pauseReadingBytes
        settings.lingerTimeout = limits.lingerTimeout
        // Some descriptors are the loop's own, the listeners', the log's, and theirs who are turned away.
        let spare = plan.count + settings.turnedAwayMax + 16
        settings.connectionsMax = max(1, min(limits.connectionsMax, descriptors - spare))
        settings.connectionsPerAddressMax = limits.connectionsPerAddressMax
        settings.acceptsPerSecondMax = limits.acceptsPerSecondMax
        settings.handshakesPerAddressMax = limits.handshakesPerAddressMax
        settings.answersToRefused = Host.answersToRefused
        settings.handshakeTimeout = limits.headTimeout
        settings.answerToPlainText = Host.answerToPlainText
        settings.signals = awaited
        let outbox = Outbox(connections: settings.connectionsMax + settings.turnedAwayMax)
        let loop = try EventLoop(outbox: outbox, settings: settings)
        loop.tls = tls
        // Whoever connects while the data is read waits in the kernel.
        guard let opened = plan.open(on: loop, isSecured: tls != nil, log: log) else { return 1 }
        let begun = SystemClock.now()
        if let inheritance {
            do throws(Mistake) {
                let outcome = try inheritance.take { Signals.waits(among: [SIGTERM, SIGINT]) }
                log.info(
                    outcome == .handed ? "took over" : "the process before is gone", ("version", inheritance.version),
                    ("milliseconds", SystemClock.now() - begun))
            } catch {
                log.error("cannot take over", ("reason", error.sentence))
                return 1
            }
            loop.ownFiles(of: opened.filter(\.inheritsFile).map(\.address))
        }
        let host: Host
        do throws(StorageError) {
            host = try Host(configuration, loop: loop, outbox: outbox, supervisor: supervisor, log: log)
        } catch {
            log.error("cannot keep data", ("reason", error.description))
            return 1
        }
        if let path = configuration.takeover {
            let socket: PassingSocket
            if let inheritance {
                socket = inheritance.door
                socket.ownFile(path)
            } else {
                socket = try PassingSocket.listening(at: path)
            }
            let wanted = Dictionary(opened.map { ($0.address, $0.wanted.description) }) { first, _ in first }
            host.open(try TakeoverDoor(socket, loop: loop, version: "\(Configuration.version)", wanted: wanted, log: log))
        }
        if inheritance != nil { log.info("accepting", ("milliseconds", SystemClock.now() - begun)) }
        for listener in opened { listener.tell(log) }
        supervisor?.ready(Host.servingWords)
        do throws(Errno) {
            try loop.run(host)
        } catch {
            _ = host.close()
            throw error
        }
        guard host.close() else {
            log.error("stopped, and not everything was written")
            return 1
        }
        log.info("stopped")
        return 0
    } catch {
        log.error("cannot serve", ("reason", error.description))
        return 1
    }
}

func main() -> Int32 {
    let arguments = CommandLine.arguments.dropFirst()
    switch arguments.first {
    case "version", "--version":
        print("signalbox \(Configuration.version)\n", to: STDOUT_FILENO)
        return 0
    case "help", "--help", "-h":
        print(Configuration.help, to: STDOUT_FILENO)
        return 0
    case "--help=markdown":
        print(Configuration.markdown, to: STDOUT_FILENO)
        return 0
    case "token":
        let answer = token(arguments.dropFirst(), environment: variable)
        print(answer.text, to: answer.code == 0 ? STDOUT_FILENO : STDERR_FILENO)
        return answer.code
    case "backup":
        let answer = backup(arguments.dropFirst(), environment: variable)
        print(answer.text, to: answer.code == 0 ? STDOUT_FILENO : STDERR_FILENO)
        return answer.code
    case "worker":
        return work(arguments.dropFirst(), environment: variable)
    case "top":
        return top(arguments.dropFirst(), environment: variable)
    case "serve":
        if arguments.dropFirst().contains(where: { $0 == "--help" || $0 == "-h" }) {
            print(Configuration.help, to: STDOUT_FILENO)
            return 0
        }
        if arguments.dropFirst().contains("--help=markdown") {
            print(Configuration.markdown, to: STDOUT_FILENO)
            return 0
        }
        return serve(arguments.dropFirst())
    case nil:
        return serve([])
    case let first? where first.hasPrefix("-"):
        return serve(arguments)
    case let first?:
        print("signalbox: there is no command '\(first)'; see signalbox --help\n", to: STDERR_FILENO)
        return 2
    }
}

exit(main())
