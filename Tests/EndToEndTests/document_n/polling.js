async function getTaskStatus(taskId) {
  const response = await fetch(`/api/task/task/${taskId}/status`, {
    headers: {
      'Authorization': `Bearer ${token}`
    }
  });
  
  const result = await response.json();
  return result.data;
}

// 轮询示例
async function pollTaskStatus(taskId) {
  const interval = setInterval(async () => {
    const status = await getTaskStatus(taskId);
    
    if (status.status === 'completed') {
      clearInterval(interval);
      console.log('任务完成:', status.result);
    } else if (status.status === 'failed') {
      clearInterval(interval);
      console.error('任务失败:', status.error);
    }
  }, 2000); // 每2秒轮询一次
}
