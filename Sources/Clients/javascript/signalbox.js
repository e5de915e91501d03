// signalbox.js: Signalbox from a web page and from Node (20.16 or newer): watch a task, a user's tasks or the hub's, give tasks in, cancel
// them. An ES module without dependencies; where Node has no WebSocket of its own (before 22), the package `ws` is used. Not the place for
// Socket.IO, whose stock clients connect as they are.
//
//     import { SignalboxClient, TaskWebSocketClient, TaskNotificationClient, ProgressHubClient } from '/clients/javascript/signalbox.js'
//
// Every watcher comes back by itself after a break, says what it has seen, and tells each event once, in its task's order.

/**
 * @typedef {string | (() => string)} Token a token, or a function that gives one, which is asked before every connection
 *
 * @typedef {object} ConnectionOptions
 * @property {string} [url] the server, as `http://localhost:8000`; default: where the page came from, else `http://localhost:8000`
 * @property {boolean} [autoReconnect] whether to come back after a break; default: true
 * @property {number} [maxReconnectAttempts] tries in a row before it gives up; default: any number
 * @property {[number, number]} [reconnectDelay] shortest and longest pause between two tries, in milliseconds; default: 1000 and 30000
 * @property {number} [heartbeat] milliseconds between two pings; a server silent for three times as long is taken for gone; 0 for none and never; default: 30000
 * @property {any} [WebSocket] the class to connect with; default: the environment's own, else that of `ws`
 *
 * @typedef {object} TaskMessage what the server says of a task; which members there are, its documents say
 * @property {string} [type]
 * @property {string} [task_id]
 * @property {number} [seq] the number of the event in the task's life
 * @property {string} [status]
 * @property {number} [progress]
 * @property {string} [message]
 * @property {any} [result]
 * @property {any} [error]
 * @property {string} [timestamp]
 * @property {any} [data]
 *
 * @typedef {(data: any) => void} Handler
 */

const ENDS = ['completed', 'failed', 'cancelled']
const NOT_LET_IN = 4003, NOT_THERE = 4004, REPLACED = 4001, TAKEN_OVER = 1012
const OPEN = 1

/** Handlers by the names of events. */
class Emitter {
  constructor() {
    /** @type {Record<string, Handler[]>} */
    this.eventHandlers = {}
  }

  /**
   * Calls the handler at every event of that name.
   * @param {string} event
   * @param {Handler} handler
   * @returns {this}
   */
  on(event, handler) {
    (this.eventHandlers[event] ??= []).push(handler)
    return this
  }

  /**
   * Calls it no more.
   * @param {string} event
   * @param {Handler} handler
   * @returns {this}
   */
  off(event, handler) {
    this.eventHandlers[event] = (this.eventHandlers[event] ?? []).filter((one) => one !== handler)
    return this
  }

  /**
   * @param {string} event
   * @param {any} [data]
   */
  emit(event, data) {
    for (const handler of [...(this.eventHandlers[event] ?? [])]) handler(data)
  }
}

/**
 * A WebSocket that comes back: what all watchers are, and what others may be made of, as the server's own pages are. Events: `open`;
 * `message` (everything that is said); `disconnected` with `{code, reason, willReconnect}`; `reconnecting` with `{attempt, delay}`;
 * `error`.
 */
export class Connection extends Emitter {
  /** @type {any} */
  #socket = null
  #attempts = 0
  #isWanted = false
  #lastWord = 0
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #pulse

  /**
   * @param {Token | null | undefined} token
   * @param {ConnectionOptions} options
   */
  constructor(token, options) {
    super()
    /** @type {Token | null | undefined} */
    this.token = token
    this.options = { autoReconnect: true, maxReconnectAttempts: Infinity, reconnectDelay: [1000, 30000], heartbeat: 30000, ...options }
  }

  /** Whether the socket is open. */
  get isConnected() {
    return this.#socket?.readyState === OPEN
  }

