import { Buffer } from 'node:buffer'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { latin1FromUtf8 } from '../header-syntax.ts'
import { type Address, listenOn } from './address.ts'
import type { Line, Verdict } from './answer.ts'
import type { Judge } from './judge.ts'
import { type Attributes, type AuthorizerPeer, requestFrom } from './request.ts'

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
    const chunks: Buffer[] = []
    let length = 0
    response.once('close', () => {
      checks--
      buffered -= length
      length = 0
      abort.abort()
    })
    message.on('data', (chunk: Buffer) => {
      if (response.headersSent || response.closed) return
      chunks.push(chunk)
      length += chunk.length
      buffered += chunk.length
      if (length > limits.maxBodyBytes) reject(message, response, 413)
      else if (buffered > limits.maxBufferedBytes) reject(message, response, 503)
    })
    message.once('end', async () => {
      if (response.headersSent || response.closed) return
      const body = Buffer.concat(chunks)
      answer(response, await judge({ kind: 'request', request: readRequest(message, body, abort.signal) }))
    })
  }

  return {
    listen: (host, port) => listenOn(server, host, port),
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

function readRequest(message: IncomingMessage, body: Uint8Array, signal: AbortSignal) {
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
function attributes(message: IncomingMessage, lines: readonly Line[], body: Uint8Array): Attributes {
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

/** Only a 200 allows. A refusal must not look like one, nor like the 5xx of an authorizer that is out of order. */
function answer(response: ServerResponse, verdict: Verdict): void {
  if (response.headersSent || response.closed) return
  if (verdict.kind === 'deny') {
    const { status, headers, body } = verdict
    const meansSomethingElse = status === 200 || status >= 500
    send(response, meansSomethingElse ? 403 : status, headers, body)
    return
  }
  // Nothing in this protocol carries changes of the query.
  if (verdict.kind === 'error' || verdict.query.length > 0 || verdict.removeQuery.length > 0) {
    send(response, verdict.kind === 'error' ? verdict.status : 403, [], '')
    return
  }
  const { set, remove, responseSet, responseAdd } = verdict
  const removals: Line[] = remove.length === 0 ? [] : [['x-envoy-auth-headers-to-remove', remove.join(', ')]]
  send(response, 200, [...set, ...responseSet, ...responseAdd, ...removals], '')
}

function send(response: ServerResponse, status: number, headers: readonly Line[], body: string): void {
  const bytes = Buffer.from(body, 'utf8')
  const bodiless = status === 204 || status === 304
  const raw = headers.flatMap(([name, value]) => [name, latin1FromUtf8(value)])
  // Neither Connection nor Keep-Alive: a proxy that relays the headers of a denial would pass them on.
  if (response.shouldKeepAlive) response.removeHeader('connection')
  response.writeHead(status, bodiless ? raw : [...raw, 'content-length', String(bytes.length)])
  response.end(bodiless ? undefined : bytes)
}

function reject(message: IncomingMessage, response: ServerResponse, status: number): void {
  response.shouldKeepAlive = false
  response.writeHead(status, ['content-length', '0', 'connection', 'close'])
  response.end()
  message.resume()
}
