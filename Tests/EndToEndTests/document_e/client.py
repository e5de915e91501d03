import socketio

sio = socketio.Client()

@sio.event
def connect():
    print('Connected to server')
    sio.emit('subscribe_system_resources')

@sio.event
def system_resources_update(data):
    print('System Resources:', data['data'])

@sio.event
def system_alerts(data):
    alert = data['data']
    print(f"Alert: {alert['title']} - {alert['message']}")

@sio.event
def subscribed(data):
    print('Subscription confirmed:', data)

# 连接到服务器
sio.connect('http://localhost:5000')
sio.wait()
