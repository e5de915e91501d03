// MonitorWordsTests: document E's lists of words, as they stand there.
import Base
import Domain
import Testing

@testable import Dialects

struct MonitorWordsTests {
    @Test("the words are the document's, in its order")
    func words() {
        #expect(ResourceLevel.allCases.map { $0.word.description } == ["normal", "high", "warning", "critical"])
        #expect(Deployment.Status.allCases.map { $0.word.description } == ["pending", "deploying", "running", "stopped", "failed"])
        #expect(Deployment.Health.allCases.map { $0.word.description } == ["healthy", "unhealthy", "unknown"])
        #expect(
            Activity.Kind.allCases.map { $0.word.description }
                == ["model_deployment", "model_health_check", "system_resource_threshold", "download_task", "user_operation"])
        #expect(Severity.allCases.map { $0.word.description } == ["info", "warning", "error", "critical"])
        #expect(
            Alert.Kind.allCases.map { $0.word.description }
                == ["memory_threshold", "disk_threshold", "gpu_threshold", "model_health_check_failed"])
        #expect(
            Alert.Action.allCases.map { $0.word.description }
                == [
                    "check_processes", "restart_services", "cleanup_temp_files", "archive_logs", "restart_model", "check_logs",
                    "check_gpu_processes",
                ])
        #expect(
            DeploymentEvent.Kind.allCases.map { $0.word.description }
                == ["deployment_started", "deployment_completed", "deployment_failed", "deployment_stopped", "deployment_restarted"])
        #expect(
            Channel.allCases.map { $0.word.description }
                == ["system_resources", "model_status", "activity_stream", "system_alerts", "deployment_events"])
    }

    @Test("a word is read as what it stands for, and no other is")
    func read() {
        for kind in Activity.Kind.allCases { #expect(Activity.Kind(word: SharedBytes(kind.word.description).span) == kind) }
        for severity in Severity.allCases { #expect(Severity(word: SharedBytes(severity.word.description).span) == severity) }
        for word in ["", "Info", "infos", "info ", "debug"] { #expect(Severity(word: SharedBytes(word).span) == nil) }
    }
}
