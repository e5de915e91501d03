// The official Socket.IO client as it is made for browsers, with the things of a browser that it uses. Which copy of it: SOCKET_IO_CLIENT.
globalThis.WebSocket = require('ws')
globalThis.XMLHttpRequest = require('./xml-http-request.js')
globalThis.FileReader = class FileReader {
  async readAsDataURL(blob) {
    this.result = 'data:;base64,' + Buffer.from(await blob.arrayBuffer()).toString('base64')
    this.onload()
  }
}
module.exports = require(process.env.SOCKET_IO_CLIENT)
