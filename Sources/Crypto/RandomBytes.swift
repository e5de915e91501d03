// RandomBytes: key material, from libcrypto's generator. Identities and jitter come from Base's Randomness, which tests can seed; nothing
// here can be seeded.
internal import COpenSSL

public enum RandomBytes {
    /// Fills `bytes` with what nobody can guess.
    public static func fill(_ bytes: inout MutableSpan<UInt8>) {
        precondition(bytes.count <= Int(Int32.max), "\(bytes.count) random bytes at once")
        unsafe bytes.withUnsafeMutableBufferPointer { target in
            guard let base = target.baseAddress else { return }
            let result = unsafe RAND_bytes(base, Int32(target.count))
            precondition(result == 1, "libcrypto has no random bytes to give")
        }
    }
}
