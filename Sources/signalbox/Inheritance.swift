// Inheritance: what a process gets from the one that it takes over from: its listening sockets at once, the data when that one is done with
// it. Waits where it has to: nothing else is to be done before it serves. Speaks TakeoverWords from the successor's side.
import Base
import Glibc
import Reactor

final class Inheritance {
    /// A listening socket that was passed.
    struct Passed {
        let descriptor: Int32
        let address: SocketAddress
        let wanted: String
        let ownsFile: Bool
    }

    /// How it came to the data.
    enum Outcome {
        /// The other process has closed it, and is closing its connections.
        case handed
        /// The other process has ended.
        case ended
    }

    /// Time for an answer that costs the other process no work.
    private static let answerTimeout = TimeSpan.seconds(10)
    /// Beyond it the other process is taken for stuck: it waits for requests, and for its disk.
    private static let patience = TimeSpan.seconds(600)

    private let peer: PassingSocket
    /// Where the next process will knock.
    let door: PassingSocket
    let listeners: [Passed]
    /// The other process's version, for the log.
    let version: String

    private init(_ peer: PassingSocket, door: PassingSocket, listeners: [Passed], version: String) {
        self.peer = peer
        self.door = door
        self.listeners = listeners
        self.version = version
    }

    /// Asks whoever waits at `path` for what it has.
    ///
    /// - Returns: nil where nobody does.
    /// - Throws: a sentence, where there is somebody from whom nothing is to be had.
    static func claim(at path: String, version: String) throws(Mistake) -> Inheritance? {
        guard !PassingSocket.isOpenToAll(path) else {
            throw Mistake(sentence: "--takeover: anybody may write where \(path) is: take a folder of your own")
        }
        let peer: PassingSocket?
        do throws(Errno) { peer = try PassingSocket.connected(to: path) } catch {
            throw Mistake(sentence: "--takeover: \(path): \(error)")
        }
        guard let peer else { return nil }
        guard peer.isOfOurUser else { throw Mistake(sentence: "--takeover: \(path) is another user's") }
        // One that ended a moment ago is nobody.
        guard peer.send(TakeoverWords.hello(version: version).text) else { return nil }
        guard peer.wait(atMost: Int32(clamping: answerTimeout.milliseconds)) else {
            throw Mistake(sentence: "--takeover: the process at \(path) does not answer")
        }
        switch peer.receive() {
        case .ended: return nil
        case .nothing, .failed: throw Mistake(sentence: "--takeover: the process at \(path) is not understood")
        case .message(let text, let descriptors):
            switch TakeoverWords(text) {
            case .offer(let version, let offered) where descriptors.count == offered.count + 1:
                var listeners: [Passed] = []
                for (descriptor, offered) in zip(descriptors.dropFirst(), offered) {
                    do throws(Errno) {
                        listeners.append(Passed(
                            descriptor: descriptor, address: try EventLoop.addressOfListener(descriptor), wanted: offered.wanted,
                            ownsFile: offered.ownsFile))
                    } catch {
                        throw Mistake(sentence: "--takeover: what was passed for \(offered.wanted) is no listening socket: \(error)")
                    }
                }
                return Inheritance(peer, door: .adopting(descriptors[0]), listeners: listeners, version: version)
            case .refused(let reason): throw Mistake(sentence: "--takeover: the process at \(path) says: \(reason)")
            case .hello, .offer, .go, .yours, nil:
                throw Mistake(sentence: "--takeover: the process at \(path) is not understood: it may be of another version")
            }
        }
    }

    /// Says that everything is ready, and waits for the data.
    ///
    /// - Parameter isInterrupted: asked several times a second, whether to give up.
    func take(isInterrupted: () -> Bool) throws(Mistake) -> Outcome {
        // If it is gone, its end is read next.
        _ = peer.send(TakeoverWords.go.text)
        let end = SystemClock.now() + Inheritance.patience
        while SystemClock.now() < end {
            guard peer.wait(atMost: 100) else {
                if isInterrupted() { throw Mistake(sentence: "--takeover: given up") }
                continue
            }
            switch peer.receive() {
            case .nothing: continue
            case .ended, .failed: return .ended
            case .message(let text, let descriptors):
                descriptors.forEach(PassingSocket.close)
                switch TakeoverWords(text) {
                case .yours: return .handed
                case .refused(let reason): throw Mistake(sentence: "--takeover: the other process serves on: \(reason)")
                case .hello, .offer, .go, nil: continue
                }
            }
        }
        throw Mistake(sentence: "--takeover: the other process does not end")
    }
}
