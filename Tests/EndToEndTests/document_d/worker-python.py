# 安装: pip install websocket-client
import json
import websocket

def on_message(ws, data):
    message = json.loads(data)
    
    if message['type'] == 'connected':
        print(f"Worker ID: {message['workerId']}")
        ws.send(json.dumps({'type': 'ready'}))
    
    elif message['type'] == 'task':
        task_id = message['taskId']
        payload = message['payload']
        print(f"收到任务: {task_id}")
        
        try:
            # 处理任务
            result = process_task(payload)
            
            ws.send(json.dumps({
                'type': 'task_complete',
                'taskId': task_id,
                'result': result,
                'duration': 1000
            }))
        except Exception as e:
            ws.send(json.dumps({
                'type': 'task_error',
                'taskId': task_id,
                'error': str(e),
                'duration': 1000
            }))

def process_task(payload):
    # 实现你的任务处理逻辑
    data = payload.get('data', {})
    return {'success': True, 'data': '处理结果'}

def on_open(ws):
    print("已连接")

ws = websocket.WebSocketApp(
    'ws://localhost:3000/ws?group=default',
    on_open=on_open,
    on_message=on_message
)
ws.run_forever()
