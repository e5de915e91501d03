// Digest: SHA-1 and SHA-256 (FIPS 180-4) of bytes that are all there, by libcrypto. No streaming, no keys: HMAC is another noun.
// SHA-1 is here for one reader only, the WebSocket accept key (RFC 6455 §4.2.2), where it is a handshake and no protection.
internal import COpenSSL

/// The one-shot digests of the server.
public enum Digest {
    /// The SHA-1 of `bytes`: for the WebSocket accept key and nothing else.
    public static func sha1(_ bytes: Span<UInt8>) -> InlineArray<20, UInt8> {
        var digest = InlineArray<20, UInt8>(repeating: 0)
        var output = digest.mutableSpan
        unsafe bytes.withUnsafeBufferPointer { source in
            unsafe output.withUnsafeMutableBufferPointer { target in
                let result = unsafe SHA1(address(source), source.count, target.baseAddress)
                precondition(unsafe result != nil, "libcrypto refuses SHA-1")
            }
        }
        return digest
    }

    /// The SHA-256 of `bytes`.
    public static func sha256(_ bytes: Span<UInt8>) -> InlineArray<32, UInt8> {
        var digest = InlineArray<32, UInt8>(repeating: 0)
        var output = digest.mutableSpan
        unsafe bytes.withUnsafeBufferPointer { source in
            unsafe output.withUnsafeMutableBufferPointer { target in
                let result = unsafe SHA256(address(source), source.count, target.baseAddress)
                precondition(unsafe result != nil, "libcrypto refuses SHA-256")
            }
        }
        return digest
    }

    /// An empty span may have no address; libcrypto wants one even for no bytes.
    private static func address(_ source: UnsafeBufferPointer<UInt8>) -> UnsafePointer<UInt8> {
        unsafe source.baseAddress ?? StaticString("").utf8Start
    }
}
