#!/usr/bin/env node
// Gives a task in and watches it to its end.
//
//     node watcher-example.mjs [URL] [TOKEN]        (Node 22 or later; before that: npm install ws)
import { SignalboxClient } from '../javascript/signalbox.js'

const client = new SignalboxClient({
  url: process.argv[2] ?? process.env.SIGNALBOX_URL ?? 'http://localhost:8000', token: process.argv[3] ?? process.env.SIGNALBOX_TOKEN,
})
const taskId = await client.submit({ content: 'one two three', pause: 0.1 })
console.log(`submitted ${taskId}`)
const task = client.watch(taskId)
task.on('current_status', ({ status, progress }) => console.log(`${status}, ${progress} %`))
task.on('task_progress', ({ progress, message }) => console.log(`${progress} % ${message}`))
task.on('task_logs', ({ logs }) => console.log(`log: ${logs}`))
task.on('task_error', ({ error_message: words }) => console.error(`error: ${words}`))
task.on('reconnecting', ({ delay }) => console.log(`the connection is gone; trying again in ${delay / 1000} s`))
const end = await task.end()
console.log(end.success ? `result: ${JSON.stringify(end.result_data)}` : 'no success')
process.exitCode = end.success ? 0 : 1
