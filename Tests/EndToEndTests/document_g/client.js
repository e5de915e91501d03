class TaskWebSocketClient {
    constructor(taskId, authToken) {
        this.taskId = taskId;
        this.authToken = authToken;
        this.websocket = null;
    }
    
    connect() {
        const wsUrl = `ws://localhost:8000/api/gpu/tasks/${this.taskId}/ws`;
        this.websocket = new WebSocket(wsUrl, [], {
            headers: {
                'Authorization': `Bearer ${this.authToken}`
            }
        });
        
        this.websocket.onopen = () => {
            console.log(`Connected to task ${this.taskId}`);
        };
        
        this.websocket.onmessage = (event) => {
            const data = JSON.parse(event.data);
            this.handleMessage(data);
        };
        
        this.websocket.onclose = () => {
            console.log('WebSocket connection closed');
        };
        
        this.websocket.onerror = (error) => {
            console.error('WebSocket error:', error);
        };
    }
    
    handleMessage(data) {
        const messageType = data.type;
        
        switch (messageType) {
            case 'task_status_update':
                console.log(`Status: ${data.status}, Progress: ${data.progress}%`);
                break;
                
            case 'task_progress':
                console.log(`Progress: ${data.progress}% - ${data.message}`);
                break;
                
            case 'task_logs':
                console.log(`[${data.level}] ${data.logs}`);
                break;
                
            case 'task_completed':
                console.log(`Task completed: ${data.success ? 'Success' : 'Failed'}`);
                break;
                
            case 'task_error':
                console.error(`Error: ${data.error_message}`);
                break;
        }
    }
    
    sendPing() {
        if (this.websocket && this.websocket.readyState === WebSocket.OPEN) {
            this.websocket.send(JSON.stringify({
                type: 'ping',
                timestamp: new Date().toISOString()
            }));
        }
    }
}

// 使用示例
const client = new TaskWebSocketClient('your-task-id', 'your-auth-token');
client.connect();

// 定期发送心跳
setInterval(() => client.sendPing(), 30000);
