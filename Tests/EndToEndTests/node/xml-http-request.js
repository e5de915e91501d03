// As much of XMLHttpRequest as Socket.IO's client uses for polling, on Node's own HTTP clients.
const clients = { 'http:': require('node:http'), 'https:': require('node:https') }

const agents = Object.fromEntries(Object.entries(clients).map(([name, { Agent }]) => [name, new Agent({ keepAlive: true })]))

module.exports = class XMLHttpRequest {
  constructor() {
    this.readyState = 0
    this.status = 0
    this.responseText = ''
    this.responseType = ''
    this.withCredentials = false
    this.onreadystatechange = null
  }

  open(method, url) {
    const { protocol } = new URL(url)
    this.request = clients[protocol].request(url, { method, agent: agents[protocol] })
    this.request.on('response', (response) => {
      response.setEncoding('utf8')
      response.on('data', (text) => { this.responseText += text })
      response.on('end', () => this.finish(response.statusCode))
      response.on('error', () => this.finish(0))
    })
    this.request.on('error', () => this.finish(0))
    this.readyState = 1
  }

  setRequestHeader(name, value) { this.request.setHeader(name, value) }

  getResponseHeader() { return null }

  send(body) { this.request.end(body ?? undefined) }

  abort() {
    this.onreadystatechange = null
    this.request.destroy()
  }

  finish(status) {
    if (this.readyState === 4) return
    this.status = status
    this.readyState = 4
    this.onreadystatechange?.()
  }
}
