// RealtimeProgressTracker: the progress of one task in a React page, as it happens. Needs React and ../javascript/signalbox.js, nothing
// else; has the properties of the hub's document and no others. A token, where the server asks for one, stands in `wsUrl` as `?token=`.
import { useEffect, useId, useRef, useState } from 'react'
import { ProgressHubClient } from '../javascript/signalbox.js'

/** How a task stands. */
export interface TaskProgress {
  task_id: string
  /** 0 to 100. */
  progress: number
  status: string
  message: string
  current_step: string
  total_steps: number
  completed_steps: number
  timestamp?: string
  seq?: number
  result?: unknown
}

export interface RealtimeProgressTrackerProps {
  taskId: string
  /** Default: `anonymous`. */
  userId?: string
  projectId?: string
  /** The hub's socket, as `ws://host/api/v1/ws`; default: that of the page's own server. */
  wsUrl?: string
  onProgress?: (progress: TaskProgress) => void
  onComplete?: (progress: TaskProgress) => void
  /** The words of a failure; of a lost connection they begin with 连接错误, of a refused token with 认证失败. */
  onError?: (error: string) => void
  /** Gets the new name that the server gave to this client. */
  onReconnect?: (clientId: string) => void
  showHistory?: boolean
  autoReconnect?: boolean
  /** Tries in a row; 5, where nothing is said. */
  maxReconnectAttempts?: number
}

type Link = 'connecting' | 'connected' | 'reconnecting' | 'disconnected'

const HISTORY_MAX = 20
const COLOURS: Record<string, string> = { completed: '#188038', failed: '#c5221f', cancelled: '#80868b' }
const unknown = (taskId: string): TaskProgress =>
  ({ task_id: taskId, progress: 0, status: 'pending', message: '', current_step: '', total_steps: 0, completed_steps: 0 })

export default function RealtimeProgressTracker(props: RealtimeProgressTrackerProps) {
  const { taskId, userId = 'anonymous', projectId, wsUrl, showHistory = false, autoReconnect = true, maxReconnectAttempts = 5 } = props
  const [task, setTask] = useState(() => unknown(taskId))
  const [error, setError] = useState('')
  const [link, setLink] = useState<Link>('connecting')
  const [history, setHistory] = useState<TaskProgress[]>([])
  const heading = useId()
  // Handlers that a page makes anew at every render must not open the socket anew.
  const handlers = useRef(props)
  handlers.current = props

  useEffect(() => {
    let now = unknown(taskId)
    setTask(now)
    setError('')
    setHistory([])
    setLink('connecting')
    const hub = new ProgressHubClient({ userId, projectId, url: wsUrl, autoReconnect, maxReconnectAttempts })
    const became = (payload: Partial<TaskProgress>) => {
      const state = { ...now, ...payload }
      now = state
      setTask(state)
      setHistory((before) => [...before, state].slice(-HISTORY_MAX))
    }
    const failed = (words: string) => {
      setError(words)
      handlers.current.onError?.(words)
    }
    hub.on('connected', async () => {
      setLink('connected')
      if (!showHistory) return
      const earlier = await hub.history(taskId, HISTORY_MAX) as TaskProgress[]
      setHistory((before) => [...earlier.filter((one) => !before.some((other) => other.seq === one.seq)), ...before].slice(-HISTORY_MAX))
    })
    hub.on('reconnected', ({ client_id }) => {
      setLink('connected')
      handlers.current.onReconnect?.(client_id)
    })
    hub.on('progress', (payload) => {
      became(payload)
      handlers.current.onProgress?.(now)
    })
    hub.on('status', ({ error: reason, ...payload }) => {
      became(payload.status === 'completed' ? { ...payload, progress: 100 } : payload)
      if (payload.status === 'completed') handlers.current.onComplete?.(now)
      if (payload.status === 'cancelled') failed(reason || 'The task was cancelled')
    })
    hub.on('error', ({ error: words }) => { if (words) failed(typeof words === 'string' ? words : JSON.stringify(words)) })
    hub.on('disconnected', ({ code, reason, willReconnect }) => {
      setLink(willReconnect ? 'reconnecting' : 'disconnected')
      if (code === 4003) failed(`认证失败 (not let in): ${reason}`)
      else if (!willReconnect && code !== 1000) failed(`连接错误 (connection lost): ${reason || code}`)
    })
    hub.subscribe(taskId)
    hub.connect()
    return () => {
      for (const event of Object.keys(hub.eventHandlers)) hub.eventHandlers[event] = []
      hub.disconnect()
    }
  }, [taskId, userId, projectId, wsUrl, showHistory, autoReconnect, maxReconnectAttempts])

  const percent = Math.round(task.progress)
  const steps = task.total_steps > 0 ? ` (${task.completed_steps}/${task.total_steps})` : ''
  const words = [task.current_step && `${task.current_step}${steps}`, task.message].filter(Boolean).join(': ')
  const colour = COLOURS[task.status] ?? '#1a73e8'
  return (
    <section aria-labelledby={heading} data-status={task.status} data-link={link} style={{ fontFamily: 'system-ui, sans-serif' }}>
      <h3 id={heading} style={{ margin: '0 0 .5em', fontSize: '1em' }}>{taskId}</h3>
      <div
        role="progressbar" aria-labelledby={heading} aria-valuemin={0} aria-valuemax={100} aria-valuenow={percent}
        aria-valuetext={`${percent} %, ${task.status}`} style={{ background: '#e8eaed', borderRadius: 4, overflow: 'hidden' }}>
        <div style={{ width: `${percent}%`, height: 8, background: colour, transition: 'width .2s' }} />
      </div>
      <p aria-live="polite" style={{ margin: '.5em 0' }}>{`${percent} % ${task.status}${words ? `: ${words}` : ''}`}</p>
      {link !== 'connected' && <p role="status" style={{ margin: '.5em 0', color: '#5f6368' }}>{link}</p>}
      {error && <p role="alert" style={{ margin: '.5em 0', color: '#c5221f' }}>{error}</p>}
      {showHistory && (
        <ol aria-label="history" style={{ margin: 0, paddingLeft: '1.5em', color: '#5f6368' }}>
          {history.map((one, place) => <li key={one.seq ?? place}>{`${Math.round(one.progress)} % ${one.status} ${one.message}`}</li>)}
        </ol>
      )}
    </section>
  )
}
