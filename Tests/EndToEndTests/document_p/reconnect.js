// 前端重连逻辑
const ws = new WebSocket(`${wsUrl}?old_client_id=${oldClientId}`)

ws.onmessage = (event) => {
  const message = JSON.parse(event.data)
  if (message.type === 'reconnected') {
    // 恢复订阅状态
    console.log('已恢复订阅:', message.payload.subscribed)
    // 接收断线期间的消息
  }
}
