import { once } from 'node:events'
import * as http from 'node:http'
import * as http2 from 'node:http2'
import * as net from 'node:net'
import { answerGrpcCheck, answerHttpCheck } from './authorizers.ts'
import type { Line, Script } from './spec.ts'

/** The ports of a run; the same at every address. */
export interface Ports {
  /** Where engines listen for the workload. */
  readonly main: number
  readonly other: number
  readonly application: number
  readonly grpc: number
  readonly http: number
  /** Where nobody listens. */
  readonly closed: number
}

/** What reached the application. */
export interface Received {
  readonly method: string
  readonly target: string
  /** Lower-case names, in their order. */
  readonly headers: readonly Line[]
  readonly body: string
}

/**
 * One engine's place for one mesh: an address of its own, where the workload listens, and where its application and its
 * authorizer are. Requests come to it one after another, so that what its servers see belongs to the request at hand.
 */
export interface Slot {
  readonly address: string
  received: Received[]
  /** What an authorizer was shown: see `describeCheck`. */
  checks: unknown[]
  script: Script | null
}

/** The applications and authorizers behind all slots. */
export class Backends {
  readonly ports: Ports
  readonly #slots = new Map<string, Slot>()
  readonly #listeners = new Map<string, net.Server[]>()
  readonly #sockets = new Map<string, Set<net.Socket>>()
  readonly #application: http.Server
  readonly #grpc: http2.Http2Server
  readonly #authorizer: http.Server

  constructor(ports: Ports) {
    this.ports = ports
    const large = { maxHeaderSize: 128 * 1024, keepAliveTimeout: 0 }
    this.#application = http.createServer(large, (request, response) => this.#serve(request, response))
    this.#authorizer = http.createServer(large, (request, response) => {
      answerHttpCheck(this.#slotOf(request.socket), request, response)
    })
    this.#grpc = http2.createServer()
    this.#grpc.on('stream', (stream) => {
      const socket = stream.session?.socket
      const slot = socket === undefined ? undefined : this.#slotOf(socket)
      if (slot !== undefined) answerGrpcCheck(slot, stream)
    })
    this.#grpc.on('sessionError', () => {})
    // Without this an unknown expectation is answered with 417.
    this.#application.on('checkExpectation', (request, response) => this.#serve(request, response))
    for (const server of [this.#application, this.#authorizer]) {
      server.timeout = 0
      server.requestTimeout = 0
      server.on('clientError', (_error, socket) => socket.destroy())
    }
  }

  /** `application`: null for engines that forward nothing. */
  async open(address: string, application: 'http' | 'tcp' | null, authorizers: boolean): Promise<Slot> {
    const slot: Slot = { address, received: [], checks: [], script: null }
    this.#slots.set(address, slot)
    this.#sockets.set(address, new Set())
    const { ports } = this
    const listeners: Promise<net.Server>[] = []
    if (application === 'tcp') listeners.push(this.#listen(address, ports.application, (socket) => echo(slot, socket)))
    if (application === 'http') listeners.push(this.#feed(address, ports.application, this.#application))
    if (authorizers) {
      listeners.push(this.#feed(address, ports.grpc, this.#grpc), this.#feed(address, ports.http, this.#authorizer))
    }
    this.#listeners.set(address, await Promise.all(listeners))
    return slot
  }

  close(slot: Slot): void {
    for (const server of this.#listeners.get(slot.address) ?? []) server.close()
    for (const socket of this.#sockets.get(slot.address) ?? []) socket.destroy()
    this.#listeners.delete(slot.address)
    this.#sockets.delete(slot.address)
    this.#slots.delete(slot.address)
  }

  closeAll(): void {
    for (const slot of [...this.#slots.values()]) this.close(slot)
    this.#application.close()
    this.#authorizer.close()
    this.#grpc.close()
  }

  #feed(host: string, port: number, server: http.Server | http2.Http2Server): Promise<net.Server> {
    return this.#listen(host, port, (socket) => server.emit('connection', socket))
  }

  async #listen(host: string, port: number, accept: (socket: net.Socket) => void): Promise<net.Server> {
    const server = net.createServer({ noDelay: true, allowHalfOpen: true }, (socket) => {
      const sockets = this.#sockets.get(host)
      sockets?.add(socket)
      socket.on('close', () => sockets?.delete(socket))
      socket.on('error', () => {})
      accept(socket)
    })
    server.listen({ host, port, backlog: 128 })
    await once(server, 'listening')
    return server
  }

  #slotOf(socket: { readonly localAddress?: string | undefined }): Slot | undefined {
    return this.#slots.get(socket.localAddress ?? '')
  }

  #serve(request: http.IncomingMessage, response: http.ServerResponse): void {
    const slot = this.#slotOf(request.socket)
    const chunks: Buffer[] = []
    request.on('data', (chunk) => chunks.push(chunk))
    request.on('error', () => {})
    request.on('end', () => {
      const { method = '', url = '', rawHeaders } = request
      const body = Buffer.concat(chunks).toString('latin1')
      slot?.received.push({ method, target: url, headers: lines(rawHeaders), body })
      response.writeHead(200, ['content-type', 'text/plain', 'x-up', '1', 'content-length', '2'])
      response.end('ok')
    })
  }
}

export function lines(raw: readonly string[]): Line[] {
  const result: Line[] = []
  for (let i = 0; i + 1 < raw.length; i += 2) result.push([(raw[i] as string).toLowerCase(), raw[i + 1] as string])
  return result
}

function echo(slot: Slot, socket: net.Socket): void {
  socket.on('data', (bytes) => {
    // A handshake that is passed on is another one each time.
    const body = bytes[0] === 0x16 ? 'TLS' : bytes.toString('latin1')
    slot.received.push({ method: '', target: '', headers: [], body })
    socket.write(bytes)
  })
  socket.on('end', () => socket.end())
}
