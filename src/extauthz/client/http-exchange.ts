import type { Buffer } from 'node:buffer'
import { type Agent, type ClientRequest, type IncomingMessage, request as sendRequest } from 'node:http'
import type { Socket } from 'node:net'
import { Gathered } from '../gathered.ts'
import { socketOptions, type Target } from './endpoints.ts'
import { errorCode } from './failure.ts'
import type { HttpAnswer } from './http-rules.ts'

/** Bytes of an answer's head: more than Envoy's 60 KiB, which are counted without what is between the lines. */
const maxHeadBytes = 64 * 1024

/** Bytes of an answer's body that are read; a larger answer is a failure. */
const maxBodyBytes = 4 * 1024 * 1024

/** With TLS, a connection is there when its handshake has ended. */
export function whenConnected(socket: Socket, connected: () => void): void {
  socket.once('encrypted' in socket ? 'secureConnect' : 'connect', connected)
}

export interface HttpMessage {
  readonly method: string
  readonly path: string
  /** Flat, in order. */
  readonly headers: readonly string[]
  readonly body: Uint8Array | null
}

export type HttpEnd =
  | { readonly kind: 'answered'; readonly answer: HttpAnswer }
  /** No connection came about. */
  | { readonly kind: 'unsent'; readonly message: string }
  /** A kept connection was closed before anything of an answer came: most likely the endpoint closed it while it was idle. */
  | { readonly kind: 'stale'; readonly message: string }
  | { readonly kind: 'failed'; readonly message: string }

/** One request and its answer. Built on node:http, because undici sends no `content-length: 0` with a GET, as Envoy does. */
export class HttpExchange {
  readonly #request: ClientRequest
  #ended: ((end: HttpEnd) => void) | null
  #connected = false
  #begun = false
  readonly #body = new Gathered()

  /** Over a connection of `agent`, or over `fresh` alone. `ended` is called once, unless it was cancelled. */
  constructor(target: Target, message: HttpMessage, via: Agent | (() => Socket), ended: (end: HttpEnd) => void) {
    this.#ended = ended
    const { method, path, headers, body } = message
    const connection = typeof via === 'function' ? { createConnection: via } : { agent: via }
    // Node's types do not know the flat form, which keeps order and repeats.
    const flat = { headers: headers as never, setHost: false, maxHeaderSize: maxHeadBytes }
    const options = { ...socketOptions(target), method, path, ...flat, ...connection }
    const request = sendRequest(options)
    this.#request = request
    request.once('socket', (socket) => {
      if (request.reusedSocket) this.#connected = true
      else whenConnected(socket, () => (this.#connected = true))
    })
    request.once('response', (response) => this.#read(response))
    // Answers that change the protocol are no answers.
    const refuse = () => this.#fail('the provider switched protocols')
    request.once('upgrade', refuse)
    request.once('connect', refuse)
    request.on('error', (error) => this.#broken(errorCode(error)))
    request.end(body ?? undefined)
  }

  get connected(): boolean {
    return this.#connected
  }

  cancel(): void {
    this.#ended = null
    this.#request.destroy()
  }

  #read(response: IncomingMessage): void {
    this.#begun = true
    const coding = response.headers['transfer-encoding']
    // As Envoy: where the answer ends is for others to guess.
    if (coding !== undefined && coding.toLowerCase() !== 'chunked') {
      this.#fail('the answer has an unknown transfer coding')
      return
    }
    response.on('data', (chunk: Buffer) => {
      if (this.#body.length + chunk.length > maxBodyBytes) this.#fail('the answer was cut short or is too large')
      else this.#body.add(chunk)
    })
    response.once('end', () => {
      const { statusCode: status = 0, rawHeaders } = response
      if (!response.complete) this.#fail('the answer was cut short or is too large')
      else this.#end({ kind: 'answered', answer: { status, rawHeaders, body: this.#body.octets } })
    })
    response.on('error', () => this.#fail('the answer was cut short or is too large'))
    response.once('close', () => this.#fail('the answer was cut short or is too large'))
  }

  #broken(code: string): void {
    if (!this.#connected) {
      this.#end({ kind: 'unsent', message: `cannot connect: ${code}` })
      return
    }
    const stale = this.#request.reusedSocket && !this.#begun && (code === 'ECONNRESET' || code === 'EPIPE')
    this.#end({ kind: stale ? 'stale' : 'failed', message: `the exchange failed: ${code}` })
  }

  #fail(message: string): void {
    if (this.#ended === null) return
    this.#end({ kind: 'failed', message })
    this.#request.destroy()
  }

  #end(end: HttpEnd): void {
    const ended = this.#ended
    this.#ended = null
    ended?.(end)
  }
}
