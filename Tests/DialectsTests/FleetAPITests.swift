// FleetAPITests: the connected workers, with and without a word of their own.
import Base
import Domain
import Testing

@testable import Dialects

struct FleetAPITests {
    @Test("a worker that told nothing has no figures; one that did has its own words, byte for byte")
    func answers() throws {
        let silent = FleetMember(
            id: WorkerID(number: 2, suffix: 1), group: SharedBytes("default"), concurrency: 1, busy: 0, isDraining: true,
            connectedAt: FleetExamples.noon())
        let telling = FleetMember(
            id: FleetExamples.worker, group: SharedBytes("images"), models: [SharedBytes("sd"), SharedBytes("m")], concurrency: 4, busy: 3,
            isDraining: false, connectedAt: FleetExamples.noon(-60),
            status: FleetExamples.status(
                gpus: [FleetExamples.gpu], memory: SharedBytes(#"{"free": 1.0}"#), load: SharedBytes("[0.5]")))
        #expect(
            try text { FleetAPI.write([telling, silent], to: &$0) }
                == #"{"workers":[{"worker_id":"W1-1234abcd","group":"images","models":["sd","m"],"concurrency":4,"busy":3,"#
                + #""draining":false,"connected_at":"2025-01-01T11:59:00.000Z","gpus":[{"id":0,"name":"NVIDIA RTX 4090","#
                + #""usage_percent":23.4,"memory_usage_percent":15.6,"temperature":45,"status":"normal"}],"memory":{"free": 1.0},"#
                + #""load":[0.5],"reported_at":"2025-01-01T12:00:00.000Z"},"#
                + #"{"worker_id":"W2-00000001","group":"default","models":[],"concurrency":1,"busy":0,"draining":true,"#
                + #""connected_at":"2025-01-01T12:00:00.000Z","gpus":[],"memory":null,"load":null,"reported_at":null}],"#
                + #""total_workers":2,"total_gpus":1}"#)
        #expect(try text { FleetAPI.write([], to: &$0) } == #"{"workers":[],"total_workers":0,"total_gpus":0}"#)
    }
}
