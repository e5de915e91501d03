// Document G played: one socket that watches one task, from its greeting to the task's end, and every way of coming late or in vain.
import Base
import Dialects
import Domain
import TestSupport
import Testing

@testable import Gateway

@Suite("The document of one socket per task")
struct TaskWatchTranscripts {
    private static let work = """
        w upgrades /ws
        w < {"type":"connected","workerId":"$worker","message":"Connected to Task Dispatcher"}
        w > {"type":"ready"}
        a > POST /api/gpu/tasks {"data":{"n":1},"provider":"runpod","type":"training","priority":"high"}
        a < 200 {"task_id":"$task","status":"running","progress":20,"created_at":"2023-11-14T22:13:20.000Z",\
        "started_at":"2023-11-14T22:13:20.000Z","provider":"runpod","priority":"high","seq":1}
        w < {"type":"task","taskId":"$task","payload":{"model":"default","data":{"n":1}}}

        """

    private static let greeting = """
        g upgrades /api/gpu/tasks/$task/ws
        g < {"type":"connection_established","connection_id":"conn_1_1700000000","task_id":"$task",\
        "timestamp":"2023-11-14T22:13:20.000Z","message":"WebSocket connection established"}
        g < {"type":"current_status","task_id":"$task","status":"running","message":"Current task status: running","progress":20,\
        "created_at":"2023-11-14T22:13:20.000Z","started_at":"2023-11-14T22:13:20.000Z","provider":"runpod","priority":"high",\
        "timestamp":"2023-11-14T22:13:20.000Z","seq":1}

        """

    @Test("a watcher is greeted, told all that happens, and told the end", arguments: Chunking.all)
    func whole(_ chunking: Chunking) {
        Stage.play(chunking, Self.work + Self.greeting + """
            w > {"type":"task_progress","taskId":"$task","progress":50,"message":"half","step":"train","step_info":{"batch": 3.0}}
            g < {"type":"task_progress","task_id":"$task","progress":60,"message":"half",\
            "timestamp":"2023-11-14T22:13:20.000Z","seq":2,"step_info":{"step":"train","worker_progress":50,"batch": 3.0}}
            w > {"type":"task_logs","taskId":"$task","logs":"loaded"}
            g < {"type":"task_logs","task_id":"$task","logs":"loaded","level":"INFO","source":"worker",\
            "timestamp":"2023-11-14T22:13:20.000Z","seq":3}
            g > {"type":"ping"}
            g < {"type":"pong","timestamp":"2023-11-14T22:13:20.000Z"}
            g > {"type":"get_status"}
            g < {"type":"status_response","task_id":"$task","status":"running","timestamp":"2023-11-14T22:13:20.000Z","seq":3}
            g > {"type":"dance"}
            g < {"type":"error","message":"Error processing message: Unknown message type: dance","timestamp":"2023-11-14T22:13:20.000Z"}
            g > {
            g < {"type":"error","message":"Error processing message: Invalid JSON format","timestamp":"2023-11-14T22:13:20.000Z"}
            w > {"type":"task_complete","taskId":"$task","result":{"exit_code": 0},"duration":900500,\
            "cost_info":{"total_cost":2.45,"currency":"USD"}}
            w < {"type":"task_ack","taskId":"$task"}
            g < {"type":"task_completed","task_id":"$task","success":true,"timestamp":"2023-11-14T22:13:20.000Z","seq":4,\
            "execution_time":900.5,"cost_info":{"total_cost":2.45,"currency":"USD"},"result_data":{"exit_code": 0}}
            g sends close 1000
            g < close 1000
            """)
    }

    @Test("who comes when all is over is told the end at once; who has the beginning is told the rest", arguments: Chunking.all)
    func late(_ chunking: Chunking) {
        Stage.play(chunking, Self.work + """
            w > {"type":"task_error","taskId":"$task","error":"no memory","error_code":"CUDA_OUT_OF_MEMORY","error_details":{"gb":16}}
            w < {"type":"task_ack","taskId":"$task"}
            g upgrades /api/gpu/tasks/$task/ws
            g < {"type":"connection_established","connection_id":"$c1","task_id":"$task","timestamp":"$t",\
            "message":"WebSocket connection established"}
            g < {"type":"current_status","task_id":"$task","status":"failed","message":"Current task status: failed","progress":30,\
            "created_at":"$t","started_at":"$t","provider":"runpod","priority":"high","timestamp":"$t","seq":2}
            g < {"type":"task_error","task_id":"$task","error_message":"no memory","error_code":"CUDA_OUT_OF_MEMORY",\
            "timestamp":"2023-11-14T22:13:20.000Z","seq":2,"error_details":{"gb":16}}
            g < {"type":"task_completed","task_id":"$task","success":false,"timestamp":"2023-11-14T22:13:20.000Z","seq":2,\
            "execution_time":0}
            h upgrades /api/gpu/tasks/$task/ws?last_seq=1
            h < {"type":"connection_established","connection_id":"$c2","task_id":"$task","timestamp":"$t",\
            "message":"WebSocket connection established"}
            h < {"type":"current_status","task_id":"$task","status":"failed","message":"Current task status: failed","progress":30,\
            "created_at":"$t","started_at":"$t","provider":"runpod","priority":"high","timestamp":"$t","seq":2}
            h < {"type":"task_error","task_id":"$task","error_message":"no memory","error_code":"CUDA_OUT_OF_MEMORY",\
            "timestamp":"2023-11-14T22:13:20.000Z","seq":2,"error_details":{"gb":16}}
            h < {"type":"task_completed","task_id":"$task","success":false,"timestamp":"2023-11-14T22:13:20.000Z","seq":2,\
            "execution_time":0}
            h < nothing
            i upgrades /api/gpu/tasks/$task/ws?last_seq=2
            i < {"type":"connection_established","connection_id":"$c3","task_id":"$task","timestamp":"$t",\
            "message":"WebSocket connection established"}
            i < {"type":"current_status","task_id":"$task","status":"failed","message":"Current task status: failed","progress":30,\
            "created_at":"$t","started_at":"$t","provider":"runpod","priority":"high","timestamp":"$t","seq":2}
            i < {"type":"task_error","task_id":"$task","error_message":"no memory","error_code":"CUDA_OUT_OF_MEMORY",\
            "timestamp":"2023-11-14T22:13:20.000Z","seq":2,"error_details":{"gb":16}}
            i < {"type":"task_completed","task_id":"$task","success":false,"timestamp":"2023-11-14T22:13:20.000Z","seq":2,\
            "execution_time":0}
            """)
    }

