// 启用详细日志
const ws = new WebSocket(url)
ws.onopen = () => console.log('WebSocket已连接')
ws.onmessage = (e) => console.log('收到消息:', e.data)
ws.onerror = (e) => console.error('WebSocket错误:', e)
ws.onclose = (e) => console.log('WebSocket已关闭:', e.code, e.reason)
