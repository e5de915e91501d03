class TaskNotificationClient {
  constructor(userId, token) {
    this.userId = userId;
    this.token = token;
    this.ws = null;
    this.tasks = {};
    this.eventHandlers = {};
  }

  connect() {
    const wsUrl = `ws://localhost:8000/api/task/ws/task/${this.userId}?token=${this.token}`;
    this.ws = new WebSocket(wsUrl);

    this.ws.onopen = () => {
      console.log('WebSocket 连接已建立');
      this.emit('connected');
    };

    this.ws.onmessage = (event) => {
      const data = JSON.parse(event.data);
      
      switch (data.type) {
        case 'connected':
          this.emit('connected', data);
          break;
          
        case 'active_tasks':
          data.tasks.forEach(task => {
            this.tasks[task.task_id] = task;
          });
          this.emit('active_tasks', data.tasks);
          break;
          
        case 'task_status':
          this.tasks[data.task_id] = data;
          this.emit('task_status', data);
          
          if (data.status === 'completed') {
            this.emit('task_completed', data);
          } else if (data.status === 'failed') {
            this.emit('task_failed', data);
          }
          break;
          
        case 'pong':
          this.emit('pong');
          break;
      }
    };

    this.ws.onerror = (error) => {
      console.error('WebSocket 错误:', error);
      this.emit('error', error);
    };

    this.ws.onclose = () => {
      console.log('WebSocket 连接已关闭');
      this.emit('disconnected');
    };

    // 心跳机制
    this.heartbeatInterval = setInterval(() => {
      if (this.ws?.readyState === WebSocket.OPEN) {
        this.send({ type: 'ping' });
      }
    }, 30000);
  }

  send(data) {
    if (this.ws?.readyState === WebSocket.OPEN) {
      this.ws.send(JSON.stringify(data));
    }
  }

  subscribeTask(taskId) {
    this.send({ type: 'subscribe', task_id: taskId });
  }

  unsubscribeTask(taskId) {
    this.send({ type: 'unsubscribe', task_id: taskId });
  }

  on(event, handler) {
    if (!this.eventHandlers[event]) {
      this.eventHandlers[event] = [];
    }
    this.eventHandlers[event].push(handler);
  }

  emit(event, data) {
    if (this.eventHandlers[event]) {
      this.eventHandlers[event].forEach(handler => handler(data));
    }
  }

  disconnect() {
    if (this.heartbeatInterval) {
      clearInterval(this.heartbeatInterval);
    }
    if (this.ws) {
      this.ws.close();
    }
  }
}

// 使用示例
const client = new TaskNotificationClient(userId, token);

client.on('connected', () => {
  console.log('已连接到服务器');
});

client.on('task_status', (task) => {
  console.log('任务状态更新:', task);
});

client.on('task_completed', (task) => {
  console.log('任务完成:', task.result);
  // 刷新数据或执行其他操作
});

client.on('task_failed', (task) => {
  console.error('任务失败:', task.error);
  // 显示错误提示
});

client.connect();
