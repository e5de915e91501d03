// Goal: sockets that were passed are counted and named as systemd passes them, and what was meant for another process is none of ours.
import Testing

@testable import signalbox

struct SocketActivationTests {
    private func read(_ environment: [String: String]) throws(Mistake) -> SocketActivation {
        try SocketActivation(environment: { environment[$0] }, process: 77)
    }

    @Test("from descriptor 3 on, with their names")
    func passed() throws {
        let two = try read(["LISTEN_PID": "77", "LISTEN_FDS": "2"])
        #expect(two.passed == [.init(descriptor: 3, name: nil), .init(descriptor: 4, name: nil)])
        #expect(
            try read(["LISTEN_PID": "77", "LISTEN_FDS": "3", "LISTEN_FDNAMES": "http::admin"]).passed == [
                .init(descriptor: 3, name: "http"), .init(descriptor: 4, name: nil), .init(descriptor: 5, name: "admin"),
            ])
        #expect(try read(["LISTEN_PID": "77", "LISTEN_FDS": "1", "LISTEN_FDNAMES": "a:b"]).passed == [.init(descriptor: 3, name: nil)])
        #expect(try read(["LISTEN_PID": "77", "LISTEN_FDS": "0"]).passed == [])
    }

    @Test(
        "nothing was passed to us",
        arguments: [[:], ["LISTEN_FDS": "2"], ["LISTEN_PID": "77"], ["LISTEN_PID": "78", "LISTEN_FDS": "2"]] as [[String: String]])
    func none(_ environment: [String: String]) throws {
        #expect(try read(environment).passed == [])
    }

    @Test(
        "what makes no sense is named",
        arguments: [
            ("77", "many", "LISTEN_FDS: 'many' is no whole number from 0 to 253"), ("77", "-1", "LISTEN_FDS: '-1' is no"),
            ("77", "254", "LISTEN_FDS: '254' is no"), ("77", "99999999999999999999", "LISTEN_FDS: "),
            ("me", "1", "LISTEN_PID: 'me' is no process"),
            ("0", "1", "LISTEN_PID: '0' is no process"), ("", "1", "LISTEN_PID: '' is no process"),
        ])
    func mistakes(_ process: String, _ count: String, _ words: String) {
        do throws(Mistake) {
            _ = try read(["LISTEN_PID": process, "LISTEN_FDS": count])
            #expect(Bool(false), "nobody complained")
        } catch {
            #expect(error.sentence.hasPrefix(words), "\(error.sentence)")
        }
    }
}
