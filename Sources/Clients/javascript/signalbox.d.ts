// signalbox.d.ts: the types of signalbox.js. Made of its JSDoc by `tsc --allowJs --declaration --emitDeclarationOnly`, and not by hand.
/**
 * A WebSocket that comes back: what all watchers are, and what others may be made of, as the server's own pages are. Events: `open`;
 * `message` (everything that is said); `disconnected` with `{code, reason, willReconnect}`; `reconnecting` with `{attempt, delay}`;
 * `error`.
 */
export class Connection extends Emitter {
    /**
     * @param {Token | null | undefined} token
     * @param {ConnectionOptions} options
     */
    constructor(token: Token | null | undefined, options: ConnectionOptions);
    /** @type {Token | null | undefined} */
    token: Token | null | undefined;
    options: {
        /**
         * the server, as `http://localhost:8000`; default: where the page came from, else `http://localhost:8000`
         */
        url?: string | undefined;
        /**
         * whether to come back after a break; default: true
         */
        autoReconnect: boolean;
        /**
         * tries in a row before it gives up; default: any number
         */
        maxReconnectAttempts: number;
        /**
         * shortest and longest pause between two tries, in milliseconds; default: 1000 and 30000
         */
        reconnectDelay: number[];
        /**
         * milliseconds between two pings; a server silent for three times as long is taken for gone; 0 for none and never; default: 30000
         */
        heartbeat: number;
        /**
         * the class to connect with; default: the environment's own, else that of `ws`
         */
        WebSocket?: any;
    };
    /** Whether the socket is open. */
    get isConnected(): boolean;
    /** Opens the socket, and opens it again after every break until `disconnect`. */
    connect(): void;
    /** Closes the socket for good. */
    disconnect(): void;
    /**
     * Sends a message, if the socket is open.
     * @param {object} data
     */
    send(data: object): void;
    /**
     * Sends a text as it is, if the socket is open.
     * @param {string} text
     */
    sendText(text: string): void;
    /** Asks the server whether it is there. */
    sendPing(): void;
    /**
     * The address of the next socket.
     * @protected
     * @returns {string}
     */
    protected _address(): string;
    /**
     * What was said, read.
     * @protected
     * @param {any} data
     * @returns {any}
     */
    protected _read(data: any): any;
    /**
     * @protected
     * @param {any} _message
     */
    protected _received(_message: any): void;
    /**
     * @protected
     * @param {any} error what the socket says shortly before it is closed; `disconnected` tells the rest
     */
    protected _troubled(error: any): void;
    /**
     * @protected
     * @param {any} _socket the socket that is there now, null where there is none
     */
    protected _exchanged(_socket: any): void;
    #private;
}
/**
 * Watches one task, from how it stands to its end.
 *
 * Events, each with the message: `connection_established`, `current_status`, `task_status_update`, `task_progress`, `task_logs`,
 * `task_error`, `task_cancelled`, `task_completed`, `heartbeat`, `pong`, `status_response`; and those of the connection: `open`,
 * `disconnected`, `reconnecting`, `error`. Where no handler was ever set, it tells the console.
 */
export class TaskWebSocketClient extends Connection {
    /**
     * @param {string} taskId
     * @param {Token} [authToken]
     * @param {ConnectionOptions & {lastSeq?: number}} [options] `lastSeq`: the last event that was seen earlier; what followed comes first
     */
    constructor(taskId: string, authToken?: Token | undefined, options?: (ConnectionOptions & {
        lastSeq?: number | undefined;
    }) | undefined);
    taskId: string;
    authToken: Token | undefined;
    /** @type {any} */
    websocket: any;
    /** The number of the last event that was told; to be given as `lastSeq` by who comes back later. */
    get lastSeq(): number | undefined;
    /** Asks how the task stands; answered by `status_response`. */
    getStatus(): void;
    /**
     * Watches to the end; gives the message `task_completed`, in which `success` says how.
     * @returns {Promise<TaskMessage & {success: boolean, result_data?: any}>}
     */
    end(): Promise<TaskMessage & {
        success: boolean;
        result_data?: any;
    }>;
    /**
     * What is done with a message that is new: the handlers of its type are called. To be overridden by who would rather have one place.
     * @param {any} data
     */
    handleMessage(data: any): void;
    #private;
}
/**
 * Watches all tasks of a user. `tasks` holds the last message of each.
 *
 * Events: `connected` with the server's greeting; `active_tasks` with a list; `task_status` for all that happens, and with it
 * `task_completed`, `task_failed` or `task_cancelled`; `subscribed`, `unsubscribed`, `pong`; `disconnected`, `reconnecting`, `error`.
 * After a break each task that has gone on meanwhile is told once, as it stands.
 */
