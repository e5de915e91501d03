#!/usr/bin/env node
// A Signalbox worker in JavaScript: takes the tasks of a group, works on them, answers.
//
//     node worker-node.js [URL] [GROUP]        (Node 22 or later; before that: npm install ws)
//
// URL and GROUP may also stand in the environment, as SIGNALBOX_URL and WORKER_GROUP.
// To make it your own, write another `processTask`.
'use strict';

const WebSocket = globalThis.WebSocket ?? require('ws');

const url = new URL(process.argv[2] ?? process.env.SIGNALBOX_URL ?? 'ws://localhost:8000/ws');
url.searchParams.set('group', process.argv[3] ?? process.env.WORKER_GROUP ?? 'default');
const heartbeat = 20_000; // milliseconds of silence after which the worker asks whether the server is still there

// The work itself: here it puts `data.content` into capitals, word by word, with a `pause` (seconds) after each.
// Returns the result or throws what went wrong. `report(percent, message)` says how far it is; `signal` is an AbortSignal.
async function processTask(payload, report, signal) {
  const { content, pause = 0 } = payload.data ?? {};
  if (content === undefined) throw new Error('data.content is missing');
  const words = content.split(' ');
  for (const [number, word] of words.entries()) {
    report(Math.floor((100 * number) / words.length), `at ${word}`);
    words[number] = word.toUpperCase();
    if (pause > 0) await sleep(pause * 1000, signal);
  }
  return { success: true, data: words.join(' ') };
}

// Waits; an abort ends the wait with an error.
function sleep(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener('abort', () => { clearTimeout(timer); reject(new Error('cancelled')); });
  });
}

let socket;
let pause = 1;
let leaving = false;

function connect() {
  const running = new Map(); // the tasks in hand, each with its AbortController
  const ws = (socket = new WebSocket(url));
  const send = (message) => { if (ws.readyState === WebSocket.OPEN) ws.send(JSON.stringify(message)); };
  let lastWord = Date.now();
  const pulse = setInterval(() => {
    if (Date.now() - lastWord > 3 * heartbeat) ws.close();
    else send({ type: 'ping' });
  }, heartbeat);

  // `lease` says which assignment of the task this is: words about one that is over are refused.
  async function work(taskId, lease, payload) {
    const began = Date.now();
    const control = new AbortController();
    running.set(taskId, control);
    const report = (progress, message) => send({ type: 'task_progress', taskId, lease, progress, message });
    try {
      const result = await processTask(payload, report, control.signal);
      send({ type: 'task_complete', taskId, lease, result, duration: Date.now() - began });
    } catch (error) {
      send({ type: 'task_error', taskId, lease, error: error.message, duration: Date.now() - began });
    }
    running.delete(taskId);
  }

  ws.onmessage = (event) => {
    lastWord = Date.now();
    const message = JSON.parse(event.data);
    if (message.type === 'connected') {
      console.log(`connected as ${message.workerId}`);
      pause = 1;
      send({ type: 'ready' });
    } else if (message.type === 'task') {
      console.log(`working on ${message.taskId}`);
      work(message.taskId, message.lease, message.payload);
    } else if (message.type === 'cancel' && running.has(message.taskId)) {
      console.log(`cancelled ${message.taskId}`);
      running.get(message.taskId).abort();
    } else if (message.type === 'error') {
      console.log(`the server refused: ${event.data}`);
    }
  };
  ws.onerror = () => {}; // the close that follows tells the rest
  ws.onclose = () => {
    clearInterval(pulse);
    for (const control of running.values()) control.abort(); // nobody is there any more to hear of these
    if (leaving) return console.log('good-bye');
    console.log(`the connection is gone; trying again in ${pause} s`);
    setTimeout(connect, pause * 1000);
    pause = Math.min(2 * pause, 30);
  };
}

process.on('SIGINT', () => {
  if (leaving || socket.readyState !== WebSocket.OPEN) process.exit(0);
  leaving = true;
  socket.close();
});

connect();
