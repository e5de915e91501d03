// 安装: npm install ws
const WebSocket = require('ws');

const ws = new WebSocket('ws://localhost:3000/ws?group=default');

ws.on('open', () => {
  console.log('已连接');
});

ws.on('message', (data) => {
  const message = JSON.parse(data.toString());
  
  if (message.type === 'connected') {
    console.log('Worker ID:', message.workerId);
    // 发送 ready 表示准备接收任务
    ws.send(JSON.stringify({ type: 'ready' }));
  }
  
  if (message.type === 'task') {
    console.log('收到任务:', message.taskId);
    console.log('任务数据:', message.payload);
    
    // 处理任务...
    processTask(message.payload).then(result => {
      // 返回结果
      ws.send(JSON.stringify({
        type: 'task_complete',
        taskId: message.taskId,
        result: result,
        duration: 1000
      }));
    }).catch(error => {
      // 返回错误
      ws.send(JSON.stringify({
        type: 'task_error',
        taskId: message.taskId,
        error: error.message,
        duration: 1000
      }));
    });
  }
});

async function processTask(payload) {
  // 实现你的任务处理逻辑
  const { data, model, messages } = payload;
  
  // 示例：调用 AI 接口
  // const result = await callAIService(data);
  
  return { success: true, data: '处理结果' };
}
