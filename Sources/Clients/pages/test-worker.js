// test-worker.js: a worker whose hands are a person's: connects to `/ws`, takes tasks, answers by hand or by itself, and shows every message
// as it went. Submits tasks as well.
import { ask, count, element, find, mark, prepareLogin, pretty, say, short, span, time, toast, token } from './house.js'
import { Talk } from './sockets.js'

const MESSAGES = 400
const state = { socket: null, hands: new Map(), messages: 0 }

const login = prepareLogin(() => {
  if (state.socket) disconnect()
})

// MARK: The socket

function connect() {
  const query = new URLSearchParams({ ready: 'explicit' })
  if (find('group').value.trim()) query.set('group', find('group').value.trim())
  const socket = new Talk(`/ws?${query}`)
  state.socket = socket
  let wasOpen = false
  setState('connecting', 'warn')
  problem('')
  socket.on('open', () => {
    wasOpen = true
    setState('connected', 'good')
    const models = find('models').value.split(',').map((model) => model.trim()).filter(Boolean)
    const ready = { type: 'ready', concurrency: Math.max(1, Number(find('concurrency').value) || 1) }
    if (models.length) ready.models = models
    send(ready)
  })
  socket.on('message', received)
  socket.on('disconnected', ({ code, reason }) => {
    state.socket = null
    for (const hand of state.hands.values()) hand.stop()
    state.hands.clear()
    showHands()
    const why = [code !== 1000 && code !== 1005 ? code : '', reason].filter(Boolean).join(' ')
    setState('not connected', '')
    say(find('worker-id'), '')
    remark(`closed ${why}`)
    problem(wasOpen ? '' : 'The server did not take this worker. Where everybody needs a token, log in with one of role worker or admin.')
    if (!wasOpen && !token.value) login.ask('')
  })
  socket.open()
}

function disconnect() {
  state.socket?.disconnect()
}

function send(message) {
  const text = typeof message === 'string' ? message : JSON.stringify(message)
  if (!state.socket?.isConnected) return toast('Not connected')
  state.socket.sendText(text)
  record('out', text)
}

function received(text) {
  record('in', text)
  let message
  try {
    message = JSON.parse(text)
  } catch {
    return
  }
  switch (message.type) {
    case 'connected':
      say(find('worker-id'), message.workerId)
      break
    case 'task':
      state.hands.set(message.taskId, new Hand(message))
      showHands()
      break
    case 'cancel':
      drop(message.taskId, 'was cancelled')
      break
    case 'drain':
      toast('The server sends this worker home')
      disconnect()
      break
    default:
      break
  }
}

function setState(words, level) {
  const tag = find('state')
  say(tag, words)
  tag.className = `tag dot ${level}`
  const isOpen = words === 'connected'
  for (const id of ['drain', 'ping', 'report']) find(id).disabled = !isOpen
  for (const id of ['group', 'concurrency', 'models']) find(id).disabled = words !== 'not connected'
  say(find('connect'), words === 'not connected' ? 'Connect' : 'Disconnect')
  find('connect').classList.toggle('main', words === 'not connected')
}

function problem(words) {
  say(find('worker-problem'), words)
  find('worker-problem').hidden = !words
}

// MARK: Tasks in hand

/** A task in hand, and what is done with it. */
class Hand {
  constructor(message) {
    this.message = message
    this.id = message.taskId
    this.since = Date.now()
    this.timers = []
    this.row = this.draw()
    this.begin(find('mode').value)
  }

  say(type, members) { send({ type, taskId: this.id, lease: this.message.lease, ...members }) }
  progress(percent, message) {
    this.bar.value = percent
    this.say('task_progress', { progress: percent, message })
  }
  complete(result) {
    this.say('task_complete', { result, duration: Date.now() - this.since })
    drop(this.id)
  }
  fail(error) {
    this.say('task_error', { error, duration: Date.now() - this.since })
    drop(this.id)
  }
  stop() { this.timers.forEach(clearTimeout) }

  begin(mode) {
    if (mode === 'hand') return
    const duration = Math.max(0, Number(find('seconds').value) || 0) * 1000
    const reports = Math.max(0, Math.floor(Number(find('reports').value) || 0))
    for (let step = 1; step <= reports; step += 1) {
      this.timers.push(setTimeout(() => {
        this.progress(Math.round(step / (reports + 1) * 100), `step ${step} of ${reports}`)
        if (find('logs').checked) this.say('task_logs', { logs: `step ${step}`, level: 'INFO', source: 'test-worker' })
        if (find('chunks').checked) this.say('task_chunk', { chunk: { choices: [{ index: 0, delta: { content: `${step} ` } }] } })
      }, duration * step / (reports + 1)))
    }
    this.timers.push(setTimeout(() => {
      if (mode === 'fail' || mode === 'mixed' && Math.random() < 0.3) this.fail('failed by the test worker')
      else this.complete({ success: true, data: 'done by the test worker' })
    }, duration))
  }

