// docs.js: reads `/openapi.json` and `/asyncapi.json` and sets them out to be read and tried. Knows as much of both forms as these two
// files use. A request leaves only when somebody presses the button.
import { element, find, prepareLogin, pretty, prettyText, say, span, token } from './house.js'
import { Talk } from './sockets.js'

prepareLogin(() => {})

const METHODS = ['get', 'post', 'put', 'delete']

// MARK: Contents

const anchor = (text) => text.toLowerCase().replace(/[^a-z0-9]+/g, '-').replace(/^-|-$/g, '')

function section(name, description, entries) {
  const id = anchor(name)
  return { name, id, entries, section: element('section', { class: 'group', id, 'aria-labelledby': `${id}-title` }, element('h2', { id: `${id}-title`, text: name }),
    element('p', { text: description }), ...entries.map((entry) => entry.details)) }
}

function prepareSearch(groups) {
  find('find').addEventListener('input', (event) => {
    const wanted = event.target.value.trim().toLowerCase()
    for (const group of groups) {
      let isAny = false
      for (const entry of group.entries) {
        const isFound = !wanted || `${entry.title} ${entry.words}`.toLowerCase().includes(wanted)
        entry.details.hidden = !isFound
        isAny ||= isFound
      }
      group.section.hidden = !isAny
    }
  })
}

// MARK: Requests

/** What a reference names. */
function resolve(document, value) {
  if (!value?.$ref) return value
  return value.$ref.slice(2).split('/').reduce((place, key) => place?.[key.replaceAll('~1', '/').replaceAll('~0', '~')], document)
}

function requestGroups(document) {
  return document.tags.map((tag) => {
    const entries = []
    for (const [path, item] of Object.entries(document.paths)) {
      for (const method of METHODS) if (item[method]?.tags.includes(tag.name)) entries.push(request(document, path, method, item[method]))
    }
    return section(tag.name, tag.description ?? '', entries)
  })
}

function request(document, path, method, operation) {
  const id = operation.operationId
  const details = element('details', { class: 'operation panel', id }, element('summary', {}, element('span', { class: `method ${method}`, text: method.toUpperCase() }),
    element('code', { text: path }), element('span', { class: 'soft', text: operation.summary })))
  // Most of them are never opened.
  details.addEventListener('toggle', () => {
    if (details.open && details.childElementCount === 1) details.append(requestBody(document, path, method, operation))
  })
  return { id, title: operation.summary, words: `${method} ${path} ${id}`, details }
}

function requestBody(document, path, method, operation) {
  const parameters = (operation.parameters ?? []).map((parameter) => resolve(document, parameter))
  const body = operation.requestBody?.content?.['application/json']
  const schema = body && resolve(document, body.schema)
  return element('div', { class: 'body' },
    operation.description ? element('p', { text: operation.description }) : null,
    parameters.length ? element('div', {}, element('h3', { text: 'Parameters' }), element('ul', { class: 'rows' }, ...parameters.map((one) => row(one.name, `${one.in}${one.required ? ', needed' : ''} · ${kind(document, one.schema)}`, one.description)))) : null,
    schema ? element('div', {}, element('h3', { text: 'Body' }), members(document, schema)) : null,
    attempt(path, method, parameters, body),
    element('div', {}, element('h3', { text: 'Answers' }), element('ul', { class: 'responses' }, ...Object.entries(operation.responses).map(([status, response]) => answer(document, status, resolve(document, response))))))
}

function row(name, small, words) {
  return element('li', {}, element('span', {}, element('code', { text: name }), element('span', { class: 'sub', text: small })), element('span', { text: words ?? '' }))
}

/** A schema in a few words. */
function kind(document, schema) {
  const found = resolve(document, schema) ?? {}
  if (found.enum) return found.enum.map(String).join(' | ')
  if (found.const !== undefined) return String(found.const)
  if (found.anyOf) return found.anyOf.map((one) => kind(document, one)).join(' or ')
  const type = [found.type ?? 'any JSON'].flat().join(' or ')
  const bounds = [found.minimum !== undefined && `from ${found.minimum}`, found.maximum !== undefined && `to ${found.maximum}`, found.maxLength !== undefined && `at most ${found.maxLength} characters`, found.default !== undefined && `else ${found.default}`]
  return [found.type === 'array' ? `array of ${kind(document, found.items)}` : type, ...bounds.filter(Boolean)].join(', ')
}

function members(document, schema) {
  const parts = [schema, ...(schema.allOf ?? []).map((one) => resolve(document, one))]
  const properties = Object.assign({}, ...parts.map((part) => part.properties ?? {}))
  const needed = parts.flatMap((part) => part.required ?? [])
  const words = parts.map((part) => part.description).filter(Boolean).join(' ')
  const rows = Object.entries(properties).map(([name, property]) => row(name, `${needed.includes(name) ? 'needed · ' : ''}${kind(document, property)}`, resolve(document, property).description))
  return element('div', {}, words ? element('p', { class: 'soft', text: words }) : null, rows.length ? element('ul', { class: 'rows' }, ...rows) : null)
}

