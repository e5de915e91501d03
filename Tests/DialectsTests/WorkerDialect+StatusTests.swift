// WorkerDialect+StatusTests: what a worker may tell of its machine, and what is made of figures that cannot be.
import Base
import Domain
import Testing

@testable import Dialects

struct WorkerDialectStatusTests {
    private func vitals(_ members: String, _ limits: Limits = Limits()) throws -> WorkerVitals? {
        guard case .status(let vitals) = try readMessage(#"{"type":"worker_status"\#(members)}"#, limits) else { return nil }
        return vitals
    }

    @Test("document E's device, and the worker's own words as they came")
    func whole() throws {
        #expect(
            try vitals(
                """
                ,"gpus":[{"id":0,"name":"NVIDIA RTX 4090","usage_percent":23.4,"memory_usage_percent":15.6,"temperature":45,
                "status":"normal"}],"memory":{"free": 1.0},"load":"low"
                """)
                == WorkerVitals(gpus: [FleetExamples.gpu], memory: SharedBytes(#"{"free": 1.0}"#), load: SharedBytes("\"low\"")))
    }

    @Test("what was not told is nothing: no figures, no name, its place in the list for its number")
    func bare() throws {
        #expect(try vitals("") == WorkerVitals())
        #expect(try vitals(#","gpus":null,"memory":null,"load":null"#) == WorkerVitals())
        let none = GPU(id: 0, name: .empty, usage: 0, memoryUsage: 0, temperature: 0)
        var second = none
        second.id = 1
        #expect(try vitals(#","gpus":[{},{"name":null,"temperature":null}]"#)?.gpus == [none, second])
    }

    @Test("figures beyond what can be are the nearest that can")
    func clamped() throws {
        #expect(
            try vitals(#","gpus":[{"id":-3.5,"usage_percent":1e999,"memory_usage_percent":-0.5,"temperature":-300}]"#)?.gpus
                == [GPU(id: 0, name: .empty, usage: 100, memoryUsage: 0, temperature: -273)])
        #expect(try vitals(#","gpus":[{"id":1e12,"temperature":1e5}]"#)?.gpus.map(\.id) == [1_000_000_000])
        #expect(try vitals(#","gpus":[{"usage_percent":-0.0}]"#)?.gpus.first?.usage.sign == .plus)
    }

    @Test(
        "what is wrong is refused by name", arguments: [
            (#","gpus":{}"#, "gpus must be an array of objects"), (#","gpus":[1]"#, "gpus must be an array of objects"),
            (#","gpus":[{},{},{}]"#, "gpus must be at most 2 objects"), (#","gpus":[{"id":"0"}]"#, "id must be a number"),
            (#","gpus":[{"usage_percent":"full"}]"#, "usage_percent must be a number"), (#","gpus":[{"name":1}]"#, "name must be a text"),
            (#","memory":"1234567""#, "memory must be at most 8 bytes long"),
            (#","load":[1,2,3,4]"#, "load must be at most 8 bytes long"),
        ])
    func refused(_ members: String, _ words: String) {
        var limits = Limits()
        limits.gpusMax = 2
        limits.workerStatusBytesMax = 8
        #expect(problem { try vitals(members, limits) } == "Invalid request: " + words)
    }

    @Test("as many and as much as may be told is taken")
    func limits() throws {
        var limits = Limits()
        limits.gpusMax = 2
        limits.workerStatusBytesMax = 8
        #expect(try vitals(#","gpus":[{},{}],"memory":"123456","load":12345678"#, limits)?.gpus.count == 2)
    }
}
