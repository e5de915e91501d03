// Goal: every offer of permessage-deflate has the answer that RFC 7692 and the policy give it.
import Base
import Testing

@testable import WebSockets

private let generous = DeflatePolicy(keepsServerContext: true, keepsClientContext: true)

private func answer(_ offer: String, _ policy: DeflatePolicy = generous) -> String? {
    let bytes = Array(offer.utf8)
    guard let parameters = DeflateNegotiation.accept(bytes.span, policy) else { return nil }
    return String(decoding: written { parameters.writeResponse(to: &$0) }, as: UTF8.self)
}

@Test("RFC 7692 §7.1: offers and answers of a server that keeps contexts")
func answers() {
    let table: [(String, String?)] = [
        ("permessage-deflate", "permessage-deflate"),
        ("PerMessage-Deflate", "permessage-deflate"),
        ("permessage-deflate; client_max_window_bits", "permessage-deflate"),
        ("permessage-deflate; client_max_window_bits=10", "permessage-deflate; client_max_window_bits=10"),
        ("permessage-deflate; client_max_window_bits=15", "permessage-deflate"),
        ("permessage-deflate; client_max_window_bits=8", "permessage-deflate; client_max_window_bits=9"),
        ("permessage-deflate; server_max_window_bits=10", "permessage-deflate; server_max_window_bits=10"),
        ("permessage-deflate; server_max_window_bits=15", "permessage-deflate; server_max_window_bits=15"),
        ("permessage-deflate; server_max_window_bits=\"9\"", "permessage-deflate; server_max_window_bits=9"),
        ("permessage-deflate; server_max_window_bits=8", nil),
        ("permessage-deflate; server_no_context_takeover", "permessage-deflate; server_no_context_takeover"),
        (
            "permessage-deflate;client_no_context_takeover;server_no_context_takeover",
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
        ),
        // the first acceptable one wins
        ("permessage-deflate; server_max_window_bits=8, permessage-deflate", "permessage-deflate"),
        ("x-webkit-deflate-frame, permessage-deflate; server_no_context_takeover, permessage-deflate",
            "permessage-deflate; server_no_context_takeover"),
        ("foo; bar=\"a, permessage-deflate\", permessage-deflate", "permessage-deflate"),
        ("permessage-deflate; unknown, permessage-deflate; client_max_window_bits", "permessage-deflate"),
    ]
    for (offer, expected) in table { #expect(answer(offer) == expected, "\(offer)") }
}

@Test("RFC 7692 §7.1: what makes an offer unacceptable")
func unacceptable() {
    let parameters = [
        "unknown", "unknown=1", "server_no_context_takeover=1", "client_no_context_takeover=true", "server_max_window_bits",
        "server_max_window_bits=", "server_max_window_bits=7", "server_max_window_bits=16", "server_max_window_bits=08",
        "server_max_window_bits=1e", "server_max_window_bits=-9", "server_max_window_bits=100", "server_max_window_bits=\"\"",
        "server_max_window_bits=10=10", "client_max_window_bits=", "client_max_window_bits=16", "client_max_window_bits=7",
        "client_max_window_bits=010", "client_max_window_bits=\"10", "", ";", "=1",
        "server_no_context_takeover; server_no_context_takeover", "client_no_context_takeover; client_no_context_takeover",
        "client_max_window_bits; client_max_window_bits=10", "server_max_window_bits=10; server_max_window_bits=10",
    ]
    for parameter in parameters { #expect(answer("permessage-deflate; \(parameter)") == nil, "\(parameter)") }
    for offer in ["", "permessage-deflat", "permessage-deflate2", "permessage-bzip2", "\"permessage-deflate\"", ";permessage-deflate"] {
        #expect(answer(offer) == nil, "\(offer)")
    }
    #expect(answer("permessage-deflate", .off) == nil)
}

@Test("RFC 7692 §7.1: a policy narrows what is agreed, the client's window only where the client can be told")
func policies() {
    #expect(answer("permessage-deflate", DeflatePolicy()) == "permessage-deflate; server_no_context_takeover; client_no_context_takeover")
    var narrow = generous
    narrow.serverWindowBits = 11
    narrow.clientWindowBits = 10
    #expect(answer("permessage-deflate", narrow) == "permessage-deflate; server_max_window_bits=11")
    #expect(
        answer("permessage-deflate; client_max_window_bits; server_max_window_bits=12", narrow)
            == "permessage-deflate; server_max_window_bits=11; client_max_window_bits=10")
    #expect(
        answer("permessage-deflate; client_max_window_bits=9; server_max_window_bits=9", narrow)
            == "permessage-deflate; server_max_window_bits=9; client_max_window_bits=9")
    #expect(DeflateNegotiation.accept(Array("permessage-deflate".utf8).span, narrow)?.clientWindowBits == 15)
}
