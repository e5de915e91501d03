// A watcher of the fleet on the official client; its options and what it emits once it is connected are JSON in the arguments.
// Says one JSON array a line: what happened, and with what.
const { io } = require('socket.io-client')

const [url, options, ...emits] = process.argv.slice(2)
const say = (...values) => console.log(JSON.stringify(values))
const socket = io(url, { reconnectionDelay: 20, reconnectionDelayMax: 50, randomizationFactor: 0, ...JSON.parse(options) })

socket.io.on('open', () => socket.io.engine.once('upgrade', (transport) => say('upgrade', transport.name)))
socket.on('connect', () => {
  say('connect', socket.id, socket.recovered, socket.io.engine.transport.name)
  if (!socket.recovered) for (const event of emits) socket.emit(...JSON.parse(event))
})
socket.on('connect_error', (error) => say('connect_error', error.message, error.data ?? null))
socket.on('disconnect', (reason) => say('disconnect', reason))
socket.onAny((...event) => say(...event))
