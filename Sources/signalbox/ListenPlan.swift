// ListenPlan: which sockets are served, and where each comes from: passed at the start, taken over, or bound here. Opens them on the loop;
// accepts nothing.
import Base
import Glibc
import Reactor

/// The sockets of one start.
struct ListenPlan {
    private var passed: [(socket: SocketActivation.Passed, address: SocketAddress)] = []
    private var wanted: [SocketAddress]
    private var inherited: [(socket: Inheritance.Passed, wanted: SocketAddress)] = []
    private let sharesPort: Bool

    /// - Throws: a sentence, where something that was passed cannot be served.
    init(_ configuration: inout Configuration, _ activation: SocketActivation) throws(Mistake) {
        for socket in activation.passed {
            do throws(Errno) {
                passed.append((socket, try EventLoop.addressOfListener(socket.descriptor)))
            } catch {
                throw Mistake(sentence: "descriptor \(socket.descriptor) of LISTEN_FDS is no listening stream socket: \(error)")
            }
        }
        try configuration.serve(passed.map(\.address))
        try configuration.checkSharing(arePassed: !passed.isEmpty)
        wanted = configuration.addresses
        sharesPort = configuration.sharesPort
    }

    var count: Int { passed.count + inherited.count + wanted.count }

    /// Takes what another process listens on where it is wanted; the rest is closed.
    mutating func inherit(_ listeners: [Inheritance.Passed]) {
        var left = listeners
        var missing: [SocketAddress] = []
        for address in wanted {
            // Where the kernel chose the port, only the words are the same.
            let match = left.firstIndex { $0.address == address } ?? left.firstIndex { $0.wanted == address.description }
            if let match { inherited.append((left.remove(at: match), address)) } else { missing.append(address) }
        }
        for listener in left { PassingSocket.close(listener.descriptor) }
        wanted = missing
    }

    /// Opens all of them.
    ///
    /// - Returns: what is to be said of each, once it is served; nil where one could not be opened, which was said.
    func open(on loop: EventLoop, isSecured: Bool, log: Log) -> [Opened]? {
        var opened: [Opened] = []
        var address = "nowhere"
        do throws(Errno) {
            for (socket, at) in passed {
                address = at.description
                let secures = isSecured && !at.isUnix
                let bound = try loop.listen(adopting: socket.descriptor, ownsFile: false, isSecured: secures)
                opened.append(Opened(address: bound, wanted: at, isSecured: secures, source: socket.name ?? "LISTEN_FDS"))
            }
            for (socket, at) in inherited {
                address = socket.address.description
                let secures = isSecured && !at.isUnix
                // Its file is the other process's until that has given way.
                let bound = try loop.listen(adopting: socket.descriptor, ownsFile: false, sharesPort: sharesPort, isSecured: secures)
                opened.append(Opened(address: bound, wanted: at, isSecured: secures, source: "takeover", inheritsFile: socket.ownsFile))
            }
            for at in wanted {
                address = at.description
                let secures = isSecured && !at.isUnix
                let bound = try loop.listen(on: at, sharesPort: sharesPort, isSecured: secures)
                opened.append(Opened(address: bound, wanted: at, isSecured: secures, source: nil))
            }
            return opened
        } catch {
            log.error("cannot listen", ("address", address), ("reason", error.description))
            return nil
        }
    }

    struct Opened {
        let address: SocketAddress
        /// As it was asked for.
        let wanted: SocketAddress
        let isSecured: Bool
        /// Where it comes from; nil for one that was bound here.
        let source: String?
        /// Whether a unix socket's file comes with it, once the process before has given way.
        var inheritsFile = false

        func tell(_ log: Log) {
            let scheme: StaticString = isSecured ? "https" : "http"
            guard let source else { return log.info("listening", ("address", address.description), ("scheme", scheme)) }
            log.info("listening", ("address", address.description), ("scheme", scheme), ("from", source))
        }
    }
}
