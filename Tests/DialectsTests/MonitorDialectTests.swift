// MonitorDialectTests: document E's five examples, byte for byte but for their white space, with what is added to them; and what stands
// there where little is known.
import Base
import Domain
import Testing

@testable import Dialects

struct MonitorDialectTests {
    private typealias Examples = FleetExamples

    private func told(_ event: MonitorEvent) throws -> String {
        try text { MonitorDialect.write(event, at: Examples.noon(), to: &$0) }
    }

    // MARK: Resources

    private func resources(gpu: String, fleet: String) -> String {
        Examples.event(
            "system_resources_update",
            """
            {
                "cpu": {
                  "usage_percent": 45.2,
                  "cores": 8,
                  "frequency": 3200,
                  "status": "normal"
                },
                "memory": {
                  "usage_percent": 67.8,
                  "total_gb": 16.0,
                  "available_gb": 5.2,
                  "status": "normal"
                },
                "disk": {
                  "usage_percent": 78.5,
                  "total_gb": 500.0,
                  "free_gb": 107.5,
                  "status": "high"
                },
                "gpu": \(gpu),
                "network": {
                  "bytes_sent": 1024000,
                  "bytes_recv": 2048000,
                  "packets_sent": 1500,
                  "packets_recv": 2000
                },
                "fleet": \(fleet)
            }
            """)
    }

    private let device = """
        "id": 0,
        "name": "NVIDIA RTX 4090",
        "usage_percent": 23.4,
        "memory_usage_percent": 15.6,
        "temperature": 45,
        "status": "normal"
        """

