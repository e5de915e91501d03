// Entry: what libFuzzer calls with every input. Which check it is for says the variable CODEC, so that one program is all fuzzers; the
// checks themselves are FuzzChecks, and `make fuzz` builds and runs it.
import FuzzChecks
import Glibc

private let codec: Codec = {
    guard let word = unsafe getenv("CODEC"), let codec = unsafe Codec(rawValue: String(cString: word)) else {
        fatalError("CODEC is one of \(Codec.allCases.map(\.rawValue).joined(separator: ", "))")
    }
    return codec
}()

@c public func LLVMFuzzerTestOneInput(_ data: UnsafePointer<UInt8>, _ count: Int) -> Int32 {
    codec.check(unsafe Array(UnsafeBufferPointer(start: data, count: count)))
    return 0
}
