// 连接（可指定分组）
const ws = new WebSocket('ws://localhost:3000/ws?group=gpu-cluster');

ws.onmessage = (event) => {
  const message = JSON.parse(event.data);
  
  if (message.type === 'task') {
    console.log('收到任务:', message.taskId);
    console.log('任务数据:', message.payload);
    
    // 处理任务...
    
    // 返回结果
    ws.send(JSON.stringify({
      type: 'task_complete',
      taskId: message.taskId,
      result: { /* 结果数据 */ },
      duration: 1000
    }));
    
    // 或返回错误
    // ws.send(JSON.stringify({
    //   type: 'task_error',
    //   taskId: message.taskId,
    //   error: '错误信息',
    //   duration: 1000
    // }));
  }
};
