// CanaryCheck: a fault for the fuzzer to find. `make fuzz CODEC=canary` must end with a crash within seconds: if it does not, the
// others prove nothing.

func checkCanary(_ input: FuzzInput) {
    let bytes = input.bytes
    guard bytes.count > 2 else { return }
    // A branch a byte, so that each right byte is new ground to the fuzzer.
    if bytes[0] == UInt8(ascii: "G") {
        if bytes[1] == UInt8(ascii: "A") {
            require(bytes[2] != UInt8(ascii: "S"), "the canary sang")
        }
    }
}
