// Goal: people are told apart what went wrong.
import Testing

@testable import SocketIO

@Suite struct EngineErrorTests {
    @Test("every error has a sentence of its own")
    func sentences() {
        let sentences = EngineError.allCases.map { "\($0.sentence)" }
        #expect(Set(sentences).count == EngineError.allCases.count)
        #expect(sentences.allSatisfy { $0.count > 10 && $0.first?.isLowercase == true && $0.last != "." })
    }
}