function answer(document, status, response) {
  const [type, content] = Object.entries(response.content ?? {})[0] ?? []
  const level = status < 300 ? 'good' : status < 500 ? 'warn' : 'bad'
  const example = content?.example
  return element('li', {}, element('span', { class: 'line' }, element('span', { class: `tag ${level}`, text: status }), element('span', { text: response.description }), type ? element('span', { class: 'soft mono', text: type }) : null),
    example !== undefined && status < 300 ? element('pre', { class: 'code', tabindex: '0', 'aria-label': `Example of ${status}`, text: pretty(example) }) : null)
}

// MARK: Trying

function attempt(path, method, parameters, body) {
  const inputs = parameters.map((parameter) => {
    const id = `${method}-${anchor(path)}-${parameter.name}`
    const input = parameter.schema.enum
      ? element('select', { id }, parameter.required ? null : element('option', { value: '', text: '' }), ...parameter.schema.enum.map((value) => element('option', { text: value })))
      : element('input', { id, autocomplete: 'off', spellcheck: 'false', placeholder: parameter.required ? 'needed' : '' })
    if (parameter.in === 'path' && parameter.example !== undefined) input.value = parameter.example
    return { parameter, input, field: element('div', { class: 'field' }, element('label', { for: id, text: parameter.name }), input) }
  })
  const text = body ? element('textarea', { rows: String(Math.min(12, pretty(body.example ?? {}).split('\n').length + 1)), spellcheck: 'false', 'aria-label': `Body of ${method.toUpperCase()} ${path}` }) : null
  if (text) text.value = pretty(body.example ?? {})
  const send = element('button', { type: 'submit', class: method === 'delete' ? 'bad' : 'main', text: 'Send' })
  const result = element('div')
  const form = element('form', { class: 'try', 'aria-label': `Try ${method.toUpperCase()} ${path}` }, inputs.length ? element('div', { class: 'fields' }, ...inputs.map((one) => one.field)) : null, text, element('div', { class: 'actions' }, send), result)
  form.addEventListener('submit', async (event) => {
    event.preventDefault()
    send.disabled = true
    result.replaceChildren()
    let target = path
    const query = new URLSearchParams()
    const headers = {}
    for (const { parameter, input } of inputs) {
      if (parameter.in === 'path') target = target.replace(`{${parameter.name}}`, encodeURIComponent(input.value))
      else if (input.value && parameter.in === 'query') query.set(parameter.name, input.value)
      else if (input.value && parameter.in === 'header') headers[parameter.name] = input.value
    }
    if (token.value) headers.Authorization = `Bearer ${token.value}`
    if (text) headers['Content-Type'] = 'application/json'
    const began = performance.now()
    try {
      const address = `${target}${query.size ? `?${query}` : ''}`
      const stop = new AbortController()
      const response = await fetch(address, { method: method.toUpperCase(), headers, body: text?.value || undefined, signal: stop.signal })
      const took = performance.now() - began
      const shown = element('pre', { class: 'code', tabindex: '0', 'aria-label': 'The answer' })
      const level = response.status < 300 ? 'good' : response.status < 500 ? 'warn' : 'bad'
      result.append(element('p', { class: 'line' }, element('span', { class: `tag ${level}`, text: response.status }), element('span', { class: 'mono', text: `${method.toUpperCase()} ${address}` }), element('span', { class: 'soft', text: span(took) })), shown)
      say(find('announcement'), `Answered with ${response.status} after ${span(took)}`)
      await read(response, shown, stop)
    } catch (fault) {
      result.append(element('p', { class: 'problem', text: fault.message }))
    }
    send.disabled = false
  })
  return element('div', {}, element('h3', { text: 'Try it' }), form)
}

/** Shows an answer; of a stream, what has come so far, and no more than a person reads. */
async function read(response, shown, stop) {
  if (!response.headers.get('Content-Type')?.startsWith('text/event-stream')) {
    const text = await response.text()
    shown.textContent = text.length > 200_000 ? `${text.slice(0, 200_000)}…` : prettyText(text) || 'no content'
    return
  }
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
  let text = ''
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    text += part.value
    shown.textContent = text
    if (text.length > 200_000) return stop.abort()
  }
}

// MARK: Sockets

function socketGroup(document) {
  const entries = Object.entries(document.channels).map(([name, channel]) => {
    const id = `socket-${name}`
    const details = element('details', { class: 'operation panel', id }, element('summary', {}, element('span', { class: 'method socket', text: 'WS' }),
      element('code', { text: channel.address }), element('span', { class: 'soft', text: channel.title })))
    details.addEventListener('toggle', () => {
      if (details.open && details.childElementCount === 1) details.append(socketBody(document, name, channel))
    })
    return { id, title: channel.title, words: channel.address, details }
  })
  return section('Sockets', document.info.description, entries)
}

