// dashboard.js: the dashboard: what the feed tells of tasks, workers and requests, what Socket.IO tells of the machine, alerts and
// activities, and what a person may do about them. Holds no more than what is shown.
import { Chart } from './charts.js'
import { ask, bytes, count, element, find, mark, prepareLogin, pretty, prettyText, reconcile, roughly, say, short, span, time, toast } from './house.js'
import { Feed, FleetSocket } from './sockets.js'

// A page's lists grow by so many rows when they are asked to; what is not shown is not made.
const ROWS = 20
const GROUPS = 12
const LOG_LINES = 300
// However much comes, the log is drawn anew no more often than this, in milliseconds.
const LOG_PAUSE = 250
const state = { picture: {}, skew: 0, resources: null, alerts: new Map(), log: [], leftOut: 0, isPaused: false }
const now = () => Date.now() + state.skew

// MARK: The feed

const feed = new Feed()
const fleet = new FleetSocket()

feed.on('message', (message) => {
  switch (message.type) {
    case 'picture':
      state.skew = message.at - Date.now()
      state.picture = message
      state.log = state.log.filter((line) => line.kind !== 'request')
      for (const exchange of message.log) noteExchange(exchange)
      showState('live')
      showAll()
      break
    case 'change':
      state.skew = message.at - Date.now()
      for (const exchange of message.log ?? []) noteExchange(exchange)
      state.leftOut += message.log_left_out ?? 0
      Object.assign(state.picture, message)
      show(message)
      break
    case 'task':
      showTask(message)
      break
    default:
      break
  }
})

feed.on('disconnected', ({ code, reason }) => {
  showState(code === 4003 ? 'logged out' : 'reconnecting')
  if (code !== 4003) return
  login.ask(reason && state.picture.at ? 'The token is over, or was revoked.' : hasTried() ? 'This token is not good here: it has to be an admin’s.' : '')
})

fleet.on('event', ({ name, data }) => {
  switch (name) {
    case 'system_resources_update':
      state.resources = data.data
      showMachine()
      break
    case 'system_alerts':
      noteAlert(data.data)
      break
    case 'activity_stream':
      noteActivity(data.data)
      break
    default:
      break
  }
})

function showState(words) {
  const tag = find('state')
  tag.className = `tag dot ${words === 'live' ? 'good' : 'warn'}`
  say(tag, words)
  find('main').classList.toggle('stale', words !== 'live')
}

let tried = sessionStorage.getItem('signalbox-token') !== null
const hasTried = () => tried
const login = prepareLogin(() => {
  tried = sessionStorage.getItem('signalbox-token') !== null
  feed.reopen()
  fleet.reopen()
})

// MARK: The picture

const sections = {
  counts: showFigures, connections: showConnections, groups: showGroups, workers: showWorkers, waiting: showWaiting,
  executing: showExecuting, ended: showEnded, letters: showLetters, trend: showTrend,
}

function showAll() {
  for (const draw of Object.values(sections)) draw()
  showLog()
}

function show(message) {
  const draws = new Set(Object.entries(sections).filter(([name]) => name in message).map(([, draw]) => draw))
  // The totals of lists, and figures, are of another section; each is drawn once, whatever it is drawn for.
  if ('counts' in message) for (const list of [showWaiting, showGroups, showExecuting, showEnded, showLetters, showWorkers]) draws.add(list)
  if ('trend' in message) draws.add(showFigures)
  for (const draw of draws) draw()
  if (message.log || message.log_left_out) showLogSoon()
}

function figure(name, value, unit, level) {
  return { name, value, unit, level }
}

