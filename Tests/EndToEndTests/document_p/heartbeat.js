// 定期发送心跳
useEffect(() => {
  const interval = setInterval(() => {
    if (ws.readyState === WebSocket.OPEN) {
      ws.send(JSON.stringify({ type: 'ping' }))
    }
  }, 30000)
  
  return () => clearInterval(interval)
}, [])
