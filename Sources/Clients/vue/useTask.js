// useTask: tasks in a Vue 3 component, as refs that change as they happen. Opens its socket when the component is mounted and closes it
// when it is unmounted. Needs Vue (3.3 or newer) and ../javascript/signalbox.js, nothing else.
//
//     const { progress, status, message, result, error } = useTask('task-001', { userId: 'user-123' })
//     const { tasks, connectionStatus, subscribeTask, unsubscribeTask } = useUserTasks(authStore.user.id, authStore.token)
import { getCurrentScope, onMounted, onScopeDispose, ref, toValue, watch } from 'vue'
import { ProgressHubClient, TaskNotificationClient } from '../javascript/signalbox.js'

/**
 * One task, over the hub's socket.
 * @param {string | import('vue').Ref<string> | (() => string)} taskId the task; a ref or a getter may name another one later
 * @param {ConstructorParameters<typeof ProgressHubClient>[0]} [options]
 */
export function useTask(taskId, options = {}) {
  const [progress, status, message, step] = [ref(0), ref('pending'), ref(''), ref('')]
  const [result, error, connectionStatus] = [ref(/** @type {any} */ (null)), ref(/** @type {any} */ (null)), ref('disconnected')]
  const hub = new ProgressHubClient(options)
  const told = (/** @type {any} */ payload) => {
    progress.value = payload.progress ?? (payload.status === 'completed' ? 100 : progress.value)
    status.value = payload.status ?? status.value
    message.value = payload.message ?? message.value
    step.value = payload.current_step ?? step.value
    result.value = payload.result ?? result.value
    error.value = payload.error || error.value
  }
  for (const event of ['progress', 'status']) hub.on(event, told)
  hub.on('error', (payload) => { error.value = payload.error ?? error.value })
  follow(hub, connectionStatus)
  watch(() => toValue(taskId), (name) => {
    for (const former of hub.topics) hub.unsubscribe(former)
    progress.value = 0
    status.value = 'pending'
    message.value = step.value = ''
    result.value = error.value = null
    hub.subscribe(name)
  }, { immediate: true })
  return { progress, status, message, step, result, error, connectionStatus }
}

/**
 * All tasks of a user, over his socket.
 * @param {string | number} userId
 * @param {import('../javascript/signalbox.js').Token} [token]
 * @param {ConstructorParameters<typeof TaskNotificationClient>[2]} [options]
 */
export function useUserTasks(userId, token, options = {}) {
  const tasks = ref(/** @type {Record<string, any>} */ ({}))
  const connectionStatus = ref('disconnected')
  const client = new TaskNotificationClient(userId, token, options)
  client.on('active_tasks', (list) => { for (const task of list) tasks.value[task.task_id] = task })
  client.on('task_status', (task) => { tasks.value[task.task_id] = task })
  follow(client, connectionStatus)
  return {
    tasks, connectionStatus, subscribeTask: (/** @type {string} */ id) => client.subscribeTask(id),
    unsubscribeTask: (/** @type {string} */ id) => client.unsubscribeTask(id),
  }
}

/**
 * Opens the socket with the component and closes it with it.
 * @param {ProgressHubClient | TaskNotificationClient} client
 * @param {import('vue').Ref<string>} connectionStatus
 */
function follow(client, connectionStatus) {
  for (const event of ['connected', 'reconnected']) client.on(event, () => { connectionStatus.value = 'connected' })
  client.on('disconnected', ({ willReconnect }) => { connectionStatus.value = willReconnect ? 'reconnecting' : 'disconnected' })
  onMounted(() => client.connect())
  if (getCurrentScope()) onScopeDispose(() => client.disconnect())
}