function showFigures() {
  const { counts, trend } = state.picture
  if (!counts) return
  const recent = (trend?.steps ?? []).filter(([number]) => number > trend.now - 7 && number < trend.now)
  const perMinute = recent.reduce((sum, step) => sum + step[2] + step[3] + step[4], 0)
  const ends = recent.filter((step) => step[2] + step[3] + step[4] > 0)
  const median = ends.length ? ends.at(-1)[5] / 1000 : null
  const slowest = ends.length ? Math.max(...ends.map((step) => step[6])) / 1000 : null
  const hour = (trend?.steps ?? []).reduce((sum, step) => [sum[0] + step[2], sum[1] + step[3]], [0, 0])
  const figures = [
    figure('workers', count(counts.workers), counts.workers ? `${count(counts.executing)} of ${count(counts.concurrency)} busy` : '', counts.workers ? '' : 'warn'),
    figure('executing', count(counts.executing), ''),
    figure('waiting', count(counts.queued), counts.paused ? `${count(counts.paused)} for a retry` : '', counts.queued > 100 ? 'warn' : ''),
    figure('ended a minute', count(perMinute), ''),
    figure('median latency', span(median), ''),
    figure('95 % latency', span(slowest), ''),
    figure('completed this hour', count(hour[0]), ''),
    figure('failed this hour', count(hour[1]), '', hour[1] ? 'bad' : ''),
    figure('dead letters', count(counts.letters), ''),
  ]
  reconcile(find('figures'), figures, (item) => item.name, (item) => {
    const name = element('dt')
    const value = element('dd')
    const row = element('div', {}, name, value)
    row.update = ({ value: figures, unit: words, level }) => {
      // What is said of it stands on one line.
      say(name, words ? `${item.name}, ${words.replaceAll(' ', '\u00a0')}` : item.name)
      say(value, figures)
      mark(row, 'class', level || null)
    }
    return row
  })
}

// MARK: Charts

const ago = (seconds) => (seconds ? `${span(seconds * 1000)} ago` : 'now')
const throughput = new Chart(find('throughput'), {
  kind: 'bars', series: ['completed', 'failed', 'cancelled'], least: 4, format: roughly,
  describe: ({ age, values }) => `${age ? `${age} min ago` : 'this minute'}: ${count(values[0])} completed, ${count(values[1])} failed, ${count(values[2])} cancelled`,
})
const latency = new Chart(find('latency'), {
  kind: 'lines', series: ['slowest', 'median'], least: 10, format: (value) => (value >= 60_000 ? `${value / 60_000} min` : span(value)),
  describe: ({ age, values }) => values[1] === null ? `${ago(age)}: nothing ended` : `${ago(age)}: half within ${span(values[1])}, 95 % within ${span(values[0])}`,
})

function showTrend() {
  const { trend } = state.picture
  if (!trend) return
  const byNumber = new Map(trend.steps.map((step) => [step[0], step]))
  const minutes = []
  for (let age = 59; age >= 0; age -= 1) {
    const values = [0, 0, 0]
    for (let step = 0; step < 6; step += 1) {
      const found = byNumber.get(trend.now - age * 6 - step)
      if (found) for (let place = 0; place < 3; place += 1) values[place] += found[2 + place]
    }
    minutes.push({ age, values })
  }
  throughput.show(minutes)
  const steps = []
  for (let age = 359; age >= 0; age -= 1) {
    const found = byNumber.get(trend.now - age)
    const hasEnds = found && found[2] + found[3] + found[4] > 0
    steps.push({ age: age * trend.step_seconds, values: hasEnds ? [found[6] / 1000, found[5] / 1000] : [null, null] })
  }
  latency.show(steps)
}

// MARK: Lists

/** Rows that a person asked to see, where it is more than the first few. */
const wantedRows = new Map()

/** The rows of a list that are shown, and a button for more of them. */
function firstRows(name, items, draw) {
  const most = wantedRows.get(name) ?? ROWS
  const scroll = find(name).closest('.scroll')
  let button = scroll.querySelector('.more')
  if (!button) {
    button = element('button', { type: 'button', class: 'plain more', on: { click: () => {
      wantedRows.set(name, (wantedRows.get(name) ?? ROWS) + ROWS)
      draw()
    } } })
    button.setAttribute('aria-controls', name)
    scroll.append(button)
  }
  const left = Math.max(items.length - most, 0)
  button.hidden = left === 0
  say(button, `Show ${count(Math.min(left, ROWS))} more`)
  return items.slice(0, most)
}

/** How many there are, and that the list has fewer. */
function showCount(name, total, shown, word = 'first') {
  say(find(`${name}-count`), count(total))
  const more = find(`${name}-more`)
  if (more) say(more, total > shown ? `the ${word} ${count(shown)}` : '')
  find(`${name}-empty`).hidden = shown > 0
  const scroll = find(name).closest('.scroll')
  scroll.hidden = shown === 0
}