export class TaskNotificationClient extends Connection {
    /**
     * @param {string | number} userId
     * @param {Token} [token]
     * @param {ConnectionOptions} [options]
     */
    constructor(userId: string | number, token?: Token | undefined, options?: ConnectionOptions | undefined);
    userId: string | number;
    /** @type {any} */
    ws: any;
    /** @type {Record<string, any>} */
    tasks: Record<string, any>;
    /**
     * Hears of a task of somebody else, or again of a muted one.
     * @param {string} taskId
     */
    subscribeTask(taskId: string): void;
    /**
     * Hears of a task no more.
     * @param {string} taskId
     */
    unsubscribeTask(taskId: string): void;
    #private;
}
/**
 * The hub: any number of tasks over one socket, which comes back as who it was and misses nothing.
 *
 * Events, each with the message's payload: `connected`, `reconnected`, `subscribed`, `unsubscribed`, `progress`, `status`, `error` (of a
 * task that failed, or of a command that was refused), `pong`; and those of the connection: `open`, `disconnected`, `reconnecting`.
 */
export class ProgressHubClient extends Connection {
    /** @param {ConnectionOptions & {userId?: string, projectId?: string, token?: Token}} [options] */
    constructor(options?: (ConnectionOptions & {
        userId?: string | undefined;
        projectId?: string | undefined;
        token?: Token | undefined;
    }) | undefined);
    userId: string | undefined;
    projectId: string | undefined;
    /** Its name at the server; undefined before it was connected. */
    get clientId(): string | undefined;
    /** The tasks that it listens to. */
    get topics(): string[];
    /**
     * Hears of a task from now on, also of one that is not there yet.
     * @param {string} taskId
     */
    subscribe(taskId: string): void;
    /**
     * Hears of it no more.
     * @param {string} taskId
     */
    unsubscribe(taskId: string): void;
    /**
     * The last states of a task, oldest first; none where they cannot be had.
     * @param {string} taskId
     * @param {number} [limit] how many at most
     * @returns {Promise<TaskMessage[]>}
     */
    history(taskId: string, limit?: number | undefined): Promise<TaskMessage[]>;
    /** @protected */
    protected _troubled(): void;
    #private;
}
/** The server did not do what was asked. */
export class SignalboxError extends Error {
    /**
     * @param {number} status the HTTP status, or a WebSocket's close code
     * @param {string} message
     * @param {any} body all that the server said
     */
    constructor(status: number, message: string, body: any);
    status: number;
    body: any;
}
/**
 * @typedef {object} TaskOptions
 * @property {any[]} [messages] what the task is about in OpenAI's form, in place of `data`
 * @property {string} [model]
 * @property {string} [group] which workers may take it
 * @property {number} [timeout] milliseconds until it must have ended
 * @property {'high' | 'normal' | 'low'} [priority]
 * @property {number} [retries] how often it may start anew when its worker vanishes
 * @property {string} [idempotencyKey] the same key gives the same task
 * @property {AbortSignal} [signal] ends the waiting; a task that is waited for by `run` is cancelled with it
 *
 * @typedef {object} TaskState
 * @property {string} taskId
 * @property {'queued' | 'executing' | 'completed' | 'failed' | 'cancelled'} status
 * @property {any} [result]
 * @property {any} [error]
 * @property {number} [progress]
 * @property {string} [message]
 */
