import asyncio
import json
import websockets

async def listen_to_task(task_id: str, auth_token: str):
    """监听指定任务的状态更新"""
    
    uri = f"ws://localhost:8000/api/gpu/tasks/{task_id}/ws"
    headers = {"Authorization": f"Bearer {auth_token}"}
    
    async with websockets.connect(uri, extra_headers=headers) as websocket:
        print(f"Connected to task {task_id}")
        
        # 监听消息
        async for message in websocket:
            data = json.loads(message)
            message_type = data.get("type")
            
            if message_type == "task_status_update":
                status = data.get("status")
                progress = data.get("progress")
                print(f"Status: {status}, Progress: {progress}%")
                
            elif message_type == "task_completed":
                success = data.get("success")
                print(f"Task completed: {'Success' if success else 'Failed'}")
                break
                
            elif message_type == "task_logs":
                logs = data.get("logs") 
                level = data.get("level")
                print(f"[{level}] {logs}")

# 使用示例
task_id = "your-task-id"
auth_token = "your-auth-token" 
asyncio.run(listen_to_task(task_id, auth_token))