  /** Opens the socket, and opens it again after every break until `disconnect`. */
  connect() {
    if (this.#isWanted) return
    this.#attempts = 0
    this.#open()
    this.#isWanted = true
  }

  /** Closes the socket for good. */
  disconnect() {
    this.#isWanted = false
    clearTimeout(this.#timer)
    const socket = this.#letGo()
    if (socket) {
      socket.close(1000)
      this.emit('disconnected', { code: 1000, reason: '', willReconnect: false })
    }
  }

  /**
   * Sends a message, if the socket is open.
   * @param {object} data
   */
  send(data) {
    this.sendText(JSON.stringify(data))
  }

  /**
   * Sends a text as it is, if the socket is open.
   * @param {string} text
   */
  sendText(text) {
    if (this.isConnected) this.#socket.send(text)
  }

  /** Asks the server whether it is there. */
  sendPing() {
    this.send({ type: 'ping' })
  }

  /**
   * The address of the next socket.
   * @protected
   * @returns {string}
   */
  _address() {
    throw new TypeError('a connection has an address')
  }

  /**
   * What was said, read.
   * @protected
   * @param {any} data
   * @returns {any}
   */
  _read(data) {
    return JSON.parse(data)
  }

  /**
   * @protected
   * @param {any} _message
   */
  _received(_message) {}

  /**
   * @protected
   * @param {any} error what the socket says shortly before it is closed; `disconnected` tells the rest
   */
  _troubled(error) {
    this.emit('error', error)
  }

  /**
   * @protected
   * @param {any} _socket the socket that is there now, null where there is none
   */
  _exchanged(_socket) {}

  #open() {
    const token = typeof this.token === 'function' ? this.token() : this.token
    const WebSocket = this.options.WebSocket ?? webSocketClass()
    // A web page cannot set headers; as a subprotocol the token is in no log either.
    const socket = new WebSocket(this._address(), token ? ['bearer', token] : [])
    this.#socket = socket
    this._exchanged(socket)
    this.#lastWord = Date.now()
    socket.onopen = () => this.emit('open')
    socket.onerror = (/** @type {any} */ error) => this._troubled(error)
    socket.onclose = (/** @type {any} */ event) => this.#closed(event.code, event.reason)
    socket.onmessage = (/** @type {any} */ event) => {
      this.#lastWord = Date.now()
      this.#attempts = 0
      const message = this._read(event.data)
      this.emit('message', message)
      if (this.#socket === socket) this._received(message)
    }
    if (this.options.heartbeat) this.#pulse = setInterval(() => this.#beat(), this.options.heartbeat)
  }

  #beat() {
    if (Date.now() - this.#lastWord > 3 * this.options.heartbeat) {
      this.#socket?.close()
      this.#closed(1006, 'the server is silent')
    } else {
      this.sendPing()
    }
  }

  /** Hears nothing more of the socket. */
  #letGo() {
    clearInterval(this.#pulse)
    const socket = this.#socket
    if (socket) {
      // A socket of `ws` that is closed before it was open has an error, which somebody must hear.
      socket.onopen = socket.onmessage = socket.onclose = null
      socket.onerror = () => {}
    }
    this.#socket = null
    this._exchanged(null)
    return socket
  }

  /**
   * @param {number} code
   * @param {string} reason
   */
  #closed(code, reason) {
    this.#letGo()
    const { autoReconnect, maxReconnectAttempts, reconnectDelay: [least, most] } = this.options
    const isRefused = code === NOT_THERE || code === REPLACED || (code === NOT_LET_IN && typeof this.token !== 'function')
    const willReconnect = this.#isWanted && autoReconnect && !isRefused && this.#attempts < maxReconnectAttempts
    this.emit('disconnected', { code, reason, willReconnect })
    if (!willReconnect || !this.#isWanted) {
      this.#isWanted = false
      return
    }
    // 1, 2, 4, 8 … 30 seconds, each longer by up to a half, so that many do not come at once.
    const delay = code === TAKEN_OVER && this.#attempts === 0 ? 0 : Math.min(most, least * 2 ** this.#attempts * (1 + Math.random() / 2))
    this.#attempts += 1
    this.emit('reconnecting', { attempt: this.#attempts, delay })
    if (this.#isWanted) this.#timer = setTimeout(() => this.#openAgain(), delay)
  }

  #openAgain() {
    try {
      this.#open()
    } catch (error) {
      // A token that cannot be had now may be had later.
      this._troubled(error)
      this.#closed(1006, String(error))
    }
  }
}

/** The last event of a task that was told, and in which messages: an end may be told in two. */
class Seen {
  /** @param {number} [last] */
  constructor(last) {
    this.last = last
    /** @type {(string | undefined)[]} */
    this.types = []
    /** @type {string | undefined} */
    this.status = undefined
    this.isAskedAnew = false
  }

  /** The last event of which all was told: a failure is told as `status` and then as `error`. */
  get whole() {
    const last = this.last ?? 0
    return this.types.length === 1 && this.types[0] === 'status' && this.status === 'failed' ? last - 1 : last
  }

  /**
   * @param {number} seq
   * @param {string} type
   * @param {string} [status]
   */
  isNew(seq, type, status) {
    const wasAskedAnew = this.isAskedAnew
    this.isAskedAnew = false
    if (this.last !== undefined && seq < this.last && !wasAskedAnew) return false
    if (seq === this.last && (this.types.includes(type) || wasAskedAnew)) return false
    this.types = seq === this.last ? [...this.types, type] : [type]
    this.last = seq
    this.status = status ?? this.status
    return true
  }
}

/**
 * Watches one task, from how it stands to its end.
 *
 * Events, each with the message: `connection_established`, `current_status`, `task_status_update`, `task_progress`, `task_logs`,
 * `task_error`, `task_cancelled`, `task_completed`, `heartbeat`, `pong`, `status_response`; and those of the connection: `open`,
 * `disconnected`, `reconnecting`, `error`. Where no handler was ever set, it tells the console.
 */
export class TaskWebSocketClient extends Connection {
  #seen
  /** @type {any} how the task stands, while it is not known whether what is missing follows */
  #held = null
  /** @type {Promise<TaskMessage> | undefined} */
  #end

  /**
   * @param {string} taskId
   * @param {Token} [authToken]
   * @param {ConnectionOptions & {lastSeq?: number}} [options] `lastSeq`: the last event that was seen earlier; what followed comes first
   */
  constructor(taskId, authToken, options = {}) {
    super(authToken, options)
    this.taskId = taskId
    this.authToken = authToken
    /** @type {any} */
    this.websocket = null
    this.#seen = new Seen(options.lastSeq)
  }

  /** The number of the last event that was told; to be given as `lastSeq` by who comes back later. */
  get lastSeq() {
    return this.#seen.last
  }

  sendPing() {
    this.send({ type: 'ping', timestamp: new Date().toISOString() })
  }

  /** Asks how the task stands; answered by `status_response`. */
  getStatus() {
    this.send({ type: 'get_status', timestamp: new Date().toISOString() })
  }

  /**
   * Watches to the end; gives the message `task_completed`, in which `success` says how.
   * @returns {Promise<TaskMessage & {success: boolean, result_data?: any}>}
   */
  end() {
    this.#end ??= new Promise((resolve, reject) => {
      this.on('task_completed', resolve)
      this.on('disconnected', ({ code, reason, willReconnect }) => {
        if (!willReconnect) reject(new SignalboxError(code, reason || `closed with ${code}`, {}))
      })
    })
    this.connect()
    return /** @type {any} */ (this.#end)
  }

  /**
   * What is done with a message that is new: the handlers of its type are called. To be overridden by who would rather have one place.
   * @param {any} data
   */
  handleMessage(data) {
    if (Object.keys(this.eventHandlers).length === 0) this.#tellConsole(data)
    this.emit(data.type, data)
  }

  /** @param {any} data */
  #tellConsole(data) {
    switch (data.type) {
      case 'task_status_update': return console.log(`Status: ${data.status}, Progress: ${data.progress}%`)
      case 'task_progress': return console.log(`Progress: ${data.progress}% - ${data.message}`)
      case 'task_logs': return console.log(`[${data.level}] ${data.logs}`)
      case 'task_completed': return console.log(`Task completed: ${data.success ? 'Success' : 'Failed'}`)
      case 'task_error': return console.error(`Error: ${data.error_message}`)
    }
  }

