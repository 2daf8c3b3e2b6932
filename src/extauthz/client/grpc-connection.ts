import type { ClientHttp2Session } from 'node:http2'
import { connect } from 'node:http2'
import type { Connect } from './connect.ts'
import type { Target } from './endpoints.ts'
import { errorCode } from './failure.ts'

/** Milliseconds between attempts to connect after one that failed, doubled from the first to the last. */
const firstBackoff = 25
const lastBackoff = 500

/** Milliseconds for a connection to come about, and for a doubtful one to answer a ping. */
const connectTimeout = 5000
const pingTimeout = 1000

export type Opened =
  | { readonly kind: 'open'; readonly session: ClientHttp2Session; readonly localAddress: string | undefined }
  | { readonly kind: 'failed'; readonly message: string }

type State =
  | { readonly kind: 'idle' }
  | { readonly kind: 'connecting'; readonly opened: Promise<Opened> }
  | Extract<Opened, { kind: 'open' }>
  | { readonly kind: 'closed' }

/** The one HTTP/2 connection to an endpoint: made when it is needed, kept, and made again when it is lost. */
export class GrpcConnection {
  readonly #target: Target
  readonly #authority: string
  readonly #connectSocket: Connect
  #state: State = { kind: 'idle' }
  #failures = 0
  #mayConnectAt = 0
  #session: ClientHttp2Session | null = null
  #pinging = false

  constructor(target: Target, authority: string, connectSocket: Connect) {
    this.#connectSocket = connectSocket
    this.#target = target
    this.#authority = authority
  }

  /** The open connection, or null when it has to be made first. */
  get ready(): Extract<Opened, { kind: 'open' }> | null {
    const state = this.#state
    return state.kind === 'open' && usable(state.session) ? state : null
  }

  /** Whether the last attempt failed and no other one has succeeded since. */
  get failing(): boolean {
    return this.#failures > 0
  }

  /** Waits for the attempt that is under way, or for the pause after one that failed and then for the next. */
  open(): Promise<Opened> {
    const state = this.#state
    if (state.kind === 'connecting') return state.opened
    if (state.kind === 'closed') return Promise.resolve({ kind: 'failed', message: 'the client was closed' })
    if (state.kind === 'open' && usable(state.session)) return Promise.resolve(state)
    const opened = this.#connectAfter(this.#mayConnectAt - performance.now())
    this.#state = { kind: 'connecting', opened }
    return opened
  }

  /** A check got no answer in time: the connection may be dead without anybody having said so. */
  doubt(): void {
    const session = this.ready?.session
    if (session === undefined || this.#pinging) return
    this.#pinging = true
    const timer = setTimeout(() => session.destroy(), pingTimeout)
    timer.unref()
    const answered = () => {
      clearTimeout(timer)
      this.#pinging = false
    }
    session.once('close', answered)
    if (!session.ping(answered)) answered()
  }

  /** Lets the streams that are open finish, for at most `grace` milliseconds. */
  close(grace: number): Promise<void> {
    this.#state = { kind: 'closed' }
    const session = this.#session
    if (session === null || session.destroyed) return Promise.resolve()
    return new Promise((resolve) => {
      const timer = setTimeout(() => session.destroy(), grace)
      session.once('close', () => {
        clearTimeout(timer)
        resolve()
      })
      session.close()
    })
  }

  async #connectAfter(pause: number): Promise<Opened> {
    if (pause > 0) await new Promise((resolve) => setTimeout(resolve, pause).unref())
    if (this.#state.kind === 'closed') return { kind: 'failed', message: 'the client was closed' }
    const opened = await this.#connect()
    // Closed meanwhile, which is no state to go back from.
    if ((this.#state as State).kind === 'closed') {
      if (opened.kind === 'open') opened.session.destroy()
      return { kind: 'failed', message: 'the client was closed' }
    }
    if (opened.kind === 'open') {
      this.#failures = 0
      this.#state = opened
      return opened
    }
    const backoff = Math.min(lastBackoff, firstBackoff * 2 ** this.#failures)
    this.#failures++
    // Jitter keeps many proxies from coming back in step.
    this.#mayConnectAt = performance.now() + backoff * (0.5 + Math.random() / 2)
    this.#state = { kind: 'idle' }
    return opened
  }

  #connect(): Promise<Opened> {
    return new Promise((resolve) => {
      const socket = this.#connectSocket(this.#target)
      const session = connect(`http://${this.#authority}`, {
        createConnection: () => socket,
        settings: { enablePush: false },
      })
      this.#session = session
      const timer = setTimeout(() => session.destroy(), connectTimeout)
      let message = 'not connected in time'
      session.on('error', (error) => {
        message = errorCode(error)
      })
      session.once('close', () => {
        clearTimeout(timer)
        resolve({ kind: 'failed', message: `cannot connect: ${message}` })
      })
      session.once('connect', () => {
        clearTimeout(timer)
        resolve({ kind: 'open', session, localAddress: socket.localAddress })
      })
    })
  }
}

function usable(session: ClientHttp2Session): boolean {
  return !session.closed && !session.destroyed
}
