// Peer: SwiftNIO's NIOWebSocket in the part of an echo server or of a fan-out, on one event loop. Written as its documentation
// advises: frames are unmasked in place, what one read brought is flushed once. Not a server to use: no pings, no limits.

import Glibc
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOWebSocket

@main
enum Peer {
    static func main() throws {
        let arguments = CommandLine.arguments
        guard arguments.count == 3, arguments[1] == "ws" || arguments[1] == "fan", let port = Int(arguments[2]) else {
            print("usage: nio-peer ws|fan PORT    (0: a free one, which is printed)")
            return
        }
        let fansOut = arguments[1] == "fan"
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let server = try ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 4096)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try prepare(channel, fansOut: fansOut) }
            }
            .bind(host: "127.0.0.1", port: port).wait()
        print("listening 127.0.0.1:\(server.localAddress?.port ?? 0)")
        fflush(nil)
        try server.closeFuture.wait()
    }

    private static func prepare(_ channel: any Channel, fansOut: Bool) throws {
        let upgrader = NIOWebSocketServerUpgrader(
            maxFrameSize: 1 << 24,
            shouldUpgrade: { channel, _ in channel.eventLoop.makeSucceededFuture([:]) },
            upgradePipelineHandler: { channel, head in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    guard fansOut else { return try pipeline.addHandler(Echo()) }
                    if head.uri == "/publish" { return try pipeline.addHandler(Publisher()) }
                    Audience.of(channel.eventLoop).enter(channel)
                }
            })
        let upgrade: NIOHTTPServerUpgradeConfiguration = (upgraders: [upgrader], completionHandler: { _ in })
        try channel.pipeline.syncOperations.configureHTTPServerPipeline(withServerUpgrade: upgrade)
    }
}

/// Sends back what comes.
private final class Echo: ChannelInboundHandler {
    typealias InboundIn = WebSocketFrame
    typealias OutboundOut = WebSocketFrame

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let frame = unwrapInboundIn(data)
        switch frame.opcode {
        case .text, .binary, .continuation:
            let answer = WebSocketFrame(fin: frame.fin, opcode: frame.opcode, data: frame.unmaskedData)
            context.write(wrapOutboundOut(answer), promise: nil)
        case .connectionClose:
            context.close(promise: nil)
        default: break
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) { context.flush() }
}

/// Passes on what it hears to everybody.
private final class Publisher: ChannelInboundHandler {
    typealias InboundIn = WebSocketFrame

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let frame = unwrapInboundIn(data)
        guard frame.opcode == .text || frame.opcode == .binary else { return }
        let publication = WebSocketFrame(fin: true, opcode: frame.opcode, data: frame.unmaskedData)
        Audience.of(context.eventLoop).write(publication)
    }

    func channelReadComplete(context: ChannelHandlerContext) { Audience.of(context.eventLoop).flush() }
}

/// Who hears. There is one event loop, and only it comes here.
private final class Audience {
    nonisolated(unsafe) private static let one = Audience()
    private var channels: [ObjectIdentifier: any Channel] = [:]

    static func of(_ loop: any EventLoop) -> Audience {
        loop.preconditionInEventLoop()
        return one
    }

    func enter(_ channel: any Channel) {
        let name = ObjectIdentifier(channel)
        channels[name] = channel
        channel.closeFuture.assumeIsolated().whenComplete { _ in self.channels[name] = nil }
    }

    func write(_ frame: WebSocketFrame) {
        for channel in channels.values { channel.pipeline.syncOperations.write(NIOAny(frame), promise: nil) }
    }

    func flush() {
        for channel in channels.values { channel.flush() }
    }
}
