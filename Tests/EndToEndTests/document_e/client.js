const io = require('socket.io-client');
const socket = io('http://localhost:5000');

// 连接事件
socket.on('connect', () => {
    console.log('Connected to server');
    
    // 订阅系统资源
    socket.emit('subscribe_system_resources');
});

// 监听系统资源更新
socket.on('system_resources_update', (data) => {
    console.log('System Resources:', data.data);
});

// 监听系统告警
socket.on('system_alerts', (data) => {
    console.log('Alert:', data.data.title, data.data.message);
});

// 订阅确认
socket.on('subscribed', (data) => {
    console.log('Subscription confirmed:', data);
});

// 断开连接
socket.on('disconnect', () => {
    console.log('Disconnected from server');
});