function socketBody(document, name, channel) {
  const operations = Object.values(document.operations).filter((one) => one.channel.$ref === `#/channels/${name}`)
  const list = (action) => operations.filter((one) => one.action === action).flatMap((one) => one.messages).map((one) => resolve(document, resolve(document, one)))
  const messages = (title, all) => all.length ? element('div', {}, element('h3', { text: title }), element('ul', { class: 'responses' }, ...all.map((message) => element('li', {},
    element('span', { class: 'line' }, element('code', { text: message.name }), element('span', { text: message.summary ?? '' })),
    ...(message.examples ?? []).map((example) => element('pre', { class: 'code', tabindex: '0', 'aria-label': `Example of ${message.name}`, text: pretty(example.payload) })))))) : null
  const parameters = [...Object.entries(channel.parameters ?? {}).map(([key, one]) => row(key, 'path', one.description)),
    ...Object.entries(channel.bindings?.ws?.query?.properties ?? {}).map(([key, one]) => row(key, `query · ${kind(document, one)}`, one.description))]
  return element('div', { class: 'body' }, channel.description ? element('p', { text: channel.description }) : null,
    parameters.length ? element('div', {}, element('h3', { text: 'Parameters' }), element('ul', { class: 'rows' }, ...parameters)) : null,
    conversation(channel, list('receive')),
    // The application’s view: what it receives, a client sends.
    messages('A client sends', list('receive')), messages('A client gets', list('send')))
}

function conversation(channel, sent) {
  const address = element('input', { class: 'mono', 'aria-label': `Address of ${channel.title}`, spellcheck: 'false', autocomplete: 'off' })
  address.value = channel.address
  const text = element('input', { class: 'mono', 'aria-label': `Message to ${channel.title}`, spellcheck: 'false', autocomplete: 'off' })
  text.value = sent[0]?.examples?.[0] ? pretty(sent[0].examples[0].payload).replace(/\n\s*/g, '') : ''
  const lines = element('ol', { class: 'talk' })
  const connect = element('button', { type: 'button', class: 'main', text: 'Connect' })
  const send = element('button', { type: 'submit', text: 'Send', disabled: true })
  const note = (mark, words) => {
    lines.append(element('li', {}, element('b', { text: mark }), element('pre', { text: words.length > 4000 ? `${words.slice(0, 4000)}…` : words })))
    while (lines.childElementCount > 100) lines.firstElementChild.remove()
  }
  let socket = null
  const settle = () => {
    say(connect, socket ? 'Disconnect' : 'Connect')
    send.disabled = !socket?.isConnected
  }
  connect.addEventListener('click', () => {
    if (socket) return socket.disconnect()
    socket = new Talk(address.value)
    socket.on('open', settle)
    socket.on('message', (words) => note('←', words))
    socket.on('disconnected', ({ code, reason, fault }) => {
      socket = null
      note('·', fault ? fault.message : `closed ${code} ${reason}`)
      settle()
    })
    socket.open()
    settle()
  })
  const form = element('form', { class: 'try', 'aria-label': `Try ${channel.title}` }, address, text, element('div', { class: 'actions' }, connect, send), lines)
  form.addEventListener('submit', (event) => {
    event.preventDefault()
    if (!socket?.isConnected) return
    socket.sendText(text.value)
    note('→', text.value)
  })
  return element('div', {}, element('h3', { text: 'Try it' }), form)
}

// MARK: The page

try {
  const [openapi, asyncapi] = await Promise.all(['/openapi.json', '/asyncapi.json'].map((path) => fetch(path).then((response) => response.json())))
  say(find('introduction'), openapi.info.description)
  const groups = [...requestGroups(openapi), socketGroup(asyncapi)]
  find('request-groups').append(...groups.slice(0, -1).map((group) => group.section))
  find('socket-groups').append(groups.at(-1).section)
  find('contents').append(...groups.map(({ name, id, entries }) => element('li', {}, element('a', { href: `#${id}`, text: name }),
    element('ul', {}, ...entries.map((entry) => element('li', {}, element('a', { href: `#${entry.id}`, text: entry.title })))))))
  prepareSearch(groups)
  const open = () => {
    const wanted = document.getElementById(decodeURIComponent(location.hash.slice(1)))
    if (wanted?.tagName === 'DETAILS') wanted.open = true
    wanted?.scrollIntoView()
  }
  window.addEventListener('hashchange', open)
  open()
} catch (fault) {
  say(find('problem'), `The description could not be read: ${fault.message}`)
  find('problem').hidden = false
}
