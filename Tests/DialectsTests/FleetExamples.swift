// FleetExamples: what document E's examples tell of, as values of the domain, and its examples as they are sent: without white space.
import Base
import Domain
import JSON
import Testing

@testable import Dialects

enum FleetExamples {
    static func text(_ text: String) -> SharedBytes { SharedBytes(text) }

    /// 2025-01-01T12:00:00.000Z, and so many seconds later.
    static func noon(_ seconds: Int64 = 0) -> WallTime { WallTime(milliseconds: 1_735_732_800_000 + seconds * 1_000) }

    static let gigabyte = 1_073_741_824.0
    static let gpu = GPU(id: 0, name: text("NVIDIA RTX 4090"), usage: 23.4, memoryUsage: 15.6, temperature: 45)

    static func sample(gpus: [GPU]? = [gpu]) -> ResourceSample {
        ResourceSample(
            processor: ResourceSample.Processor(usage: 45.2, cores: 8, frequency: 3_200),
            memory: ResourceSample.Space(total: UInt64(16 * gigabyte), available: UInt64(16 * gigabyte * 0.322)),
            disk: ResourceSample.Space(total: UInt64(500 * gigabyte), available: UInt64(107.5 * gigabyte)), gpus: gpus,
            network: ResourceSample.Network(bytesSent: 1_024_000, bytesReceived: 2_048_000, packetsSent: 1_500, packetsReceived: 2_000))
    }

    static let worker = WorkerID(number: 1, suffix: 0x1234_abcd)

    static func status(gpus: [GPU], memory: SharedBytes? = nil, load: SharedBytes? = nil) -> WorkerStatus {
        WorkerStatus(worker: worker, group: text("images"), gpus: gpus, memory: memory, load: load, reportedAt: noon())
    }

    static func deployment(
        _ status: Deployment.Status = .running, health: Deployment.Health = .healthy, deployedAt: WallTime? = noon(-3_570)
    ) -> Deployment {
        Deployment(
            id: text("dep-123"),
            form: Deployment.Form(
                modelID: text("llama2-7b"), name: text("LLaMA2 Chat"), modelSource: text("huggingface"), host: text("localhost"),
                port: 8_000, cpuCores: 4, memoryLimit: text("8GB"), containerID: text("container-abc"), startTimeout: .seconds(30)),
            status: status, health: health, createdAt: noon(-3_600), deployedAt: deployedAt)
    }

    /// One that workers declare, of which nothing else is known.
    static let declared = Deployment(
        id: text("worker:images:sd"), form: Deployment.Form(modelID: text("sd"), name: text("sd"), startTimeout: .seconds(30)),
        source: .declared(group: text("images"), workers: 2), status: .failed, health: .unknown, createdAt: noon())

    static let activity = Activity(
        id: text("act-456"), kind: .modelDeployment, message: text("Model LLaMA2-7B deployment started"), severity: .info,
        resourceType: text("deployment"), resourceID: text("dep-123"), createdAt: noon(),
        extra: text(#"{"model_id":"llama2-7b","port":8000}"#))

    static func alert(_ kind: Alert.Kind = .memoryThreshold, id: SharedBytes? = nil, resolvedAt: WallTime? = nil) -> Alert {
        Alert(
            id: text("alert_1640995200"), kind: kind, severity: .warning, title: text("High Memory Usage"),
            message: text("Memory usage reached 85.2%"),
            resource: Alert.Resource(type: text("memory"), id: id, value: 85.2, threshold: 80, unit: text("%")), raisedAt: noon(),
            resolvedAt: resolvedAt)
    }

    /// What an event's object is for these data.
    static func event(_ type: String, _ data: String) -> String {
        compact(#"{"event_type":"\#(type)","timestamp":"2025-01-01T12:00:00.000Z","data":\#(data)}"#)
    }

    /// A JSON text without the white space between its values.
    static func compact(_ text: String) -> String {
        var result = ""
        var isQuoted = false
        for character in text {
            if character == "\"" { isQuoted.toggle() }
            if isQuoted || !character.isWhitespace { result.append(character) }
        }
        return result
    }
}

/// What is written, which must be valid JSON.
func text(_ write: (inout ByteWriter) -> Void) throws -> String {
    try written { writer in
        write(&writer)
        return nil
    }
}

/// Reads a body as the gateway does.
func readBody<Value>(_ body: String, _ read: (Span<UInt8>, JSONIndex, inout ByteWriter) throws(RequestProblem) -> Value) throws -> Value {
    let bytes = SharedBytes(body)
    let index = try JSONIndex(of: bytes)
    var scratch = ByteWriter()
    scratch.append("before")
    defer { #expect(scratch.count == 6, "the scratch is left as it was") }
    return try read(bytes.span, index, &scratch)
}
