// Goal: every breach can be said in a close frame.
import Testing

@testable import WebSockets

@Test("§7.4.1, §5.5: every error has a code that may be sent and words that fit a close frame", arguments: FrameError.allCases)
func errorsCanBeSaid(_ error: FrameError) {
    #expect(error.closeCode.mayBeSent)
    #expect(error.reason.utf8CodeUnitCount <= 123)
    #expect(error.reason.utf8CodeUnitCount > 0)
}

@Test("§7.4.1: data that is no text is 1007, too much of it 1009, other breaches 1002")
func errorCodes() {
    #expect(FrameError.invalidUTF8.closeCode == .invalidPayload)
    #expect(FrameError.invalidDeflate.closeCode == .invalidPayload)
    #expect(FrameError.messageTooBig.closeCode == .messageTooBig)
    for error in [FrameError.unmasked, .reservedBits, .reservedOpcode, .longControl, .badCloseCode, .lengthTopBit] {
        #expect(error.closeCode == .protocolError)
    }
}
