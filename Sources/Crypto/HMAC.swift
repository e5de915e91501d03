// HMAC: the keyed digest of RFC 2104 with SHA-256, by libcrypto. Of bytes that are all there; who compares one uses ConstantTime.
internal import COpenSSL

public enum HMAC {
    /// The HMAC-SHA-256 of `bytes` under `key` (RFC 2104 §2).
    ///
    /// - Precondition: the key has at most `Int32.max` bytes; keys come from the operator, never from a peer.
    public static func sha256(_ bytes: Span<UInt8>, key: Span<UInt8>) -> InlineArray<32, UInt8> {
        precondition(key.count <= Int(Int32.max), "a key of \(key.count) bytes")
        var code = InlineArray<32, UInt8>(repeating: 0)
        var output = code.mutableSpan
        unsafe bytes.withUnsafeBufferPointer { message in
            unsafe key.withUnsafeBufferPointer { secret in
                unsafe output.withUnsafeMutableBufferPointer { target in
                    var length: UInt32 = 0
                    let result = unsafe COpenSSL.HMAC(
                        EVP_sha256(), address(secret), Int32(secret.count), address(message), message.count, target.baseAddress, &length)
                    precondition(unsafe result != nil && length == 32, "libcrypto refuses HMAC-SHA-256")
                }
            }
        }
        return code
    }
}

/// The address of bytes for libcrypto, which wants one even for no bytes.
func address(_ source: UnsafeBufferPointer<UInt8>) -> UnsafePointer<UInt8> {
    unsafe source.baseAddress ?? StaticString("").utf8Start
}
