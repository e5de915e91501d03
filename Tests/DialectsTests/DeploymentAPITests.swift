// DeploymentAPITests: what a registration and a change may say, what each member becomes, and what the registry answers.
import Base
import Domain
import Testing

@testable import Dialects

struct DeploymentAPITests {
    private func order(_ body: String) throws -> DeploymentOrder {
        try readBody(body) { body, index, scratch throws(RequestProblem) in
            try DeploymentAPI.readOrder(body, index, limits: Limits(), scratch: &scratch)
        }
    }

    private func change(_ body: String, of form: Deployment.Form = FleetExamples.deployment().form) throws -> Deployment.Form {
        try readBody(body) { body, index, scratch throws(RequestProblem) in
            try DeploymentAPI.readChange(of: form, body, index, limits: Limits(), scratch: &scratch)
        }
    }

    // MARK: Registrations

    @Test("a registration needs a model and nothing else")
    func least() throws {
        let order = try order(#"{"model_id":"llama2-7b","host":null,"start":null,"unknown":[1]}"#)
        let model = SharedBytes("llama2-7b")
        #expect(order == DeploymentOrder(form: Deployment.Form(modelID: model, name: model, startTimeout: .seconds(30))))
        #expect(order.starts)
        #expect(order.form.healthPath == SharedBytes("/health"))
    }

    @Test("a registration may say everything")
    func most() throws {
        let order = try order("""
            {"deployment_id":"dep-1\\u00e9","model_id":"m","name":"N","model_source":"hf","host":"[::1]","port":8e3,
            "health_path":"/v1/ok?x=1","cpu_cores":1.5,"memory_limit":"8GB","container_id":"c","start_timeout":0.25,"start":false}
            """)
        #expect(
            order
                == DeploymentOrder(
                    form: Deployment.Form(
                        modelID: SharedBytes("m"), name: SharedBytes("N"), modelSource: SharedBytes("hf"), host: SharedBytes("[::1]"),
                        port: 8_000, healthPath: SharedBytes("/v1/ok?x=1"), cpuCores: 1.5, memoryLimit: SharedBytes("8GB"),
                        containerID: SharedBytes("c"), startTimeout: .milliseconds(250)), id: SharedBytes("dep-1é"), starts: false))
    }

    @Test("a port alone is one of this machine")
    func localhost() throws {
        #expect(try order(#"{"model_id":"m","port":1}"#).form.host == SharedBytes("localhost"))
        #expect(try order(#"{"model_id":"m","port":65535,"host":"gpu-7.example"}"#).form.host == SharedBytes("gpu-7.example"))
    }

