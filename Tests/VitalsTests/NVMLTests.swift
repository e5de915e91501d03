// NVMLTests: the stand-in's GPUs as the server sees them, devices that fail, and libraries that are none.
import Base
import Domain
import Testing

@testable import Vitals

@Suite("NVML")
struct NVMLTests {
    private func gpus(_ settings: String?) throws -> [GPU]? {
        let standIn = try StandIn(settings)
        guard let nvml = NVML(standIn.path) else { return nil }
        return nvml.gpus()
    }

    private func starts(_ path: String) -> Bool {
        let nvml = NVML(path)
        return nvml != nil
    }

    private func gpu(_ id: Int, _ name: String, _ usage: Double, _ memoryUsage: Double, _ temperature: Double) -> GPU {
        GPU(id: id, name: SharedBytes(name), usage: usage, memoryUsage: memoryUsage, temperature: temperature)
    }

    @Test("Every figure is in its place")
    func figures() throws {
        #expect(try gpus(nil) == [gpu(0, "Stand-in GPU A", 45, 30, 61), gpu(1, "Stand-in GPU B", 0, 75, 40)])
        let large = "gpu 100 107374182400 150323855360 85 none 0 NVIDIA H200\n"
        #expect(try gpus(large) == [gpu(0, "NVIDIA H200", 100, 107_374_182_400.0 / 150_323_855_360.0 * 100, 85)])
        #expect(try gpus("") == [])
    }

    @Test(
        "One figure that a device does not tell is 0, and the others stay",
        arguments: [
            ("none", "A", 1, 50, 3), ("name", "", 1, 50, 3), ("utilization", "A", 0, 50, 3), ("memory", "A", 1, 0, 3),
            ("temperature", "A", 1, 50, 0),
        ]
            as [(String, String, Double, Double, Double)])
    func untold(figure: String, name: String, usage: Double, memoryUsage: Double, temperature: Double) throws {
        // NVML_ERROR_NOT_SUPPORTED
        #expect(try gpus("gpu 1 2 4 3 \(figure) 3 A\n") == [gpu(0, name, usage, memoryUsage, temperature)])
    }

    @Test(
        "A device that is lost is left out, whichever call says so, and the others keep their numbers",
        arguments: ["handle", "name", "utilization", "memory", "temperature"])
    func lost(call: String) throws {
        let found = try gpus("gpu 1 1 2 3 none 0 A\ngpu 1 1 2 3 \(call) 15 B\ngpu 1 1 2 3 none 0 C\n")
        #expect(found == [gpu(0, "A", 1, 50, 3), gpu(2, "C", 1, 50, 3)])
    }

    @Test("A device that is not ours to ask is left out")
    func forbidden() throws {
        // NVML_ERROR_NO_PERMISSION
        #expect(try gpus("gpu 1 1 2 3 handle 4 A\n") == [])
    }

    @Test("Figures that cannot be stay within their bounds")
    func bounds() throws {
        #expect(try gpus("gpu 4000000000 9 2 3 none 0 A\n") == [gpu(0, "A", 100, 100, 3)])
        #expect(try gpus("gpu 1 0 0 3 none 0 A\n") == [gpu(0, "A", 1, 0, 3)])
    }

    @Test("A name that does not fit or is not UTF-8 does no harm")
    func names() throws {
        let fits = String(repeating: "n", count: 95)
        #expect(try gpus("gpu 1 1 2 3 none 0 \(fits)\n") == [gpu(0, fits, 1, 50, 3)])
        #expect(try gpus("gpu 1 1 2 3 none 0 \(fits)n\n") == [gpu(0, "", 1, 50, 3)])
        let standIn = try StandIn(Array("gpu 1 1 2 3 none 0 a".utf8) + [0xff, UInt8(ascii: "b"), UInt8(ascii: "\n")])
        let nvml = NVML(standIn.path)
        let found = nvml?.gpus()
        #expect(found?.first?.name == SharedBytes("a\u{fffd}b"))
    }

    @Test("No more devices than a list may hold")
    func many() throws {
        let settings = String(repeating: "gpu 1 1 2 3 none 0 A\n", count: 100)
        #expect(try gpus(settings)?.count == NVML.devicesMax)
    }

    @Test("A library that cannot start is none, and is not shut down")
    func start() throws {
        // NVML_ERROR_DRIVER_NOT_LOADED
        let standIn = try StandIn("init 9\n")
        #expect(try standIn.calls() == (0, 0))
        #expect(!starts(standIn.path))
        #expect(try standIn.calls() == (1, 0))
    }

    @Test("The library is shut down once, at the end")
    func end() throws {
        let standIn = try StandIn(nil as String?)
        #expect(try standIn.calls() == (0, 0))
        do {
            let nvml = NVML(standIn.path)
            let counts = [nvml?.gpus()?.count, nvml?.gpus()?.count]
            #expect(counts == [2, 2])
            #expect(try standIn.calls() == (1, 0))
        }
        #expect(try standIn.calls() == (1, 1))
    }

    @Test("Where the devices cannot be counted, the library does not answer any more")
    func count() throws {
        #expect(try gpus("count 999\ngpu 1 1 2 3 none 0 A\n") == nil)
    }

    @Test(
        "What is no such library is none",
        arguments: ["", "libnvidia-ml-that-is-not-there.so.1", "/nowhere/libnvidia-ml.so.1", "/dev/null", "libm.so.6"])
    func absent(path: String) {
        #expect(!starts(path))
    }
}