    // The document calls a disk of 78.5 % "warning", and "high" what lies from 70 to 79.
    @Test("the machine's figures, as in the document; the fleet's GPUs stand behind them")
    func resources() throws {
        #expect(
            try told(.resources(ResourceReport(sample: Examples.sample(), fleet: [])))
                == resources(
                    gpu: #"{"available": true, "device_count": 1, "devices": [{\#(device)}]}"#,
                    fleet: #"{"workers": 0, "device_count": 0, "devices": []}"#))
        let worker = #""worker_id": "W1-1234abcd", "group": "images""#
        #expect(
            try told(.resources(ResourceReport(
                sample: Examples.sample(gpus: nil),
                fleet: [Examples.status(gpus: [Examples.gpu, Examples.gpu]), Examples.status(gpus: [])])))
                == resources(
                    gpu: #"{"available": false, "device_count": 0, "devices": []}"#,
                    fleet: #"{"workers": 2, "device_count": 2, "devices": [{\#(worker), \#(device)}, {\#(worker), \#(device)}]}"#))
    }

    @Test(
        "a GPU is as full as the fuller of its two figures", arguments: [
            (69.94, 0, #""usage_percent":69.9,"memory_usage_percent":0.0,"temperature":45.5,"status":"normal""#),
            (0, 70, #""usage_percent":0.0,"memory_usage_percent":70.0,"temperature":45.5,"status":"high""#),
            (80.04, 12.3456, #""usage_percent":80.0,"memory_usage_percent":12.3,"temperature":45.5,"status":"warning""#),
            (3, 100, #""usage_percent":3.0,"memory_usage_percent":100.0,"temperature":45.5,"status":"critical""#),
        ])
    func levels(_ usage: Double, _ memory: Double, _ expected: String) throws {
        let gpu = GPU(id: 3, name: SharedBytes("\"x\""), usage: usage, memoryUsage: memory, temperature: 45.46)
        let text = try told(.resources(ResourceReport(sample: Examples.sample(gpus: [gpu]), fleet: [])))
        #expect(text.contains(#"{"id":3,"name":"\"x\"",\#(expected)}"#))
    }

    @Test("figures that nobody can have measured are written as JSON all the same")
    func impossible() throws {
        var sample = Examples.sample(
            gpus: [GPU(id: 0, name: .empty, usage: .nan, memoryUsage: -.infinity, temperature: .infinity)])
        sample.processor = ResourceSample.Processor(usage: -0.04, cores: 1, frequency: .nan)
        sample.memory = ResourceSample.Space(total: 0, available: 5)
        sample.network.bytesSent = .max
        let text = try told(.resources(ResourceReport(sample: sample, fleet: [])))
        #expect(text.contains(#""cpu":{"usage_percent":0.0,"cores":1,"frequency":0,"status":"normal"}"#))
        #expect(text.contains(#""memory":{"usage_percent":0.0,"total_gb":0.0,"available_gb":0.0,"status":"normal"}"#))
        #expect(text.contains(#""usage_percent":0.0,"memory_usage_percent":-1000000000000.0,"temperature":1000000,"#))
        #expect(text.contains(#""bytes_sent":9223372036854775807"#))
    }

    // MARK: Models

    @Test("models, as in the document; what is not known is null, and who declares one is counted")
    func models() throws {
        let model = """
            {
              "deployment_id": "dep-123",
              "model_id": "llama2-7b",
              "name": "LLaMA2 Chat",
              "status": "running",
              "health_status": "healthy",
              "uptime_seconds": 3570,
              "port": 8000,
              "host": "localhost",
              "model_source": "huggingface",
              "cpu_cores": 4,
              "memory_limit": "8GB",
              "created_at": "2025-01-01T11:00:00.000Z",
              "deployed_at": "2025-01-01T11:00:30.000Z"
            }
            """
        let declared = """
            {
              "deployment_id": "worker:images:sd",
              "model_id": "sd",
              "name": "sd",
              "status": "failed",
              "health_status": "unknown",
              "uptime_seconds": 0,
              "port": null,
              "host": null,
              "model_source": null,
              "cpu_cores": null,
              "memory_limit": null,
              "created_at": "2025-01-01T12:00:00.000Z",
              "deployed_at": null,
              "workers": 2
            }
            """
        func status(_ total: Int, _ running: Int, _ failed: Int, _ models: String) -> String {
            Examples.event(
                "model_status_update",
                #"{"total_models": \#(total), "running_models": \#(running), "failed_models": \#(failed), "models": [\#(models)]}"#)
        }
        #expect(try told(.models([Examples.deployment()])) == status(1, 1, 0, model))
        #expect(try told(.models([Examples.deployment(), Examples.declared])) == status(2, 1, 1, model + "," + declared))
        #expect(try told(.models([])) == status(0, 0, 0, ""))
    }

    // MARK: What happens

    @Test("an activity, as in the document; what is about nothing says null, and what has nothing more an empty object")
    func activity() throws {
        #expect(
            try told(.activity(Examples.activity))
                == Examples.event(
                    "activity_stream",
                    """
                    {
                        "id": "act-456",
                        "activity_type": "model_deployment",
                        "message": "Model LLaMA2-7B deployment started",
                        "severity": "info",
                        "resource_type": "deployment",
                        "resource_id": "dep-123",
                        "created_at": "2025-01-01T12:00:00.000Z",
                        "extra_data": {
                          "model_id": "llama2-7b",
                          "port": 8000
                        }
                    }
                    """))
        let bare = Activity(
            id: SharedBytes("act-1"), kind: .userOperation, message: SharedBytes("a \"b\""), severity: .critical,
            createdAt: Examples.noon(), owner: SharedBytes("42"))
        #expect(
            try told(.activity(bare))
                == Examples.event(
                    "activity_stream",
                    #"{"id":"act-1","activity_type":"user_operation","message":"a \"b\"","severity":"critical","resource_type":null,"#
                        + #""resource_id":null,"created_at":"2025-01-01T12:00:00.000Z","extra_data":{}}"#))
    }

    private func alert(type: String, id: String = "", actions: String, end: String) -> String {
        Examples.event(
            "system_alerts",
            """
            {
                "alert_id": "alert_1640995200",
                "type": \(type),
                "severity": "warning",
                "title": "High Memory Usage",
                "message": "Memory usage reached 85.2%",
                "resource": {
                  "type": "memory",\(id)
                  "current_value": 85.2,
                  "threshold": 80.0,
                  "unit": "%"
                },
                "actions": \(actions),
                "auto_resolve": true,
                \(end)
            }
            """)
    }

    @Test("an alert, as in the document, under its listed type and beside it the category of the example; then its end")
    func alert() throws {
        let memory = #""memory_threshold", "category": "resource_threshold""#
        let actions = #"["check_processes", "restart_services"]"#
        #expect(try told(.alert(Examples.alert())) == alert(type: memory, actions: actions, end: #""resolved": false"#))
        #expect(
            try told(.alert(Examples.alert(resolvedAt: Examples.noon(60))))
                == alert(type: memory, actions: actions, end: #""resolved": true, "resolved_at": "2025-01-01T12:01:00.000Z""#))
        #expect(
            try told(.alert(Examples.alert(.modelHealthCheckFailed, id: SharedBytes("dep-123"))))
                == alert(
                    type: #""model_health_check_failed", "category": "model_health""#, id: #""id": "dep-123","#,
                    actions: #"["restart_model", "check_logs"]"#, end: #""resolved": false"#))
        #expect(
            try told(.alert(Examples.alert(.diskThreshold))).contains(
                #""type":"disk_threshold","category":"resource_threshold""#))
        #expect(try told(.alert(Examples.alert(.gpuThreshold))).contains(#""actions":["check_gpu_processes"]"#))
    }

    @Test("a deployment's event, as in the document; the details keep their names where they say nothing")
    func deployment() throws {
        let started = DeploymentEvent(
            kind: .started, deployment: Examples.deployment(.deploying), message: SharedBytes("Starting deployment for llama2-7b"),
            estimatedCompletion: Examples.noon(300))
        #expect(
            try told(.deployment(started))
                == Examples.event(
                    "deployment_events",
                    """
                    {
                        "deployment_id": "dep-123",
                        "model_id": "llama2-7b",
                        "event": "deployment_started",
                        "status": "deploying",
                        "message": "Starting deployment for llama2-7b",
                        "details": {
                          "name": "LLaMA2 Chat",
                          "model_source": "huggingface",
                          "port": 8000,
                          "container_id": "container-abc",
                          "estimated_completion": "2025-01-01T12:05:00.000Z"
                        }
                    }
                    """))
        let failed = DeploymentEvent(kind: .failed, deployment: Examples.declared, message: SharedBytes("gone"))
        #expect(
            try told(.deployment(failed))
                == Examples.event(
                    "deployment_events",
                    #"{"deployment_id":"worker:images:sd","model_id":"sd","event":"deployment_failed","status":"failed","message":"gone","#
                        + #""details":{"name":"sd","model_source":null,"port":null,"container_id":null,"estimated_completion":null}}"#))
    }

    @Test("each event's name is its event_type")
    func names() throws {
        let events: [MonitorEvent] = [
            .resources(ResourceReport(sample: Examples.sample(), fleet: [])), .models([]), .activity(Examples.activity),
            .alert(Examples.alert()), .deployment(DeploymentEvent(kind: .stopped, deployment: Examples.declared, message: .empty)),
        ]
        for event in events {
            #expect(try told(event).hasPrefix(#"{"event_type":"\#(MonitorDialect.eventName(of: event))","#))
        }
        #expect(
            events.map { MonitorDialect.eventName(of: $0).description }
                == ["system_resources_update", "model_status_update", "activity_stream", "system_alerts", "deployment_events"])
    }
}