function taskButton(task) {
  const button = element('button', { type: 'button', class: 'task', text: short(task.task_id), title: task.task_id, on: { click: () => openTask(task.task_id) } })
  button.setAttribute('aria-label', `Task ${task.task_id}`)
  return button
}

function act(words, label, action, name = 'small') {
  const button = element('button', { type: 'button', class: name, text: words, 'aria-label': label })
  button.addEventListener('click', async () => {
    button.disabled = true
    try {
      toast(await action())
    } catch (problem) {
      toast(problem.message)
    } finally {
      button.disabled = false
    }
  })
  return button
}

const cancel = (id) => ask('POST', `/api/task/${encodeURIComponent(id)}/cancel`).then(() => `Task ${short(id)} is cancelled`)
const replay = (id) => ask('POST', `/api/dead-letters/${encodeURIComponent(id)}/replay`).then(({ body }) => `Tried again as ${short(body.taskId)}`)
const drain = (id) => ask('POST', `/api/fleet/${encodeURIComponent(id)}/drain`).then(() => `${id} takes no new tasks`)

function cell(label, ...children) {
  return element('td', label ? { data: { label } } : {}, ...children)
}

/** The part of a request that its row does not tell already: without the model, and with its letters as letters. */
function gist(request) {
  const text = (request ?? '').replace(/^\{"model":"[^"]*","(?:data|messages)":/, '')
  return text.replace(/\\u([0-9a-f]{4})/gi, (_, digits) => String.fromCharCode(parseInt(digits, 16)))
}

function showExecuting() {
  const { executing: all = [], counts } = state.picture
  const executing = firstRows('executing', all, showExecuting)
  showCount('executing', counts?.executing ?? executing.length, executing.length)
  reconcile(find('executing'), executing, (task) => task.task_id, (task) => {
    const origin = element('span', { class: 'sub' })
    const request = element('span', { class: 'request' })
    const worker = element('span', { class: 'mono' })
    const bar = element('progress', { max: '100', 'aria-label': `Progress of task ${task.task_id}` })
    const percent = element('span', { class: 'number' })
    const message = element('span', { class: 'sub' })
    const elapsed = element('span', { class: 'number' })
    const requestCell = cell('Request', request)
    requestCell.classList.add('wide')
    const row = element('tr', { data: { task: task.task_id } }, cell(null, taskButton(task), origin), requestCell, cell('Worker', worker),
      cell('Progress', element('span', { class: 'progress' }, bar, percent), message), cell('Elapsed', elapsed),
      cell(null, element('span', { class: 'actions' }, act('Cancel', `Cancel task ${task.task_id}`, () => cancel(task.task_id), 'small bad'))))
    row.children[4].classList.add('end')
    row.update = (task) => {
      say(origin, [task.group, task.model, task.user && `of ${task.user}`, task.attempts > 1 && `try ${task.attempts}`].filter(Boolean).join(' · '))
      say(request, gist(task.request))
      say(worker, task.worker_id ?? '')
      bar.value = task.progress
      say(percent, `${Math.round(task.progress)} %`)
      say(message, [task.step, task.message].filter(Boolean).join(' · '))
      row.since = task.started_at
      say(elapsed, span(now() - row.since))
      row.tick = () => say(elapsed, span(now() - row.since))
    }
    return row
  })
}

function showWaiting() {
  const { waiting: all = [], counts } = state.picture
  const waiting = firstRows('waiting', all, showWaiting)
  showCount('waiting', counts?.queued ?? waiting.length, waiting.length)
  reconcile(find('waiting'), waiting, (task) => task.task_id, (task) => {
    const place = element('span', { class: 'number' })
    const origin = element('span', { class: 'sub' })
    const group = element('span')
    const priority = element('span', { class: 'tag' })
    const age = element('span', { class: 'number' })
    const row = element('tr', { data: { task: task.task_id } }, cell('Place', place), cell(null, taskButton(task), origin), cell('Group', group), cell('Priority', priority),
      cell('Age', age), cell(null, element('span', { class: 'actions' }, act('Cancel', `Cancel task ${task.task_id}`, () => cancel(task.task_id), 'small bad'))))
    row.children[4].classList.add('end')
    row.update = (task) => {
      say(place, `#${count(task.position)}`)
      say(origin, [task.model, task.user && `of ${task.user}`, bytes(task.payload_bytes), task.attempts ? `${task.attempts} tries` : null].filter(Boolean).join(' · '))
      say(group, task.group ?? '')
      say(priority, task.priority)
      priority.className = `tag ${task.priority === 'high' ? 'warn' : ''}`
      row.tick = () => say(age, span(now() - task.created_at))
      row.tick()
    }
    return row
  })
}

function showGroups() {
  const groups = (state.picture.groups ?? []).slice(0, GROUPS)
  const others = Math.max((state.picture.counts?.groups ?? 0) - groups.length, 0)
  reconcile(find('groups'), others ? [...groups, { others }] : groups, (group) => group.group ?? 0, () => {
    const row = element('li', { class: 'tag' })
    row.update = (group) => {
      if (group.others) return say(row, `and ${count(group.others)} more`)
      say(row, `${group.group}: ${count(group.waiting)} waiting, ${count(group.workers)} ${group.workers === 1 ? 'worker' : 'workers'}`)
      row.className = `tag ${group.workers === 0 ? 'warn' : ''}`
    }
    return row
  })
}

const endings = { completed: 'good', failed: 'bad', cancelled: '' }

function showEnded() {
  const wanted = find('ended-filter').value
  const all = state.picture.ended ?? []
  const ended = firstRows('ended', all.filter((task) => !wanted || task.status === wanted), showEnded)
  showCount('ended', state.picture.counts?.remembered ?? all.length, ended.length, 'last')
  reconcile(find('ended'), ended, (task) => task.task_id, (task) => {
    const origin = element('span', { class: 'sub' })
    const tag = element('span', { class: 'tag' })
    const result = element('span', { class: 'clip mono' })
    const took = element('span', { class: 'number' })
    const when = element('time', { class: 'number' })
    const actions = element('span', { class: 'actions' })
    const resultCell = cell('Result', result)
    resultCell.classList.add('wide')
    const row = element('tr', { data: { task: task.task_id } }, cell(null, taskButton(task), origin), cell('End', tag), resultCell, cell('Took', took), cell('When', when), cell(null, actions))
    row.children[3].classList.add('end')
    row.children[4].classList.add('end')
    row.update = (task) => {
      say(origin, [task.group, task.model, task.worker_id].filter(Boolean).join(' · '))
      say(tag, task.status)
      tag.className = `tag ${endings[task.status] ?? ''}`
      say(result, task.error ?? task.result ?? '')
      mark(result, 'title', task.error ?? task.result ?? '')
      say(took, span(task.ended_at - task.created_at))
      say(when, time(task.ended_at))
      if (task.retryable && !actions.firstChild) actions.append(act('Retry', `Retry task ${task.task_id}`, () => replay(task.task_id)))
      if (!task.retryable) actions.replaceChildren()
    }
    return row
  })
}

function showLetters() {
  const { letters: all = [], counts } = state.picture
  const letters = firstRows('letters', all, showLetters)
  showCount('letters', counts?.letters ?? letters.length, letters.length, 'last')
  find('replay-all').hidden = letters.length === 0
  reconcile(find('letters'), letters, (letter) => letter.taskId, (letter) => {
    const words = element('span', { class: 'sub' })
    const error = element('span', { class: 'sub' })
    const row = element('li', { data: { task: letter.taskId } }, element('span', {}, element('code', { text: short(letter.taskId), title: letter.taskId })),
      element('span', { class: 'actions' },
        act('Replay', `Replay ${letter.taskId}`, () => replay(letter.taskId)),
        act('Delete', `Delete ${letter.taskId}`, () => ask('DELETE', `/api/dead-letters/${encodeURIComponent(letter.taskId)}`).then(() => 'It is forgotten'), 'small bad')),
      words, error)
    row.update = (letter) => {
      say(words, [letter.group, letter.model, time(letter.failedAt), `${letter.attempts} ${letter.attempts === 1 ? 'try' : 'tries'}`, bytes(letter.payloadBytes)].filter(Boolean).join(' · '))
      say(error, typeof letter.error === 'string' ? letter.error : pretty(letter.error))
    }
    return row
  })
}

function showWorkers() {
  const { workers: all = [], counts } = state.picture
  const workers = firstRows('workers', all, showWorkers)
  showCount('workers', counts?.workers ?? workers.length, workers.length)
  reconcile(find('workers'), workers, (worker) => worker.worker_id, (worker) => {
    const tag = element('span', { class: 'tag dot' })
    const hands = element('span', { class: 'hands', role: 'img' })
    const detail = element('span', { class: 'detail' })
    const tasks = element('span', { class: 'detail' })
    const gpus = element('ul', { class: 'gpus' })
    const button = act('Drain', `Drain worker ${worker.worker_id}`, () => drain(worker.worker_id))
    const row = element('li', { class: 'worker', data: { worker: worker.worker_id } },
      element('span', { class: 'head' }, element('span', { class: 'name', text: worker.worker_id }), tag, hands), button, detail, tasks, gpus)
    row.update = (worker) => {
      const word = worker.draining ? 'draining' : worker.busy >= worker.concurrency ? 'busy' : worker.busy ? 'working' : 'idle'
      say(tag, word)
      tag.className = `tag dot ${{ draining: 'warn', busy: 'accent', working: 'accent', idle: 'good' }[word]}`
      mark(hands, 'aria-label', `${worker.busy} of ${worker.concurrency} tasks in hand`)
      const width = Math.min(Math.max(worker.concurrency, worker.busy), 16)
      while (hands.childElementCount < width) hands.append(element('i'))
      while (hands.childElementCount > width) hands.lastElementChild.remove()
      Array.from(hands.children).forEach((hand, place) => { hand.className = place < worker.busy ? 'full' : '' })
      button.hidden = worker.draining
      const inHand = (state.picture.executing ?? []).filter((task) => task.worker_id === worker.worker_id).map((task) => short(task.task_id))
      say(tasks, inHand.length ? `holds ${inHand.slice(0, 6).join(' ')}${inHand.length > 6 ? ` and ${inHand.length - 6} more` : ''}` : '')
      row.tick = () => say(detail, [worker.group, worker.models.join(', '), `here for ${span(now() - Date.parse(worker.connected_at))}`].filter(Boolean).join(' · '))
      row.tick()
      showDevices(gpus, worker.gpus)
    }
    return row
  })
}

function showDevices(list, devices) {
  reconcile(list, devices, (device) => device.id, (device) => {
    const name = element('span', { class: 'clip' })
    const bar = element('progress', { max: '100', 'aria-label': `Load of GPU ${device.id}` })
    const words = element('span')
    const row = element('li', { class: 'gpu' }, name, bar, words)
    row.update = (device) => {
      say(name, device.name)
      bar.value = device.usage_percent ?? 0
      say(words, [`${Math.round(device.usage_percent ?? 0)} %`, device.temperature != null && `${Math.round(device.temperature)} °C`].filter(Boolean).join(' · '))
      mark(row, 'title', `${device.name}: load ${Math.round(device.usage_percent ?? 0)} %, memory ${Math.round(device.memory_usage_percent ?? 0)} %`)
    }
    return row
  })
}

// MARK: The machine, connections, alerts

function showMachine() {
  const { cpu, memory, disk, gpu } = state.resources ?? {}
  const meters = [
    cpu && { name: 'CPU', value: cpu.usage_percent, words: `${Math.round(cpu.usage_percent)} % of ${cpu.cores} cores` },
    memory && { name: 'Memory', value: memory.usage_percent, words: `${memory.available_gb} of ${memory.total_gb} GB free` },
    disk && { name: 'Disk', value: disk.usage_percent, words: `${disk.free_gb} of ${disk.total_gb} GB free` },
    ...(gpu?.devices ?? []).map((device) => ({ name: `GPU ${device.id}`, value: device.usage_percent, words: `${Math.round(device.usage_percent)} % · ${device.temperature} °C` })),
  ].filter(Boolean)
  reconcile(find('meters'), meters, (meter) => meter.name, (meter) => {
    const bar = element('progress', { max: '100', 'aria-label': `${meter.name} in use` })
    const words = element('span', { class: 'soft' })
    const row = element('li', {}, element('span', { text: meter.name }), bar, words)
    row.update = ({ value, words: text }) => {
      bar.value = value ?? 0
      say(words, text)
      mark(row, 'class', value >= 80 ? 'high' : null)
    }
    return row
  })
}

const protocolNames = {
  http: 'HTTP', event_stream: 'Event streams', worker: 'Workers', task: 'Task sockets', user: 'User sockets', hub: 'Hub', producer: 'Reporters',
  socket_io: 'Socket.IO', socket_io_polling: 'Socket.IO polling', dashboard: 'Dashboards', echo: 'Echo',
}

function showConnections() {
  const rows = Object.entries(state.picture.connections ?? {}).filter(([name]) => name in protocolNames)
  reconcile(find('connections'), rows, ([name]) => name, ([name]) => {
    const number = element('span')
    const row = element('li', {}, element('span', { text: protocolNames[name] }), number)
    row.update = ([, open]) => {
      say(number, count(open))
      mark(row, 'class', open ? null : 'none')
    }
    return row
  })
}

function noteAlert(alert) {
  if (alert.resolved) state.alerts.delete(alert.alert_id)
  else state.alerts.set(alert.alert_id, alert)
  note({ kind: alert.resolved ? 'activity' : 'problem', at: Date.parse(alert.created_at ?? alert.timestamp) || now(), key: `alert-${alert.alert_id}-${alert.severity}-${Boolean(alert.resolved)}`,
    word: 'alert', level: alert.resolved ? 'good' : 'bad', text: `${alert.resolved ? 'Over: ' : ''}${alert.title ?? alert.type}: ${alert.message ?? ''}` })
  const alerts = [...state.alerts.values()]
  find('alerts-panel').hidden = alerts.length === 0
  say(find('alerts-count'), count(alerts.length))
  reconcile(find('alerts'), alerts, (one) => one.alert_id, () => {
    const tag = element('span', { class: 'tag' })
    const words = element('span')
    const when = element('time')
    const row = element('li', {}, tag, words, when)
    row.update = (one) => {
      say(tag, one.severity ?? one.type)
      tag.className = `tag ${one.severity === 'critical' ? 'bad' : 'warn'}`
      say(words, [one.title, one.message].filter(Boolean).join(': '))
      const at = Date.parse(one.created_at ?? one.timestamp)
      say(when, at ? time(at) : '')
    }
    return row
  })
}

// MARK: The log

function noteExchange(exchange) {
  const level = exchange.status >= 500 ? 'bad' : exchange.status >= 400 ? 'warn' : 'good'
  note({ kind: 'request', isProblem: exchange.status >= 400, at: exchange.at, key: `request-${exchange.number}`, word: String(exchange.status), level,
    verb: exchange.method, text: exchange.path, took: span(exchange.ms), exchange }, true)
}

function noteActivity(activity) {
  const level = { error: 'bad', critical: 'bad', warning: 'warn' }[activity.severity] ?? 'accent'
  note({ kind: 'activity', isProblem: level === 'bad', at: Date.parse(activity.created_at) || now(), key: `activity-${activity.id}`, word: activity.severity, level, text: activity.message,
    took: activity.resource_type ?? '' })
}

function note(line, isQuiet = false) {
  state.log.push(line)
  state.log.sort((left, right) => right.at - left.at)
  if (state.log.length > LOG_LINES) state.log.length = LOG_LINES
  if (!isQuiet) showLogSoon()
}

let logTimer = null

/** Draws the log in a moment: what comes until then costs no drawing of its own. */
function showLogSoon() {
  logTimer ??= setTimeout(() => {
    logTimer = null
    showLog()
  }, LOG_PAUSE)
}

function showLog() {
  if (state.isPaused) return
  const kind = find('log-kind').value
  const text = find('log-text').value.trim().toLowerCase()
  const lines = state.log.filter((line) => {
    if (kind === 'problem' ? line.kind !== 'problem' && !line.isProblem : kind && line.kind !== kind) return false
    if (!text) return true
    return [line.verb, line.text, line.word, line.exchange?.request, line.exchange?.response].some((part) => part?.toLowerCase().includes(text))
  })
  say(find('log-left-out'), state.leftOut ? `${count(state.leftOut)} requests came too fast to be shown` : '')
  find('log-empty').hidden = lines.length > 0
  find('log').closest('.scroll').hidden = lines.length === 0
  reconcile(find('log'), firstRows('log', lines, showLog), (line) => line.key, logLine)
}

function logLine(line) {
  const head = [
    element('time', { text: time(line.at) }), element('span', {}, element('span', { class: `tag ${line.level}`, text: line.word })),
    element('span', { class: 'what' }, line.verb ? element('b', { text: `${line.verb} ` }) : null, element('span', { text: line.text })),
    element('span', { class: 'took', text: line.took ?? '' }),
  ]
  let row
  if (line.exchange) {
    const details = element('details', {}, element('summary', {}, ...head))
    details.addEventListener('toggle', () => {
      if (!details.open || details.childElementCount > 1) return
      details.append(element('div', { class: 'bodies' },
        body('Request', line.exchange.request, line.exchange.request_bytes), body('Answer', line.exchange.response, line.exchange.response_bytes)))
    })
    row = element('li', {}, details)
  } else {
    row = element('li', {}, element('div', { class: 'line' }, ...head))
  }
  row.update = () => {}
  return row
}

function body(title, text, size) {
  const shown = text === null ? 'not a text' : text === '' ? 'empty' : prettyText(text)
  return element('div', {}, element('h3', { text: `${title}, ${bytes(size)}` }), element('pre', { class: 'code', tabindex: '0', text: shown }))
}

for (const id of ['log-kind', 'log-text']) find(id).addEventListener('input', showLog)
find('log-filters').addEventListener('submit', (event) => event.preventDefault())
find('log-clear').addEventListener('click', () => {
  state.log = []
  state.leftOut = 0
  showLog()
})
find('log-pause').addEventListener('click', (event) => {
  state.isPaused = !state.isPaused
  mark(event.target, 'aria-pressed', state.isPaused)
  say(event.target, state.isPaused ? 'Go on' : 'Pause')
  showLog()
})
find('ended-filter').addEventListener('change', showEnded)
find('replay-all').addEventListener('click', async () => {
  try {
    const { body: answer } = await ask('POST', '/api/dead-letters/replay', {})
    toast(`${count(answer.replayed?.length ?? answer.replayed)} tried again, ${count(answer.remaining)} left`)
  } catch (problem) {
    toast(problem.message)
  }
})

// MARK: One task

let wanted = null

function openTask(id) {
  wanted = id
  feed.send({ type: 'task', task_id: id })
}

function showTask(task) {
  if (task.task_id !== wanted) return
  wanted = null
  if (task.gone) return toast('The server remembers this task no longer')
  say(find('task-title'), `Task ${task.task_id}`)
  const tag = find('task-state')
  say(tag, task.status)
  tag.className = `tag ${endings[task.status] ?? 'accent'}`
  const pairs = {
    Group: task.group, Model: task.model, User: task.user, Priority: task.priority, Kind: task.kind, Provider: task.provider, Worker: task.worker_id,
    Progress: `${Math.round(task.progress)} %`, Step: task.step, Message: task.message, Tries: task.attempts, Events: task.seq, Timeout: span(task.timeout),
    Submitted: time(task.created_at), Started: task.started_at && time(task.started_at), Ended: task.ended_at && time(task.ended_at),
  }
  find('task-pairs').replaceChildren(...Object.entries(pairs).filter(([, value]) => value !== null && value !== undefined && value !== '')
    .map(([name, value]) => element('div', {}, element('dt', { text: name }), element('dd', { text: value }))))
  const parts = { Request: task.payload, Step: task.step_info, Result: task.result, Error: task.error }
  find('task-parts').replaceChildren(...Object.entries(parts).filter(([, value]) => value !== null && value !== undefined)
    .map(([name, value]) => element('div', {}, element('h3', { text: name }), element('pre', { class: 'code', tabindex: '0', text: pretty(value) }))))
  const actions = find('task-actions')
  actions.replaceChildren()
  if (['queued', 'executing'].includes(task.status)) actions.append(act('Cancel task', `Cancel task ${task.task_id}`, () => cancel(task.task_id), 'bad'))
  const dialog = find('task')
  if (!dialog.open) dialog.showModal()
}
find('task-close').addEventListener('click', () => find('task').close())

// MARK: Time

setInterval(() => {
  if (document.hidden) return
  for (const name of ['executing', 'waiting', 'workers']) for (const row of find(name).children) row.tick?.()
}, 1000)

feed.open()
fleet.open()
