import * as net from 'node:net'
import * as tls from 'node:tls'
import type { Material } from './material.ts'
import type { Line, RequestSpec } from './spec.ts'

/** What came back from the wire. */
export type WireAnswer =
  | { readonly kind: 'answer'; readonly status: number; readonly headers: readonly Line[]; readonly body: string }
  /** Bytes of a TCP application. */
  | { readonly kind: 'bytes'; readonly text: string }
  /** No answer: the connection was refused, reset or closed. */
  | { readonly kind: 'closed' }
  /** Nothing within the time that any of the engines may take. */
  | { readonly kind: 'silence' }

export interface Exchange {
  readonly answer: WireAnswer
  /** The two ends of the connection, and how many requests came before on it: finds the engine's log of it. */
  readonly connection: string
  readonly index: number
}

/** Longer than any provider's timeout in a generated mesh. */
const PATIENCE = 15_000

/** The connections of clients to one slot: one for each kind of client, kept between requests. */
export class Client {
  readonly #address: string
  readonly #material: Material
  readonly #open = new Map<string, Connection>()

  constructor(address: string, material: Material) {
    this.#address = address
    this.#material = material
  }

  /** Sends these bytes as the client of the request would. */
  async exchange(request: RequestSpec, port: number, bytes: string): Promise<Exchange> {
    const key = JSON.stringify([request.source, port])
    const { http } = request
    const reusable = http !== null && http.raw === null
    const known = reusable ? this.#open.get(key) : undefined
    if (known?.alive) {
      const exchange = await known.exchange(bytes, request)
      // Closed between two requests, before it saw anything of this one.
      if (exchange.answer.kind !== 'closed') return this.#keep(key, known, exchange)
      this.#open.delete(key)
    }
    const { plain, socket } = await this.#connect(request, port)
    const fresh = new Connection(plain, socket)
    const exchange = await fresh.exchange(bytes, request)
    if (reusable) return this.#keep(key, fresh, exchange)
    fresh.close()
    return exchange
  }

  close(): void {
    for (const connection of this.#open.values()) connection.close()
    this.#open.clear()
  }

  #keep(key: string, connection: Connection, exchange: Exchange): Exchange {
    const { answer } = exchange
    const last =
      answer.kind !== 'answer' ||
      answer.headers.some(([name, value]) => name === 'connection' && /close/i.test(value)) ||
      answer.status === 400
    if (last) {
      connection.close()
      this.#open.delete(key)
    } else {
      this.#open.set(key, connection)
    }
    return exchange
  }

  async #connect({ source }: RequestSpec, port: number): Promise<Sockets> {
    const context = source.certificate === null ? null : await this.#material.context(source.certificate)
    const plain = net.connect({ host: this.#address, port, localAddress: source.ip, noDelay: true })
    if (context === null) return { plain, socket: plain }
    const socket = tls.connect({
      socket: plain,
      secureContext: context,
      rejectUnauthorized: false,
      ...(source.sni === '' ? {} : { servername: source.sni }),
      ...(source.alpn.length === 0 ? {} : { ALPNProtocols: [...source.alpn] }),
    })
    return { plain, socket }
  }
}

/** The connection, and what is spoken on it: the same in plaintext. */
interface Sockets {
  readonly plain: net.Socket
  readonly socket: net.Socket
}

class Connection {
  readonly #socket: net.Socket
  #name = ''
  #index = -1
  #received: Buffer = Buffer.alloc(0)
  #ended = false
  #wake: () => void = () => {}

  constructor(plain: net.Socket, socket: net.Socket) {
    this.#socket = socket
    // A handshake that fails has had a connection all the same.
    plain.once('connect', () => {
      this.#name = `${plain.localAddress}:${plain.localPort}>${plain.remoteAddress}:${plain.remotePort}`
    })
    socket.on('data', (chunk: Buffer) => {
      this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk])
      this.#wake()
    })
    const end = () => {
      this.#ended = true
      this.#wake()
    }
    socket.on('end', end).on('close', end).on('error', end)
  }

  get alive(): boolean {
    return !this.#ended && !this.#socket.destroyed
  }

  close(): void {
    this.#socket.destroy()
  }

  async exchange(bytes: string, request: RequestSpec): Promise<Exchange> {
    this.#index++
    this.#received = Buffer.alloc(0)
    this.#socket.write(bytes, 'latin1')
    const answer = await this.#answer(request)
    return { answer, connection: this.#name, index: this.#index }
  }

  async #answer({ http }: RequestSpec): Promise<WireAnswer> {
    const until = performance.now() + PATIENCE
    for (;;) {
      const left = until - performance.now()
      if (http === null) {
        if (this.#received.length >= 5) return { kind: 'bytes', text: this.#received.toString('latin1') }
        if (this.#ended) return { kind: 'closed' }
      } else {
        const read = readAnswer(this.#received, http.method, this.#ended)
        if (read !== null) return read
        if (this.#ended) return { kind: 'closed' }
      }
      if (left <= 0) return { kind: 'silence' }
      await this.#more(left)
    }
  }

  #more(left: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, left)
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }
}

/** The final answer in these bytes, or null while it is not whole. */
function readAnswer(bytes: Buffer, method: string, ended: boolean): WireAnswer | null {
  let text = bytes.toString('latin1')
  for (;;) {
    const end = text.indexOf('\r\n\r\n')
    if (end === -1) return null
    const [first = '', ...rest] = text.slice(0, end).split('\r\n')
    const status = Number(first.slice(9, 12))
    text = text.slice(end + 4)
    if (status >= 100 && status < 200 && status !== 101) continue
    const headers = rest.map((line): Line => {
      const colon = line.indexOf(':')
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()]
    })
    // Envoy's parser sends a body to HEAD too when it gives up; no client reads it.
    if (method === 'HEAD') return { kind: 'answer', status, headers, body: '' }
    const body = readBody(text, headers, status === 204 || status === 304 || status === 101, ended)
    return body === null ? null : { kind: 'answer', status, headers, body }
  }
}

function readBody(text: string, headers: readonly Line[], none: boolean, ended: boolean): string | null {
  if (none) return ''
  const value = (name: string) => headers.find(([one]) => one === name)?.[1]
  if (/chunked/i.test(value('transfer-encoding') ?? '')) return readChunks(text)
  const length = value('content-length')
  if (length === undefined) return ended ? text : null
  return text.length >= Number(length) ? text.slice(0, Number(length)) : ended ? text : null
}

function readChunks(text: string): string | null {
  let body = ''
  let at = 0
  for (;;) {
    const end = text.indexOf('\r\n', at)
    if (end === -1) return null
    const size = Number.parseInt(text.slice(at, end), 16)
    if (size === 0) return text.indexOf('\r\n\r\n', end) === -1 ? null : body
    if (text.length < end + 2 + size + 2) return null
    body += text.slice(end + 2, end + 2 + size)
    at = end + 2 + size + 2
  }
}