/** Gives tasks in, asks how they stand, cancels them. */
export class SignalboxClient {
    /** @param {{url?: string, token?: Token}} [options] */
    constructor(options?: {
        url?: string | undefined;
        token?: Token | undefined;
    } | undefined);
    url: string | undefined;
    token: Token | undefined;
    /**
     * Gives a task in; gives its id, once the server has written it down.
     * @param {object | null} data what it is about; null where `messages` are given
     * @param {TaskOptions} [options]
     * @returns {Promise<string>}
     */
    submit(data: object | null, options?: TaskOptions | undefined): Promise<string>;
    /**
     * Gives a task in, waits for its end and gives its result. A failure is a SignalboxError: its words are the worker's.
     * @param {object | null} data
     * @param {TaskOptions} [options]
     * @returns {Promise<any>}
     */
    run(data: object | null, options?: TaskOptions | undefined): Promise<any>;
    /**
     * How a task stands.
     * @param {string} taskId
     * @returns {Promise<TaskState>}
     */
    get(taskId: string): Promise<TaskState>;
    /**
     * Cancels a task that has not ended.
     * @param {string} taskId
     * @returns {Promise<TaskState>}
     */
    cancel(taskId: string): Promise<TaskState>;
    /**
     * Someone who watches a task of this server's; `await client.watch(id).end()` waits for its end.
     * @param {string} taskId
     * @param {ConnectionOptions & {lastSeq?: number}} [options]
     */
    watch(taskId: string, options?: (ConnectionOptions & {
        lastSeq?: number | undefined;
    }) | undefined): TaskWebSocketClient;
    #private;
}
/**
 * a token, or a function that gives one, which is asked before every connection
 */
export type Token = string | (() => string);
export type ConnectionOptions = {
    /**
     * the server, as `http://localhost:8000`; default: where the page came from, else `http://localhost:8000`
     */
    url?: string | undefined;
    /**
     * whether to come back after a break; default: true
     */
    autoReconnect?: boolean | undefined;
    /**
     * tries in a row before it gives up; default: any number
     */
    maxReconnectAttempts?: number | undefined;
    /**
     * shortest and longest pause between two tries, in milliseconds; default: 1000 and 30000
     */
    reconnectDelay?: [number, number] | undefined;
    /**
     * milliseconds between two pings; a server silent for three times as long is taken for gone; 0 for none and never; default: 30000
     */
    heartbeat?: number | undefined;
    /**
     * the class to connect with; default: the environment's own, else that of `ws`
     */
    WebSocket?: any;
};
/**
 * what the server says of a task; which members there are, its documents say
 */
export type TaskMessage = {
    type?: string | undefined;
    task_id?: string | undefined;
    /**
     * the number of the event in the task's life
     */
    seq?: number | undefined;
    status?: string | undefined;
    progress?: number | undefined;
    message?: string | undefined;
    result?: any;
    error?: any;
    timestamp?: string | undefined;
    data?: any;
};
export type Handler = (data: any) => void;
export type TaskOptions = {
    /**
     * what the task is about in OpenAI's form, in place of `data`
     */
    messages?: any[] | undefined;
    model?: string | undefined;
    /**
     * which workers may take it
     */
    group?: string | undefined;
    /**
     * milliseconds until it must have ended
     */
    timeout?: number | undefined;
    priority?: "normal" | "high" | "low" | undefined;
    /**
     * how often it may start anew when its worker vanishes
     */
    retries?: number | undefined;
    /**
     * the same key gives the same task
     */
    idempotencyKey?: string | undefined;
    /**
     * ends the waiting; a task that is waited for by `run` is cancelled with it
     */
    signal?: AbortSignal | undefined;
};
export type TaskState = {
    taskId: string;
    status: 'queued' | 'executing' | 'completed' | 'failed' | 'cancelled';
    result?: any;
    error?: any;
    progress?: number | undefined;
    message?: string | undefined;
};
/** Handlers by the names of events. */
declare class Emitter {
    /** @type {Record<string, Handler[]>} */
    eventHandlers: Record<string, Handler[]>;
    /**
     * Calls the handler at every event of that name.
     * @param {string} event
     * @param {Handler} handler
     * @returns {this}
     */
    on(event: string, handler: Handler): this;
    /**
     * Calls it no more.
     * @param {string} event
     * @param {Handler} handler
     * @returns {this}
     */
    off(event: string, handler: Handler): this;
    /**
     * @param {string} event
     * @param {any} [data]
     */
    emit(event: string, data?: any): void;
}
export {};