    @Test(
        "what is wrong is refused by name", arguments: [
            ("[]", "a JSON object is expected"), ("{}", "model_id required"), (#"{"model_id":null}"#, "model_id required"),
            (#"{"model_id":7}"#, "model_id must be a text"), (#"{"model_id":""}"#, "model_id must be 1 to 200 bytes of printable text"),
            (#"{"model_id":"@201"}"#, "model_id must be at most 200 bytes long"), (#"{"model_id":"m","name":[]}"#, "name must be a text"),
            (#"{"model_id":"m","name":""}"#, "name must be 1 to 200 bytes of printable text"),
            (#"{"model_id":"m","deployment_id":""}"#, "deployment_id must be 1 to 200 bytes of printable text"),
            (#"{"model_id":"m","deployment_id":"a\nb"}"#, "deployment_id must be 1 to 200 bytes of printable text"),
            (#"{"model_id":"a\u0000b"}"#, "model_id must be 1 to 200 bytes of printable text"),
            (#"{"model_id":"m","name":"\u0085"}"#, "name must be 1 to 200 bytes of printable text"),
            (#"{"model_id":"m","model_source":"\u007f"}"#, "model_source must be 1 to 200 bytes of printable text"),
            (#"{"model_id":"m","memory_limit":"8\tGB"}"#, "memory_limit must be 1 to 200 bytes of printable text"),
            (#"{"model_id":"m","container_id":"\r\n"}"#, "container_id must be 1 to 200 bytes of printable text"),
            (#"{"model_id":"m","container_id":""}"#, "container_id must be 1 to 200 bytes of printable text"),
            (#"{"model_id":"m","deployment_id":5}"#, "deployment_id must be a text"),
            (#"{"model_id":"m","model_source":{}}"#, "model_source must be a text"),
            (#"{"model_id":"m","host":""}"#, "host must be the name or the address of a host"),
            (#"{"model_id":"m","host":"a b"}"#, "host must be the name or the address of a host"),
            (#"{"model_id":"m","host":"a\r\nb"}"#, "host must be the name or the address of a host"),
            (#"{"model_id":"m","host":"user@a"}"#, "host must be the name or the address of a host"),
            (#"{"model_id":"m","host":"a/b"}"#, "host must be the name or the address of a host"),
            (#"{"model_id":"m","host":"é"}"#, "host must be the name or the address of a host"),
            (#"{"model_id":"m","host":"@254"}"#, "host must be at most 253 bytes long"),
            (#"{"model_id":"m","port":0}"#, "port must be a whole number from 1 to 65535"),
            (#"{"model_id":"m","port":65536}"#, "port must be a whole number from 1 to 65535"),
            (#"{"model_id":"m","port":80.5}"#, "port must be a whole number from 1 to 65535"),
            (#"{"model_id":"m","port":1e999}"#, "port must be a whole number from 1 to 65535"),
            (#"{"model_id":"m","port":"80"}"#, "port must be a number"),
            (#"{"model_id":"m","health_path":""}"#, "health_path must be a path that begins with / and has no spaces"),
            (#"{"model_id":"m","health_path":"health"}"#, "health_path must be a path that begins with / and has no spaces"),
            (#"{"model_id":"m","health_path":"/a b"}"#, "health_path must be a path that begins with / and has no spaces"),
            (#"{"model_id":"m","health_path":"/a\r\nX: y"}"#, "health_path must be a path that begins with / and has no spaces"),
            (#"{"model_id":"m","health_path":"/é"}"#, "health_path must be a path that begins with / and has no spaces"),
            (#"{"model_id":"m","health_path":"/@1024"}"#, "health_path must be at most 1024 bytes long"),
            (#"{"model_id":"m","cpu_cores":-1}"#, "cpu_cores must be a number from 0 to 1000000"),
            (#"{"model_id":"m","cpu_cores":1e999}"#, "cpu_cores must be a number from 0 to 1000000"),
            (#"{"model_id":"m","cpu_cores":"4"}"#, "cpu_cores must be a number"),
            (#"{"model_id":"m","memory_limit":8}"#, "memory_limit must be a text"),
            (#"{"model_id":"m","container_id":true}"#, "container_id must be a text"),
            (#"{"model_id":"m","start_timeout":0}"#, "start_timeout must be a number of seconds above 0 and up to 86400"),
            (#"{"model_id":"m","start_timeout":86401}"#, "start_timeout must be a number of seconds above 0 and up to 86400"),
            (#"{"model_id":"m","start":1}"#, "start must be true or false"),
        ])
    func refused(_ body: String, _ words: String) {
        #expect(problem { try order(Self.filled(body)) } == "Invalid request: " + words)
    }

    /// `@5` stands for five letters.
    private static func filled(_ text: String) -> String {
        guard let at = text.firstIndex(of: "@"), let count = Int(text[text.index(after: at)...].prefix { $0.isNumber }) else { return text }
        return text.replacing("@\(count)", with: String(repeating: "a", count: count))
    }

    @Test("the least start time is a millisecond, and a zero has no sign")
    func edges() throws {
        #expect(try order(#"{"model_id":"m","start_timeout":1e-9}"#).form.startTimeout == .milliseconds(1))
        #expect(try order(#"{"model_id":"m","start_timeout":86400}"#).form.startTimeout == .seconds(86_400))
        #expect(try order(#"{"model_id":"m","cpu_cores":-0.0}"#).form.cpuCores?.sign == .plus)
    }

    // MARK: Changes

    @Test("a change changes what it names; null is as if it had never been named")
    func changes() throws {
        let form = FleetExamples.deployment().form
        #expect(try change("{}") == form)
        var changed = form
        changed.modelID = SharedBytes("n")
        changed.port = 9
        #expect(try change(#"{"model_id":"n","port":9}"#) == changed)
        let bare = Deployment.Form(modelID: form.modelID, name: form.modelID, startTimeout: .seconds(30))
        #expect(
            try change("""
                {"name":null,"model_source":null,"host":null,"port":null,"health_path":null,"cpu_cores":null,"memory_limit":null,
                "container_id":null,"start_timeout":null}
                """) == bare)
        #expect(try change(#"{"host":null}"#).host == SharedBytes("localhost"))
    }

    @Test("a change is refused by name as well")
    func refusedChanges() {
        #expect(problem { try change(#"{"model_id":null}"#) } == "Invalid request: model_id must be a text")
        #expect(problem { try change(#"{"name":"a\nb"}"#) } == "Invalid request: name must be 1 to 200 bytes of printable text")
        #expect(problem { try change(#"{"model_id":"\u001b"}"#) } == "Invalid request: model_id must be 1 to 200 bytes of printable text")
        #expect(problem { try change(#"{"port":-1}"#) } == "Invalid request: port must be a whole number from 1 to 65535")
        #expect(problem { try change("7") } == "Invalid request: a JSON object is expected")
    }

    // MARK: Answers

    private let model = """
        {"deployment_id":"dep-123","model_id":"llama2-7b","name":"LLaMA2 Chat","status":"running","health_status":"healthy",\
        "uptime_seconds":3570,"port":8000,"host":"localhost","model_source":"huggingface","cpu_cores":4,"memory_limit":"8GB",\
        "created_at":"2025-01-01T11:00:00.000Z","deployed_at":"2025-01-01T11:00:30.000Z","health_path":"/health",\
        "source":"registered","note":"","container_id":"container-abc","start_timeout":30}
        """
    private let declared = """
        {"deployment_id":"worker:images:sd","model_id":"sd","name":"sd","status":"failed","health_status":"unknown",\
        "uptime_seconds":0,"port":null,"host":null,"model_source":null,"cpu_cores":null,"memory_limit":null,\
        "created_at":"2025-01-01T12:00:00.000Z","deployed_at":null,"workers":2,"health_path":"/health","source":"worker",\
        "group":"images","note":"","container_id":null,"start_timeout":30}
        """

    @Test("one deployment, all of them, and one that is gone")
    func answers() throws {
        let noon = FleetExamples.noon()
        #expect(try text { DeploymentAPI.write(FleetExamples.deployment(), at: noon, to: &$0) } == model)
        #expect(
            try text { DeploymentAPI.write([FleetExamples.deployment(), FleetExamples.declared], at: noon, to: &$0) }
                == #"{"deployments":[\#(model),\#(declared)],"total":2}"#)
        #expect(try text { DeploymentAPI.write([], at: noon, to: &$0) } == #"{"deployments":[],"total":0}"#)
        #expect(
            try text { DeploymentAPI.writeRemoved(SharedBytes("a\"b"), to: &$0) } == #"{"deployment_id":"a\"b","removed":true}"#)
    }

    @Test(
        "every refusal has its status and its words", arguments: [
            (DeploymentRefusal.unknown, 404, #"{"error":"Deployment not found"}"#),
            (.exists, 409, #"{"error":"Deployment already exists"}"#), (.tooMany, 503, #"{"error":"Too many deployments"}"#),
            (.notStartable(.running), 409, #"{"error":"Deployment cannot do that while it is running","status":"running"}"#),
            (.declared, 409, #"{"error":"Deployment is declared by its workers"}"#),
        ])
    func refusals(_ refusal: DeploymentRefusal, _ status: Int, _ words: String) throws {
        var answered = 0
        #expect(try text { answered = DeploymentAPI.write(refusal, to: &$0) } == words)
        #expect(answered == status)
    }
}
