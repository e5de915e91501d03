// sockets.js: what the pages have open: the dashboard's feed, the fleet's channels by Socket.IO (revision 5 over Engine.IO 4, by WebSocket),
// and sockets on which a person speaks. How a socket comes back is the client module's business, which everybody may use. Shows nothing.
import { Connection } from '/clients/javascript/signalbox.js'
import { token } from './house.js'

const NOT_LET_IN = 4003

/** A socket of this server's, with the tab's token. */
class PageConnection extends Connection {
  constructor(path, options = {}) {
    super(null, { reconnectDelay: [500, 10_000], ...options })
    this.path = path
  }

  _address() { return new URL(this.path, location.origin).href.replace(/^http/, 'ws') }

  /** The token as it goes with the handshake. */
  _handshakeToken() { return token.value }

  open() {
    this.token = this._handshakeToken()
    try {
      this.connect()
    } catch (fault) {
      // What cannot be sent as a token lets nobody in.
      this.emit('disconnected', { code: NOT_LET_IN, reason: '', fault, willReconnect: false })
    }
  }

  /** Begins anew: with another token. */
  reopen() {
    this.disconnect()
    this.open()
  }
}

/** The dashboard's feed: `message` has everything that it is told. */
export class Feed extends PageConnection {
  constructor() { super('/api/dashboard/ws') }
}

/** The fleet's channels by Socket.IO: `event` has `{name, data}`. */
export class FleetSocket extends PageConnection {
  constructor() { super('/socket.io/?EIO=4&transport=websocket') }

  // It goes with CONNECT.
  _handshakeToken() { return null }
  _read(text) { return text }
  // Here the server asks.
  sendPing() {}

  _received(text) {
    switch (text[0]) {
      case '0': return this.sendText(token.value ? `40${JSON.stringify({ token: token.value })}` : '40')
      case '2': return this.sendText('3')
      case '4': return this.#packet(text)
      default: return undefined
    }
  }

  #packet(text) {
    if (text[1] === '0') this.sendText('42["subscribe_all"]')
    if (text[1] !== '2') return
    const [name, data] = JSON.parse(text.slice(text.indexOf('[')))
    this.emit('event', { name, data })
  }
}

/** A socket on which a person speaks: it says nothing by itself, and does not come back. `message` has every text as it came. */
export class Talk extends PageConnection {
  constructor(path) { super(path, { autoReconnect: false, heartbeat: 0 }) }

  _handshakeToken() { return this.path.startsWith('/socket.io') ? null : token.value }
  _read(data) { return typeof data === 'string' ? data : `${data.size} bytes` }
}