    @Test("a task that is not there is 4004, in a close frame that a browser can read", arguments: Chunking.all)
    func unknown(_ chunking: Chunking) {
        Stage.play(chunking, """
            g upgrades /api/gpu/tasks/nobody/ws
            g < close 4004 task not found or access denied
            h upgrades /api/gpu/tasks/%01/ws
            h < close 4004 task not found or access denied
            a > GET /api/gpu/tasks/nobody
            a < 404 {"error":"Task not found or expired"}
            a > GET /api/gpu/tasks/nobody/connections
            a < 404 {"error":"Task not found or expired"}
            a > GET /api/gpu/websocket/stats
            a < 200 {"websocket_statistics":{"total_connections":0,"active_tasks":0,"task_connection_counts":{},\
            "timestamp":"2023-11-14T22:13:20.000Z"},"timestamp":"2023-11-14T22:13:20.000Z"}
            """)
    }

    @Test("cancelled: told, and told as the end; who watches is counted", arguments: Chunking.all)
    func cancelled(_ chunking: Chunking) {
        Stage.play(chunking, Self.work + Self.greeting + """
            a > GET /api/gpu/tasks/$task/connections
            a < 200 {"task_id":"$task","connection_count":1,"has_active_connections":true,"connections":[{"task_id":"$task",\
            "user_id":null,"connected_at":"2023-11-14T22:13:20.000Z","last_ping":"2023-11-14T22:13:20.000Z"}],\
            "timestamp":"2023-11-14T22:13:20.000Z"}
            a > GET /api/gpu/websocket/stats
            a < 200 {"websocket_statistics":{"total_connections":1,"active_tasks":1,"task_connection_counts":{"$task":1},\
            "timestamp":"2023-11-14T22:13:20.000Z"},"timestamp":"2023-11-14T22:13:20.000Z"}
            a > POST /api/gpu/tasks/$task/cancel
            a < 200 {"task_id":"$task","status":"cancelled"}
            w < {"type":"cancel","taskId":"$task"}
            g < {"type":"task_cancelled","task_id":"$task","reason":"Task was cancelled by user request",\
            "timestamp":"2023-11-14T22:13:20.000Z","seq":2}
            g < {"type":"task_completed","task_id":"$task","success":false,"timestamp":"2023-11-14T22:13:20.000Z","seq":2}
            g leaves
            a > GET /api/gpu/websocket/stats
            a < 200 {"websocket_statistics":{"total_connections":0,"active_tasks":0,"task_connection_counts":{},\
            "timestamp":"2023-11-14T22:13:20.000Z"},"timestamp":"2023-11-14T22:13:20.000Z"}
            """)
    }

    @Test("the heart beats every thirty seconds, and thirty minutes without a word are the end: 4000")
    func idle() {
        var settings = Settings()
        settings.limits.watcherIdleTimeout = .seconds(60)
        settings.limits.taskTimeoutDefault = .seconds(600)
        Stage.play(.whole, settings, Self.work + Self.greeting + """
            * wait 30s
            g < {"type":"heartbeat","task_id":"$task","timestamp":"2023-11-14T22:13:50.000Z"}
            g < ping
            g sends pong
            * wait 30s
            g < close 4000 no message for too long
            """)
    }

    @Test("two hundred watchers are told once each, and nobody twice")
    func many() {
        let stage = Stage()
        stage.play(Self.work)
        for number in 0..<200 {
            stage.play("""
                g\(number) upgrades /api/gpu/tasks/$task/ws
                g\(number) < {"type":"connection_established","connection_id":"$c\(number)","task_id":"$task","timestamp":"$t",\
                "message":"WebSocket connection established"}
                g\(number) < {"type":"current_status","task_id":"$task","status":"running","message":"Current task status: running",\
                "progress":20,"created_at":"$t","started_at":"$t","provider":"runpod","priority":"high","timestamp":"$t","seq":1}
                """)
        }
        stage.play("""
            w > {"type":"task_logs","taskId":"$task","logs":"l"}
            """)
        for number in 0..<200 {
            stage.play("""
                g\(number) < {"type":"task_logs","task_id":"$task","logs":"l","level":"INFO","source":"worker",\
                "timestamp":"2023-11-14T22:13:20.000Z","seq":2}
                g\(number) < nothing
                """)
        }
        stage.end()
    }
}