  draw() {
    const name = short(this.id)
    this.age = element('span', { class: 'soft number age', text: 'now' })
    this.bar = element('progress', { max: '100', value: '0', 'aria-label': `Progress of ${name}` })
    const field = (label, value, type = 'text', more = {}) => element('input', { type, value, 'aria-label': `${label} of ${name}`, autocomplete: 'off', ...more })
    const percent = field('Progress', '50', 'number', { min: '0', max: '100' })
    const message = field('Message', 'working')
    const log = field('Log', 'a line')
    const chunk = field('Chunk', '{"choices":[{"index":0,"delta":{"content":"word "}}]}', 'text', { class: 'mono', spellcheck: 'false' })
    const result = element('textarea', { rows: '2', 'aria-label': `Result of ${name}`, spellcheck: 'false' })
    result.value = '{"success": true, "data": "done"}'
    const error = field('Error', 'out of memory')
    const tool = (label, inputs, words, action, kind = '') => element('div', { class: 'tool' }, element('span', { class: 'soft', text: label }),
      element('span', {}, ...inputs, element('button', { type: 'button', class: kind, text: words, on: { click: action } })))
    return element('li', { class: 'hand', data: { task: this.id } },
      element('div', { class: 'hand-head' }, element('code', { text: this.id }), element('span', { class: 'tag', text: `lease ${this.message.lease ?? '–'}` }), this.age),
      this.bar,
      element('pre', { class: 'code', tabindex: '0', 'aria-label': `Payload of ${name}`, text: pretty(this.message.payload) }),
      element('div', { class: 'hand-tools' },
        tool('Progress', [percent, message], 'Report', () => this.progress(Number(percent.value), message.value)),
        tool('Log', [log], 'Send', () => this.say('task_logs', { logs: log.value, level: 'INFO', source: 'test-worker' })),
        tool('Chunk, JSON', [chunk], 'Send', () => withJSON(chunk.value, (value) => this.say('task_chunk', { chunk: value }))),
        tool('Error', [error], 'Fail', () => this.fail(error.value), 'bad'),
        tool('Result, JSON', [result], 'Complete', () => withJSON(result.value, (value) => this.complete(value)), 'main')))
  }
}

function withJSON(text, use) {
  try {
    use(JSON.parse(text))
  } catch (fault) {
    toast(fault instanceof SyntaxError ? 'That is no JSON' : fault.message)
  }
}

function drop(id, why) {
  const hand = state.hands.get(id)
  if (!hand) return
  hand.stop()
  state.hands.delete(id)
  hand.row.remove()
  if (why) {
    toast(`Task ${short(id)} ${why}`)
    // Its room is free again once the worker speaks of it.
    if (state.hands.size === 0 && state.socket) send({ type: 'ready' })
  }
  showHands()
}

function showHands() {
  const list = find('hands')
  for (const hand of state.hands.values()) if (!hand.row.isConnected) list.append(hand.row)
  for (const row of [...list.children]) if (!state.hands.has(row.dataset.task)) row.remove()
  say(find('hands-count'), count(state.hands.size))
  find('hands-empty').hidden = state.hands.size > 0
}

setInterval(() => {
  for (const hand of state.hands.values()) say(hand.age, span(Date.now() - hand.since))
}, 500)

// MARK: Messages

function record(direction, text) {
  state.messages += 1
  say(find('messages-count'), count(state.messages))
  if (find('messages-quiet').checked && /"type":\s*"(task_progress|task_logs|task_chunk)"/.test(text)) return
  const shown = text.length > 4000 ? `${text.slice(0, 4000)}… (${count(text.length)} characters)` : text
  const words = { out: ['→', 'sent'], in: ['←', 'received'], note: ['·', 'note'] }[direction]
  const arrow = element('b', {}, element('span', { 'aria-hidden': 'true', text: words[0] }), element('span', { class: 'visually-hidden', text: words[1] }))
  find('messages').prepend(element('li', { class: direction }, element('time', { text: time(Date.now()) }), arrow, element('pre', { text: shown })))
  while (find('messages').childElementCount > MESSAGES) find('messages').lastElementChild.remove()
}

const remark = (text) => record('note', text)

// MARK: Forms

find('worker').addEventListener('submit', (event) => {
  event.preventDefault()
  if (state.socket) disconnect()
  else connect()
})
find('manner').addEventListener('submit', (event) => event.preventDefault())
find('ping').addEventListener('click', () => send({ type: 'ping' }))
find('drain').addEventListener('click', () => send({ type: 'drain' }))
find('report').addEventListener('click', () => send({
  type: 'worker_status',
  gpus: [{ id: 0, name: 'Test GPU', usage_percent: Math.round(Math.random() * 100), memory_usage_percent: Math.round(Math.random() * 100), temperature: 40 + Math.round(Math.random() * 40) }],
}))
find('raw').addEventListener('submit', (event) => {
  event.preventDefault()
  send(find('raw-text').value)
})
find('messages-clear').addEventListener('click', () => {
  find('messages').replaceChildren()
  state.messages = 0
  say(find('messages-count'), '0')
})
find('submit').addEventListener('submit', async (event) => {
  event.preventDefault()
  const answer = find('answer')
  const show = (text) => {
    say(answer, text)
    answer.hidden = false
  }
  let data
  try {
    data = JSON.parse(find('task-data').value)
  } catch {
    return show('The data is no JSON.')
  }
  const order = { data, group: find('task-group').value.trim() || undefined, model: find('task-model').value.trim() || undefined,
    priority: find('task-priority').value, timeout: Number(find('task-timeout').value) || undefined, async: find('task-async').checked }
  const times = Math.min(Math.max(Number(find('task-count').value) || 1, 1), 100)
  show('…')
  try {
    const answers = await Promise.all(Array.from({ length: times }, () => ask('POST', '/api/openai', order)))
    show(answers.slice(-3).map(({ body }) => pretty(body)).join('\n'))
  } catch (fault) {
    show(fault.message)
  }
})
mark(find('answer'), 'aria-live', 'polite')
