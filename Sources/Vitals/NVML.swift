// NVML: NVIDIA's management library, opened at run time: a machine without GPUs does not have it, and the server is built without it. Knows
// the eight functions that it calls, by NVIDIA's NVML API reference; not when to try again, which is GPUSource's.
import Base
import Domain
import Glibc

/// The library, loaded and at work until this value ends.
// @safe: the functions are a library's that stays loaded as long as this value; each is called with the arguments of NVML's header.
@safe
struct NVML: ~Copyable {
    /// As many as document E's GPU lists may hold.
    static let devicesMax = 64

    private typealias Command = @convention(c) () -> Int32
    private typealias Count = @convention(c) (UnsafeMutablePointer<UInt32>) -> Int32
    private typealias Handle = @convention(c) (UInt32, UnsafeMutablePointer<OpaquePointer?>) -> Int32
    private typealias Name = @convention(c) (OpaquePointer, UnsafeMutablePointer<CChar>, UInt32) -> Int32
    private typealias Figures = @convention(c) (OpaquePointer, UnsafeMutableRawPointer) -> Int32
    private typealias Temperature = @convention(c) (OpaquePointer, UInt32, UnsafeMutablePointer<UInt32>) -> Int32

    /// nvmlReturn_t, as far as it matters here.
    private enum Code {
        static let success: Int32 = 0
        static let isLost: Int32 = 15
    }

    /// NVML_TEMPERATURE_GPU, the only sensor that there is.
    private static let sensor: UInt32 = 0
    /// NVML_DEVICE_NAME_V2_BUFFER_SIZE.
    private static let nameBytesMax = 96

    private let library: UnsafeMutableRawPointer
    private let shutdown: Command
    private let count: Count
    private let handle: Handle
    private let name: Name
    private let utilization: Figures
    private let memory: Figures
    private let temperature: Temperature

    /// Loads the library and starts it; nil where there is none, where it lacks a function, and where it finds no driver.
    init?(_ path: String) {
        // An empty path would be the program itself.
        guard !path.isEmpty, let library = unsafe dlopen(path, RTLD_NOW | RTLD_LOCAL) else { return nil }
        guard let start: Command = unsafe NVML.function("nvmlInit_v2", of: library),
            let shutdown: Command = unsafe NVML.function("nvmlShutdown", of: library),
            let count: Count = unsafe NVML.function("nvmlDeviceGetCount_v2", of: library),
            let handle: Handle = unsafe NVML.function("nvmlDeviceGetHandleByIndex_v2", of: library),
            let name: Name = unsafe NVML.function("nvmlDeviceGetName", of: library),
            let utilization: Figures = unsafe NVML.function("nvmlDeviceGetUtilizationRates", of: library),
            let memory: Figures = unsafe NVML.function("nvmlDeviceGetMemoryInfo", of: library),
            let temperature: Temperature = unsafe NVML.function("nvmlDeviceGetTemperature", of: library),
            start() == Code.success
        else {
            unsafe dlclose(library)
            return nil
        }
        unsafe self.library = library
        self.shutdown = shutdown
        unsafe self.count = count
        unsafe self.handle = handle
        unsafe self.name = name
        unsafe self.utilization = utilization
        unsafe self.memory = memory
        unsafe self.temperature = temperature
    }

    deinit {
        _ = shutdown()
        unsafe dlclose(library)
    }

    /// The function of that name, as the C function that `Function` says it is.
    private static func function<Function>(_ name: String, of library: UnsafeMutableRawPointer) -> Function? {
        unsafe dlsym(library, name).map { unsafe unsafeBitCast($0, to: Function.self) }
    }

    /// The GPUs, by their numbers; nil where the library does not answer any more. One that is lost or not ours to ask is left out.
    func gpus() -> [GPU]? {
        var found: UInt32 = 0
        guard unsafe count(&found) == Code.success else { return nil }
        var gpus: [GPU] = []
        for index in 0..<min(Int(found), NVML.devicesMax) {
            if let gpu = gpu(index) { gpus.append(gpu) }
        }
        return gpus
    }

    /// One GPU. A figure that it does not tell is 0: not every model has each, and one that is divided into instances tells no usage.
    private func gpu(_ index: Int) -> GPU? {
        var found: OpaquePointer?
        guard unsafe handle(UInt32(index), &found) == Code.success, let device = unsafe found else { return nil }

        var name = [CChar](repeating: 0, count: NVML.nameBytesMax)
        let named = unsafe self.name(device, &name, UInt32(NVML.nameBytesMax))
        // nvmlUtilization_t: the second is how busy the memory's wires are, not how full it is.
        var rates: (gpu: UInt32, memory: UInt32) = (0, 0)
        let rated = unsafe utilization(device, &rates)
        // nvmlMemory_t.
        var bytes: (total: UInt64, free: UInt64, used: UInt64) = (0, 0, 0)
        let measured = unsafe memory(device, &bytes)
        var degrees: UInt32 = 0
        let felt = unsafe temperature(device, NVML.sensor, &degrees)
        if [named, rated, measured, felt].contains(Code.isLost) { return nil }

        let text = named == Code.success ? name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) } : []
        let space = ResourceSample.Space(total: bytes.total, available: bytes.total - min(bytes.used, bytes.total))
        return GPU(
            id: index,
            // What is not UTF-8 is replaced: the name goes into JSON.
            name: SharedBytes(String(decoding: text, as: UTF8.self)),
            usage: rated == Code.success ? Double(min(rates.gpu, 100)) : 0,
            memoryUsage: measured == Code.success ? space.usage : 0,
            temperature: felt == Code.success ? Double(degrees) : 0)
    }
}
