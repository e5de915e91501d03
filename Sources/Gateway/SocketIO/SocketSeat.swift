// SocketSeat: a WebSocket's place in Engine.IO: what its handshake asked for, and the session that it carries, or may carry, once it is
// open.

final class SocketSeat {
    let entry: SocketEntry
    var client: SocketClient?

    init(_ entry: SocketEntry) { self.entry = entry }
}
