import { Buffer } from 'node:buffer'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { Gathered } from '../gathered.ts'
import { type Address, listenOn } from './address.ts'
import { type HttpAnswer, httpAnswer } from './http-answer.ts'
import type { Judge } from './judge.ts'
import { type Attributes, type AuthorizerPeer, type AuthorizerRequest, requestFrom } from './request.ts'
import type { Line } from './verdict.ts'

export interface HttpServerLimits {
  readonly maxBodyBytes: number
  /** Checks at a time, over all connections; more are refused with 503. */
  readonly maxChecks: number
  readonly maxConnections: number
  /** Bytes of checks at a time, over all connections. */
  readonly maxBufferedBytes: number
  /** Milliseconds for a request to arrive. */
  readonly readTimeout: number
  /** Milliseconds after which a connection without requests is closed. */
  readonly idleTimeout: number
}

export const defaultHttpLimits: HttpServerLimits = {
  maxBodyBytes: 4 * 1024 * 1024,
  maxChecks: 10_000,
  maxConnections: 1000,
  maxBufferedBytes: 256 * 1024 * 1024,
  readTimeout: 10_000,
  idleTimeout: 15 * 60_000,
}

/** The HTTP form of the check: whatever request arrives is the one that is asked about. */
export interface HttpAuthorizerServer {
  listen(host: string, port: number): Promise<Address>
  close(grace: number): Promise<void>
}

/** The connection is the proxy's, so that its address says nothing about the client's. */
const unknownPeer: AuthorizerPeer = { ip: '', port: 0, principal: '' }

export function createHttpAuthorizerServer(
  judge: Judge,
  limits: HttpServerLimits = defaultHttpLimits,
): HttpAuthorizerServer {
  const server = createServer({ keepAlive: true }, (message, response) => receive(message, response))
  server.maxConnections = limits.maxConnections
  server.requestTimeout = limits.readTimeout
  server.keepAliveTimeout = limits.idleTimeout
  let checks = 0
  let buffered = 0
  let closing = false

  function receive(message: IncomingMessage, response: ServerResponse): void {
    response.on('error', () => {})
    message.on('error', () => {})
    if (closing) response.shouldKeepAlive = false
    if (checks >= limits.maxChecks) {
      reject(message, response, 503)
      return
    }
    checks++
    const abort = new AbortController()
    const body = new Gathered()
    let length = 0
    response.once('close', () => {
      checks--
      buffered -= length
      length = 0
      abort.abort()
    })
    message.on('data', (chunk: Buffer) => {
      if (response.headersSent || response.closed) return
      length += chunk.length
      buffered += chunk.length
      if (length > limits.maxBodyBytes) reject(message, response, 413)
      else if (buffered > limits.maxBufferedBytes) reject(message, response, 503)
      else body.add(chunk)
    })
    message.once('end', async () => {
      if (response.headersSent || response.closed) return
      const request = readHttpRequest(message, body.octets, abort.signal)
      answer(response, httpAnswer(await judge({ kind: 'request', request }, 'http'), request))
    })
  }

  return {
    listen: async (host, port) => {
      const address = await listenOn(server, host, port)
      // Closed meanwhile, when there was nothing yet to close.
      if (closing) server.close()
      return address
    },
    close: async (grace) => {
      closing = true
      if (!server.listening) return
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      server.closeIdleConnections()
      const timer = setTimeout(() => server.closeAllConnections(), grace)
      await closed
      clearTimeout(timer)
    },
  }
}

/** The head of a request, as node:http has it. */
export type HttpHead = Pick<IncomingMessage, 'method' | 'url' | 'httpVersion' | 'rawHeaders' | 'headers'>

export function readHttpRequest(message: HttpHead, body: Uint8Array, signal: AbortSignal): AuthorizerRequest {
  const lines: Line[] = []
  const { rawHeaders } = message
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = (rawHeaders[i] as string).toLowerCase()
    if (name !== 'host') lines.push([name, Buffer.from(rawHeaders[i + 1] as string, 'latin1').toString('utf8')])
  }
  return requestFrom({
    method: message.method ?? '',
    path: message.url ?? '',
    host: message.headers.host ?? '',
    scheme: '',
    protocol: `HTTP/${message.httpVersion}`,
    lines,
    body,
    source: unknownPeer,
    destination: unknownPeer,
    contextExtensions: {},
    time: Date.now(),
    signal,
    attributes: () => attributes(message, lines, body),
  })
}

/** What the HTTP form tells, under the names of the gRPC form. */
function attributes(message: HttpHead, lines: readonly Line[], body: Uint8Array): Attributes {
  const headers: Record<string, string> = Object.create(null)
  for (const [name, value] of lines) headers[name] = headers[name] === undefined ? value : `${headers[name]},${value}`
  const http = {
    method: message.method ?? '',
    path: message.url ?? '',
    host: message.headers.host ?? '',
    protocol: `HTTP/${message.httpVersion}`,
    headers,
    ...(body.length === 0 ? {} : { size: String(body.length), body: Buffer.from(body).toString('utf8') }),
  }
  return { request: { time: new Date().toISOString(), http } }
}

function answer(response: ServerResponse, { status, rawHeaders, body }: HttpAnswer): void {
  if (response.headersSent || response.closed) return
  const bodiless = status === 204 || status === 304
  // Neither Connection nor Keep-Alive: a proxy that relays the headers of a denial would pass them on.
  if (response.shouldKeepAlive) response.removeHeader('connection')
  response.writeHead(status, bodiless ? [...rawHeaders] : [...rawHeaders, 'content-length', String(body.length)])
  response.end(bodiless ? undefined : body)
}

function reject(message: IncomingMessage, response: ServerResponse, status: number): void {
  response.shouldKeepAlive = false
  response.writeHead(status, ['content-length', '0', 'connection', 'close'])
  response.end()
  message.resume()
}
