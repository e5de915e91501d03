import { useEffect, useRef, useState } from 'react';
import { useAuth } from './auth';

const TaskNotification = () => {
  const { user, token } = useAuth();
  const wsRef = useRef(null);
  const [tasks, setTasks] = useState({});
  const [connectionStatus, setConnectionStatus] = useState('disconnected');

  useEffect(() => {
    if (!user || !token) return;

    // 建立 WebSocket 连接
    const wsUrl = `ws://localhost:8000/api/task/ws/task/${user.id}?token=${token}`;
    wsRef.current = new WebSocket(wsUrl);

    wsRef.current.onopen = () => {
      console.log('WebSocket 连接已建立');
      setConnectionStatus('connected');
    };

    wsRef.current.onmessage = (event) => {
      const data = JSON.parse(event.data);
      
      switch (data.type) {
        case 'connected':
          console.log('连接成功:', data);
          break;
          
        case 'active_tasks':
          console.log('活跃任务:', data.tasks);
          data.tasks.forEach(task => {
            setTasks(prev => ({
              ...prev,
              [task.task_id]: task
            }));
          });
          break;
          
        case 'task_status':
          console.log('任务状态更新:', data);
          setTasks(prev => ({
            ...prev,
            [data.task_id]: data
          }));
          
          // 根据状态处理
          if (data.status === 'completed') {
            console.log('任务完成:', data.result);
            // 执行完成后的操作，如刷新数据
          } else if (data.status === 'failed') {
            console.error('任务失败:', data.error);
            // 显示错误提示
          }
          break;
          
        case 'pong':
          console.log('心跳响应');
          break;
          
        default:
          console.log('未知消息类型:', data);
      }
    };

    wsRef.current.onerror = (error) => {
      console.error('WebSocket 错误:', error);
      setConnectionStatus('error');
    };

    wsRef.current.onclose = () => {
      console.log('WebSocket 连接已关闭');
      setConnectionStatus('disconnected');
      
      // 自动重连（可选）
      setTimeout(() => {
        console.log('尝试重新连接...');
      }, 5000);
    };

    // 心跳机制
    const heartbeat = setInterval(() => {
      if (wsRef.current?.readyState === WebSocket.OPEN) {
        wsRef.current.send(JSON.stringify({ type: 'ping' }));
      }
    }, 30000);

    return () => {
      clearInterval(heartbeat);
      if (wsRef.current) {
        wsRef.current.close();
      }
    };
  }, [user, token]);

  // 订阅特定任务
  const subscribeTask = (taskId) => {
    if (wsRef.current?.readyState === WebSocket.OPEN) {
      wsRef.current.send(JSON.stringify({
        type: 'subscribe',
        task_id: taskId
      }));
    }
  };

  // 取消订阅任务
  const unsubscribeTask = (taskId) => {
    if (wsRef.current?.readyState === WebSocket.OPEN) {
      wsRef.current.send(JSON.stringify({
        type: 'unsubscribe',
        task_id: taskId
      }));
    }
  };

  return (
    <div>
      <h3>任务状态</h3>
      <p>连接状态: {connectionStatus}</p>
      
      {Object.entries(tasks).map(([taskId, task]) => (
        <div key={taskId} style={{ marginBottom: '10px', padding: '10px', border: '1px solid #ccc' }}>
          <h4>任务ID: {taskId}</h4>
          <p>状态: {task.status}</p>
          <p>进度: {task.progress}%</p>
          <p>消息: {task.message}</p>
          {task.step && <p>步骤: {task.step}</p>}
          {task.error && <p style={{ color: 'red' }}>错误: {task.error}</p>}
        </div>
      ))}
    </div>
  );
};

export default TaskNotification;
