// ConstantTime: equality of secrets whose duration does not tell where they differ, by libcrypto. Lengths are no secret.
internal import COpenSSL

public enum ConstantTime {
    /// Whether two secrets are the same; takes as long for a near miss as for a hit.
    ///
    /// Different lengths answer at once: keep keys and signatures at a fixed length, or compare their digests.
    public static func equal(_ left: Span<UInt8>, _ right: Span<UInt8>) -> Bool {
        guard left.count == right.count else { return false }
        guard left.count > 0 else { return true }
        return unsafe left.withUnsafeBufferPointer { first in
            unsafe right.withUnsafeBufferPointer { second in
                unsafe CRYPTO_memcmp(first.baseAddress, second.baseAddress, first.count) == 0
            }
        }
    }
}
