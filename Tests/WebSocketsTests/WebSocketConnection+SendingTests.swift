// Goal: what goes out is what a client with raw zlib reads.
import Base
import TestSupport
import Testing

@testable import WebSockets

@Test("RFC 7692 §7.1.1: messages go out compressed, with the context that was agreed", arguments: [false, true])
func sendingCompressed(_ keepsContext: Bool) throws {
    let workspace = WebSocketWorkspace()
    var connection = WebSocketConnection(deflate: agreed(serverContext: keepsContext, serverBits: 14))
    let peer = RawInflate(windowBits: 14)
    let message = sampleText(5000, seed: 4)
    var sizes: [Int] = []
    for _ in 0..<4 {
        let bytes = written { connection.append(.text, message.span, workspace, to: &$0) }
        let frame = try #require(serverFrame(bytes))
        #expect(frame.first == 0xc1)
        if !keepsContext { peer.reset() }
        #expect(peer.message(frame.payload) == message)
        sizes.append(frame.payload.count)
    }
    #expect(keepsContext == (sizes[1] < sizes[0] / 2))
}

@Test("what is short, or was not agreed, goes out as it is")
func sendingPlain() throws {
    let workspace = WebSocketWorkspace()
    var compressing = WebSocketConnection(deflate: agreed())
    var plain = WebSocketConnection()
    let short = sampleText(60, seed: 1)
    let long = sampleText(600, seed: 1)
    #expect(try #require(serverFrame(written { compressing.append(.text, short.span, workspace, to: &$0) })) == (0x81, short))
    #expect(try #require(serverFrame(written { plain.append(.binary, long.span, workspace, to: &$0) })) == (0x82, long))
    let forced = try #require(serverFrame(written { compressing.append(.binary, short.span, compressedFrom: 0, workspace, to: &$0) }))
    #expect(forced.first == 0xc2)
    let empty: [UInt8] = []
    #expect(written { compressing.append(.text, empty.span, compressedFrom: 0, workspace, to: &$0) } == [0xc1, 1, 0])
}

@Test("RFC 7692 §7.2.1: after a frame of the pool the context begins again, and the peer still understands")
func framesOfThePool() throws {
    let workspace = WebSocketWorkspace()
    let parameters = agreed(serverContext: true)
    var connection = WebSocketConnection(deflate: parameters)
    let peer = RawInflate()
    for index in 0..<6 {
        let message = sampleText(4000, seed: UInt64(index % 2))
        var bytes: [UInt8]
        if index % 3 == 1 {
            let block = CompressedFrame.make(.text, message.span, parameters)
            bytes = block.span.indices.map { block.span[$0] }
            connection.resetDeflateContext()
        } else {
            bytes = written { connection.append(.text, message.span, workspace, to: &$0) }
        }
        #expect(peer.message(try #require(serverFrame(bytes)).payload) == message)
    }
}
