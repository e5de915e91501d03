// peer.js: Node's `ws` in the part of an echo server or of a fan-out, as its documentation has both. The optional native helpers of
// `ws` are used where Node finds them.
'use strict'

const http = require('http')
const { WebSocketServer, WebSocket } = require('ws')

const [part, port, compression] = process.argv.slice(2)
if (!['ws', 'fan'].includes(part)) {
  console.error('usage: node peer.js ws|fan PORT [deflate]    (0: a free one, which is printed)')
  process.exit(2)
}
const deflate = compression === 'deflate' ? { serverNoContextTakeover: true, clientNoContextTakeover: true, threshold: 0 } : false
const server = http.createServer()
const sockets = new WebSocketServer({ server, perMessageDeflate: deflate, clientTracking: part === 'fan' })

sockets.on('connection', (socket, request) => {
  socket.on('error', () => {})
  if (part === 'ws') {
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }))
  } else if (request.url === '/publish') {
    socket.on('message', (data, isBinary) => {
      for (const client of sockets.clients) {
        if (client !== socket && client.readyState === WebSocket.OPEN) client.send(data, { binary: isBinary })
      }
    })
  }
})
server.listen({ host: '127.0.0.1', port: Number(port), backlog: 4096 }, () => console.log(`listening 127.0.0.1:${server.address().port}`))
process.on('SIGTERM', () => process.exit(0))