  /** @protected */
  _address() {
    return address(this.options.url, 'ws', `/api/gpu/tasks/${encodeURIComponent(this.taskId)}/ws`, { last_seq: this.#seen.last })
  }

  /**
   * @protected
   * @param {any} message
   */
  _received(message) {
    const { type, seq } = message
    const held = this.#held
    if (type === 'current_status' && this.#seen.last !== undefined) {
      // What is missing follows, before the answer to a ping; only where it is no longer to be had is this the news.
      this.#held = seq > this.#seen.last ? message : null
      if (this.#held) this.sendPing()
      return
    }
    if (type === 'current_status') this.#seen.last = seq
    else if (type === 'pong' || typeof seq === 'number') {
      this.#held = null
      if (held && (type === 'pong' || seq > held.seq)) {
        this.#seen.last = held.seq
        this.handleMessage(held)
      }
    }
    const isEvent = typeof seq === 'number' && type !== 'current_status' && type !== 'status_response'
    if (isEvent && !this.#seen.isNew(seq, type)) return
    this.handleMessage(message)
    if (type === 'task_completed') this.disconnect()
  }

  /**
   * @protected
   * @param {any} socket
   */
  _exchanged(socket) {
    this.websocket = socket
  }
}

/**
 * Watches all tasks of a user. `tasks` holds the last message of each.
 *
 * Events: `connected` with the server's greeting; `active_tasks` with a list; `task_status` for all that happens, and with it
 * `task_completed`, `task_failed` or `task_cancelled`; `subscribed`, `unsubscribed`, `pong`; `disconnected`, `reconnecting`, `error`.
 * After a break each task that has gone on meanwhile is told once, as it stands.
 */
export class TaskNotificationClient extends Connection {
  /** @type {Map<string, Seen>} */
  #seen = new Map()
  /** @type {Promise<Set<string> | null> | undefined} the tasks that have ended before anybody watched; null where that is not to be had */
  #bygone
  #isWatching = false
  #isBack = false

  /**
   * @param {string | number} userId
   * @param {Token} [token]
   * @param {ConnectionOptions} [options]
   */
  constructor(userId, token, options = {}) {
    super(token, options)
    this.userId = userId
    /** @type {any} */
    this.ws = null
    /** @type {Record<string, any>} */
    this.tasks = {}
  }

  /**
   * Hears of a task of somebody else, or again of a muted one.
   * @param {string} taskId
   */
  subscribeTask(taskId) {
    this.send({ type: 'subscribe', task_id: taskId })
  }

  /**
   * Hears of a task no more.
   * @param {string} taskId
   */
  unsubscribeTask(taskId) {
    this.send({ type: 'unsubscribe', task_id: taskId })
  }

  /** Opens the socket, once it is known which tasks have ended before; opens it again after every break until `disconnect`. */
  connect() {
    if (this.#isWatching) return
    this.#isWatching = true
    this.#bygone ??= this.#list().then(
      (tasks) => new Set(tasks.filter((task) => ENDS.includes(task.status)).map((task) => task.task_id)), () => null)
    this.#bygone.then(() => { if (this.#isWatching) super.connect() })
  }

  disconnect() {
    this.#isWatching = false
    super.disconnect()
  }

  /** @protected */
  _address() {
    return address(this.options.url, 'ws', `/api/task/ws/task/${encodeURIComponent(this.userId)}`, {})
  }

  /**
   * @protected
   * @param {any} message
   */
  _received(message) {
    switch (message.type) {
      case 'active_tasks':
        for (const task of message.tasks) {
          if (!this.#isBack) this.#isNew(task)
          this.tasks[task.task_id] ??= task
        }
        this.emit('active_tasks', message.tasks)
        if (this.#isBack) this.#catchUp(message.tasks)
        this.#isBack = true
        return
      case 'task_status': return this.#tell(message)
      default: return this.emit(message.type, message)
    }
  }

  /** @param {any} task */
  #isNew(task) {
    let seen = this.#seen.get(task.task_id)
    if (!seen) this.#seen.set(task.task_id, (seen = new Seen()))
    return seen.isNew(task.seq, 'task_status', task.status)
  }

  /** @param {any} task */
  #tell(task) {
    if (!this.#isNew(task)) return
    this.tasks[task.task_id] = task
    this.emit('task_status', task)
    if (ENDS.includes(task.status)) this.emit(`task_${task.status}`, task)
  }

  /**
   * What happened during a break: to tasks that have not ended, to those that have and were known, and to those that came and went.
   * @param {any[]} active
   */
  async #catchUp(active) {
    const found = new Map(active.map((task) => [task.task_id, task]))
    const bygone = await this.#bygone
    try {
      for (const task of await this.#list()) {
        const isNews = this.#seen.has(task.task_id) || (bygone && !bygone.has(task.task_id))
        if (isNews && !found.has(task.task_id)) found.set(task.task_id, task)
      }
      for (const [id, seen] of this.#seen) {
        if (!found.has(id) && !ENDS.includes(seen.status ?? '')) {
          const task = await this.#get(`/api/task/task/${encodeURIComponent(id)}/status`, {}).catch(() => null)
          if (task) found.set(id, task)
        }
      }
    } catch (error) {
      this.emit('error', error)
    }
    for (const task of found.values()) this.#tell({ type: 'task_status', ...task })
  }

  /** @returns {Promise<any[]>} the user's tasks, those that have ended as well */
  async #list() {
    return (await this.#get('/api/task/tasks', { limit: 500, user_id: this.userId })).tasks
  }

  /**
   * @param {string} path
   * @param {Record<string, any>} query
   */
  async #get(path, query) {
    const signal = /** @type {any} */ (AbortSignal).timeout(10000)
    return (await request(address(this.options.url, 'http', path, query), this.token, { signal })).data
  }

  /**
   * @protected
   * @param {any} socket
   */
  _exchanged(socket) {
    this.ws = socket
  }
}

/**
 * The hub: any number of tasks over one socket, which comes back as who it was and misses nothing.
 *
 * Events, each with the message's payload: `connected`, `reconnected`, `subscribed`, `unsubscribed`, `progress`, `status`, `error` (of a
 * task that failed, or of a command that was refused), `pong`; and those of the connection: `open`, `disconnected`, `reconnecting`.
 */
export class ProgressHubClient extends Connection {
  /** @type {Map<string, Seen>} */
  #topics = new Map()
  /** @type {string | undefined} */
  #clientId

  /** @param {ConnectionOptions & {userId?: string, projectId?: string, token?: Token}} [options] */
  constructor(options = {}) {
    super(options.token, options)
    this.userId = options.userId
    this.projectId = options.projectId
  }

  /** Its name at the server; undefined before it was connected. */
  get clientId() {
    return this.#clientId
  }

  /** The tasks that it listens to. */
  get topics() {
    return [...this.#topics.keys()]
  }

  /**
   * Hears of a task from now on, also of one that is not there yet.
   * @param {string} taskId
   */
  subscribe(taskId) {
    if (this.#topics.has(taskId)) return
    this.#topics.set(taskId, new Seen())
    if (this.#clientId) this.send({ action: 'subscribe', task_id: taskId })
  }

  /**
   * Hears of it no more.
   * @param {string} taskId
   */
  unsubscribe(taskId) {
    if (this.#topics.delete(taskId)) this.send({ action: 'unsubscribe', task_id: taskId })
  }

  /**
   * The last states of a task, oldest first; none where they cannot be had.
   * @param {string} taskId
   * @param {number} [limit] how many at most
   * @returns {Promise<TaskMessage[]>}
   */
  async history(taskId, limit = 20) {
    const path = `/api/v1/progress/${encodeURIComponent(taskId)}/history`
    return request(address(this.#server, 'http', path, { limit }), this.token).then(({ history }) => history, () => [])
  }

  get #server() {
    // The document's own form of the address is the whole of it.
    return this.options.url?.replace(/\/api\/v1\/ws(\/reconnect)?(?=$|[?#])/, '')
  }

  /** @protected */
  _address() {
    const positions = [...this.#topics].filter(([, seen]) => seen.last !== undefined).map(([id, seen]) => `${id}:${seen.whole}`)
    return address(this.#server, 'ws', '/api/v1/ws', {
      user_id: this.userId, project_id: this.projectId, old_client_id: this.#clientId,
      last_seq: this.#clientId && positions.length > 0 ? positions.join(',') : undefined,
    })
  }

  /** @protected */
  _troubled() {}  // `error` is the hub's word for a task that failed.

  /**
   * @protected
   * @param {any} message
   */
  _received(message) {
    const { type, task_id: taskId, payload = {} } = message
    if (type === 'connected' || type === 'reconnected') {
      this.#clientId = payload.client_id
      const known = payload.subscribed ?? {}
      this.emit(type, payload)
      for (const [id, seen] of this.#topics) {
        if (known[id]) continue
        seen.isAskedAnew = true
        this.send({ action: 'subscribe', task_id: id })
      }
      for (const id of Object.keys(known)) if (!this.#topics.has(id)) this.send({ action: 'unsubscribe', task_id: id })
    } else if (typeof payload.seq === 'number') {
      if (this.#topics.get(taskId)?.isNew(payload.seq, type, payload.status)) this.emit(type, payload)
    } else {
      this.emit(type, payload)
    }
  }
}

/** The server did not do what was asked. */
export class SignalboxError extends Error {
  /**
   * @param {number} status the HTTP status, or a WebSocket's close code
   * @param {string} message
   * @param {any} body all that the server said
   */
  constructor(status, message, body) {
    super(message)
    this.name = 'SignalboxError'
    this.status = status
    this.body = body
  }
}

/**
 * @typedef {object} TaskOptions
 * @property {any[]} [messages] what the task is about in OpenAI's form, in place of `data`
 * @property {string} [model]
 * @property {string} [group] which workers may take it
 * @property {number} [timeout] milliseconds until it must have ended
 * @property {'high' | 'normal' | 'low'} [priority]
 * @property {number} [retries] how often it may start anew when its worker vanishes
 * @property {string} [idempotencyKey] the same key gives the same task
 * @property {AbortSignal} [signal] ends the waiting; a task that is waited for by `run` is cancelled with it
 *
 * @typedef {object} TaskState
 * @property {string} taskId
 * @property {'queued' | 'executing' | 'completed' | 'failed' | 'cancelled'} status
 * @property {any} [result]
 * @property {any} [error]
 * @property {number} [progress]
 * @property {string} [message]
 */

/** Gives tasks in, asks how they stand, cancels them. */
export class SignalboxClient {
  /** @param {{url?: string, token?: Token}} [options] */
  constructor(options = {}) {
    this.url = options.url
    this.token = options.token
  }

  /**
   * Gives a task in; gives its id, once the server has written it down.
   * @param {object | null} data what it is about; null where `messages` are given
   * @param {TaskOptions} [options]
   * @returns {Promise<string>}
   */
  async submit(data, options = {}) {
    return (await this.#giveIn(data, options, true)).taskId
  }

  /**
   * Gives a task in, waits for its end and gives its result. A failure is a SignalboxError: its words are the worker's.
   * @param {object | null} data
   * @param {TaskOptions} [options]
   * @returns {Promise<any>}
   */
  async run(data, options = {}) {
    return (await this.#giveIn(data, options, false)).result
  }

  /**
   * How a task stands.
   * @param {string} taskId
   * @returns {Promise<TaskState>}
   */
  get(taskId) {
    return request(address(this.url, 'http', `/api/task/${encodeURIComponent(taskId)}`, {}), this.token)
  }

  /**
   * Cancels a task that has not ended.
   * @param {string} taskId
   * @returns {Promise<TaskState>}
   */
  cancel(taskId) {
    return request(address(this.url, 'http', `/api/task/${encodeURIComponent(taskId)}/cancel`, {}), this.token, { method: 'POST' })
  }

  /**
   * Someone who watches a task of this server's; `await client.watch(id).end()` waits for its end.
   * @param {string} taskId
   * @param {ConnectionOptions & {lastSeq?: number}} [options]
   */
  watch(taskId, options = {}) {
    return new TaskWebSocketClient(taskId, this.token, { url: this.url, ...options })
  }

  /**
   * @param {object | null} data
   * @param {TaskOptions} options
   * @param {boolean} isAsync
   */
  #giveIn(data, { signal, ...members }, isAsync) {
    const body = JSON.stringify({ ...(data ? { data } : {}), ...members, async: isAsync })
    return request(address(this.url, 'http', '/api/openai', {}), this.token, { method: 'POST', body, signal })
  }
}

/**
 * @param {string} url
 * @param {Token | null | undefined} token
 * @param {RequestInit} [options]
 * @returns {Promise<any>}
 */
async function request(url, token, options = {}) {
  const bearer = typeof token === 'function' ? token() : token
  const headers = {
    ...(options.body ? { 'Content-Type': 'application/json' } : {}), ...(bearer ? { Authorization: `Bearer ${bearer}` } : {}),
  }
  const response = await fetch(url, { ...options, headers })
  const body = await response.json().catch(() => ({}))
  if (!response.ok) {
    const words = typeof body.error === 'string' ? body.error : JSON.stringify(body.error ?? response.statusText)
    throw new SignalboxError(response.status, words, body)
  }
  return body
}

/**
 * @param {string | undefined} url
 * @param {'http' | 'ws'} scheme
 * @param {string} path
 * @param {Record<string, string | number | undefined>} query
 */
function address(url, scheme, path, query) {
  const page = globalThis.location?.origin
  const base = new URL(url ?? (page?.startsWith('http') ? page : 'http://localhost:8000'))
  const isSecure = base.protocol === 'https:' || base.protocol === 'wss:'
  for (const [name, value] of Object.entries(query)) if (value !== undefined) base.searchParams.set(name, String(value))
  return `${scheme}${isSecure ? 's' : ''}://${base.host}${base.pathname.replace(/\/$/, '')}${path}${base.search}`
}

/** The WebSocket of the environment; in Node before 22, that of the package `ws`. */
function webSocketClass() {
  if (typeof globalThis.WebSocket === 'function') return globalThis.WebSocket
  const process = /** @type {any} */ (globalThis).process
  const createRequire = process?.getBuiltinModule?.('node:module')?.createRequire
  for (const place of createRequire ? [import.meta.url, `file://${process.cwd()}/`] : []) {
    try {
      return createRequire(place)('ws')
    } catch { /* not from here */ }
  }
  throw new Error('There is no WebSocket here: use Node 22 or newer, install ws, or give the option WebSocket')
}
