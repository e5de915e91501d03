// house.js: what all pages have in common: elements, figures, the token, requests. Everything that somebody gave becomes text here and
// nothing else: no page of ours writes markup.

// MARK: Elements

/** Makes an element: `element('td', { class: 'end', text: 'x', on: { click } }, child, …)`. Children that are no nodes become texts. */
export function element(name, properties = {}, ...children) {
  const made = document.createElement(name)
  for (const [key, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue
    if (key === 'text') made.textContent = value
    else if (key === 'on') for (const [event, listener] of Object.entries(value)) made.addEventListener(event, listener)
    else if (key === 'data') Object.assign(made.dataset, value)
    else if (value === true) made.setAttribute(key, '')
    else made.setAttribute(key, value)
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false))
  return made
}

export const find = (id) => document.getElementById(id)

/** Sets a text only where it is another one, so that selections and readers are left alone. */
export function say(node, text) {
  text = String(text ?? '')
  if (node.textContent !== text) node.textContent = text
}

/** Sets an attribute, or takes it away. */
export function mark(node, name, value) {
  if (value === null || value === undefined || value === false) node.removeAttribute(name)
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value)
}

const rowsOf = new WeakMap()

/**
 * Makes the children of `parent` those of `items`, in their order. What has the same key stays the same element, so that focus and
 * selection stay where they are. `make` answers an element that has `update(item)`.
 */
export function reconcile(parent, items, keyOf, make) {
  if (!rowsOf.has(parent)) rowsOf.set(parent, new Map())
  const known = rowsOf.get(parent)
  const seen = new Set()
  let place = parent.firstElementChild
  for (const item of items) {
    const key = keyOf(item)
    if (seen.has(key)) continue
    seen.add(key)
    let row = known.get(key)
    if (!row) {
      row = make(item)
      known.set(key, row)
    }
    row.update(item)
    if (row === place) place = place.nextElementSibling
    else parent.insertBefore(row, place)
  }
  for (const [key, row] of known) {
    if (seen.has(key)) continue
    row.remove()
    known.delete(key)
  }
}

// MARK: Figures

const grouped = new Intl.NumberFormat('en', { maximumFractionDigits: 0 })
export const count = (number) => grouped.format(number ?? 0)

const rounded = new Intl.NumberFormat('en', { notation: 'compact' })
/** A figure where there is little room: 60K. */
export const roughly = (number) => rounded.format(number)

export function bytes(number) {
  if (number === undefined || number === null) return '–'
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  let unit = 0
  while (number >= 1024 && unit < units.length - 1) {
    number /= 1024
    unit += 1
  }
  return `${number < 10 && unit > 0 ? number.toFixed(1) : Math.round(number)} ${units[unit]}`
}

/** A duration of so many milliseconds, short. */
export function span(milliseconds) {
  if (milliseconds === undefined || milliseconds === null || Number.isNaN(milliseconds)) return '–'
  const ms = Math.max(milliseconds, 0)
  if (ms === 0) return '0'
  if (ms < 1) return `${Math.round(ms * 1000)} µs`
  if (ms < 10) return `${ms.toFixed(1)} ms`
  if (ms < 1000) return `${Math.round(ms)} ms`
  const seconds = ms / 1000
  if (seconds < 60) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return `${minutes} min ${Math.floor(seconds % 60)} s`
  const hours = Math.floor(minutes / 60)
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`
}

const clock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' })
export const time = (milliseconds) => clock.format(new Date(milliseconds))

/** A task's name, shortened: of a UUID the end, because names of one moment begin alike. */
export const short = (id) => (/^[0-9a-f-]{36}$/.test(id) ? `…${id.slice(-8)}` : id.length > 22 ? `${id.slice(0, 12)}…${id.slice(-7)}` : id)

/** JSON as a person reads it: numbers stay as they were written, because nothing is parsed that need not be. */
export function pretty(value) {
  return typeof value === 'string' ? value : JSON.stringify(value, null, 2)
}

/** A text that may be JSON, set out in lines if it is; numbers that a double cannot hold are left as they came. */
export function prettyText(text) {
  if (/\d{16}/.test(text)) return text
  try {
    return JSON.stringify(JSON.parse(text), null, 2)
  } catch {
    return text
  }
}

// MARK: The token

const TOKEN = 'signalbox-token'
export const token = {
  get value() { return sessionStorage.getItem(TOKEN) ?? '' },
  set value(text) {
    if (text) sessionStorage.setItem(TOKEN, text)
    else sessionStorage.removeItem(TOKEN)
  },
}

/** Asks the server; answers `{ status, body }`, and throws a sentence where it refuses. */
export async function ask(method, path, body) {
  const headers = {}
  if (token.value) headers.Authorization = `Bearer ${token.value}`
  if (body !== undefined) headers['Content-Type'] = 'application/json'
  const response = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) })
  const text = await response.text()
  let answer = text
  try {
    answer = JSON.parse(text)
  } catch {
    // Not all answers are JSON.
  }
  if (!response.ok) throw new Error(typeof answer?.error === 'string' ? answer.error : `The server answered ${response.status}`)
  return { status: response.status, body: answer }
}

// MARK: Words to the person

/** Says something in the corner, for a while; a reader hears it too. */
export function toast(text) {
  let list = find('toasts')
  if (!list) {
    list = element('ul', { id: 'toasts', class: 'toasts', role: 'status' })
    document.body.append(list)
  }
  const line = element('li', { text })
  list.append(line)
  setTimeout(() => line.remove(), 5000)
  while (list.childElementCount > 3) list.firstElementChild.remove()
}

/**
 * The log-in: a dialog with one field. `changed` is called with every new token.
 */
export function prepareLogin(changed) {
  const dialog = find('login')
  const field = find('token')
  const button = find('login-button')
  const settle = () => say(button, token.value ? 'Log out' : 'Log in')
  button.addEventListener('click', () => {
    if (token.value) {
      token.value = ''
      settle()
      changed()
    } else {
      dialog.showModal()
    }
  })
  find('login-form').addEventListener('submit', (event) => {
    event.preventDefault()
    token.value = field.value.trim()
    field.value = ''
    dialog.close()
    settle()
    changed()
  })
  find('login-cancel').addEventListener('click', () => dialog.close())
  settle()
  return {
    /** Asks for a token, and says why. */
    ask(problem) {
      token.value = ''
      settle()
      say(find('login-problem'), problem)
      find('login-problem').hidden = !problem
      if (!dialog.open) dialog.showModal()
    },
  }
}
