// sockets.js: sockets that come back by themselves: the dashboard's own, and a client of Socket.IO (revision 5 over Engine.IO 4, by
// WebSocket) that listens to the fleet. Shows nothing.
import { protocols, socketURL, token } from './house.js'

const LONGEST_PAUSE = 10_000

/** A WebSocket that is opened again when it ends, after pauses that grow. */
class Returning {
  constructor(path, listener) {
    this.path = path
    this.listener = listener
    this.pause = 500
    this.open()
  }

  open() {
    clearTimeout(this.timer)
    const socket = new WebSocket(socketURL(this.path), this.subprotocols())
    this.socket = socket
    socket.onopen = () => this.opened()
    socket.onmessage = (event) => this.received(event.data)
    socket.onclose = (event) => {
      if (this.socket !== socket) return
      this.socket = null
      this.listener.state?.('closed', event)
      // Who is not let in is not let in the next second either.
      if (event.code === 4003) return
      this.timer = setTimeout(() => this.open(), this.pause)
      this.pause = Math.min(this.pause * 2, LONGEST_PAUSE)
    }
  }

  subprotocols() { return protocols() }
  opened() {}

  wentWell() {
    this.pause = 500
    this.listener.state?.('open')
  }

  send(text) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(text)
  }

  /** Begins anew: with another token. */
  reopen() {
    const socket = this.socket
    this.socket = null
    socket?.close()
    this.pause = 500
    this.open()
  }
}

/** The dashboard's feed: `message` gets every object, `state` 'open' or 'closed' and the event. */
export class Feed extends Returning {
  constructor(listener) { super('/api/dashboard/ws', listener) }

  received(text) {
    const message = JSON.parse(text)
    if (message.type === 'picture') this.wentWell()
    this.listener.message(message)
  }

  ask(message) { this.send(JSON.stringify(message)) }
}

/** The fleet's channels by Socket.IO: `event` gets each event's name and data. */
export class FleetSocket extends Returning {
  constructor(listener) { super('/socket.io/?EIO=4&transport=websocket', listener) }

  // Its token goes with CONNECT.
  subprotocols() { return [] }

  received(text) {
    switch (text[0]) {
      case '0':
        this.send(token.value ? `40${JSON.stringify({ token: token.value })}` : '40')
        break
      case '2':
        this.send('3')
        break
      case '4':
        this.packet(text)
        break
      default:
        break
    }
  }

  packet(text) {
    if (text[1] === '0') {
      this.wentWell()
      this.send('42["subscribe_all"]')
    } else if (text[1] === '2') {
      const [name, data] = JSON.parse(text.slice(text.indexOf('[')))
      this.listener.event(name, data)
    }
  }
}
