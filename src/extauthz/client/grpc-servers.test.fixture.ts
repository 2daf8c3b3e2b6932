import assert from 'node:assert/strict'
import type { Buffer } from 'node:buffer'
import { setMaxListeners } from 'node:events'
import type { IncomingHttpHeaders, ServerHttp2Session, ServerHttp2Stream } from 'node:http2'
import { createServer as createHttp2Server } from 'node:http2'
import type { AddressInfo, Server } from 'node:net'
import { createServer as createTcpServer } from 'node:net'
import type { MessageInitShape } from '@bufbuild/protobuf'
import { create, toBinary } from '@bufbuild/protobuf'
import { HeaderMap } from '../../match/header-map.ts'
import type { GrpcProvider } from '../../mesh/provider.ts'
import type { Logger } from '../../observe/log.ts'
import { CheckResponseSchema } from '../../proto/gen/envoy/service/auth/v3/external_auth_pb.js'
import type { CheckClient, CheckOutcome, CheckRequest } from '../check.ts'
import { frameMessage } from '../grpc-framing.ts'
import type { Endpoint } from './endpoints.ts'
import { createGrpcClient } from './grpc-client.ts'
import type { ClientOptions } from './options.ts'

export const closing: (() => unknown)[] = []
/** Ends what a test started. */
export async function closeAll(): Promise<void> {
  await Promise.all(closing.splice(0).map((close) => close()))
}

export const silent: Logger = { level: 'error', debug() {}, info() {}, warn() {}, error() {} }
export const never: AbortSignal = new AbortController().signal
setMaxListeners(0, never)

export const provider: GrpcProvider = {
  kind: 'grpc',
  name: 'opa.local',
  service: 'default/opa.default.svc.cluster.local',
  port: 9191,
  timeout: 2000,
  failOpen: false,
  statusOnError: 403,
  includeRequestBody: null,
}

export function request(path = '/', lines: [string, string][] = []): CheckRequest {
  const peer = { ip: '10.0.0.1', port: 1, principal: '' }
  const headers = HeaderMap.from(lines)
  const line = { id: '1', method: 'GET', host: 'web', scheme: 'http', protocol: 'HTTP/1.1', body: null }
  return { source: peer, destination: peer, time: 0, http: { ...line, path, headers } }
}

export function client(
  endpoints: readonly (number | Endpoint)[],
  timeout = provider.timeout,
  options: ClientOptions = {},
): CheckClient {
  const list = endpoints.map((at) => (typeof at === 'number' ? { address: '127.0.0.1', port: at } : at))
  const made = createGrpcClient({ ...provider, timeout }, () => list, options)
  closing.push(() => made.close())
  return made
}

export async function listen(server: Server, at: object = { port: 0, host: '127.0.0.1' }): Promise<number> {
  await new Promise<void>((resolve) => server.listen(at, resolve))
  const address = server.address()
  return typeof address === 'string' ? 0 : (address as AddressInfo).port
}

export type Handler = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, session: ServerHttp2Session) => void

/** A server of raw streams; counts connections. */
export async function http2(handler: Handler): Promise<{ port: number; sessions: ServerHttp2Session[] }> {
  const sessions: ServerHttp2Session[] = []
  const server = createHttp2Server()
  server.on('session', (session) => sessions.push(session.on('error', () => {})))
  server.on('stream', (stream, headers) => {
    stream.on('error', () => {})
    handler(stream, headers, stream.session as ServerHttp2Session)
  })
  closing.push(() => {
    for (const session of sessions) session.destroy()
    server.close()
  })
  return { port: await listen(server), sessions }
}

/** A server of raw bytes. */
export async function tcp(onConnection: (socket: import('node:net').Socket) => void): Promise<number> {
  const sockets = new Set<import('node:net').Socket>()
  const server = createTcpServer({ noDelay: true }, (socket) => {
    sockets.add(socket.on('error', () => {}))
    onConnection(socket)
  })
  closing.push(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return listen(server)
}

export async function freePort(): Promise<number> {
  const server = createTcpServer()
  const port = await listen(server)
  await new Promise((resolve) => server.close(resolve))
  return port
}

export function reply(
  stream: ServerHttp2Stream,
  body: Buffer,
  trailers: Record<string, string> = { 'grpc-status': '0' },
): void {
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true })
  stream.once('wantTrailers', () => stream.sendTrailers(trailers))
  stream.end(body)
}

export const response = (value: MessageInitShape<typeof CheckResponseSchema>) =>
  frameMessage(toBinary(CheckResponseSchema, create(CheckResponseSchema, value)))
export const yes = response({ status: { code: 0 } })
export const allowed: CheckOutcome = { kind: 'allow', changes: [], responseChanges: [] }

export function failed(outcome: CheckOutcome, reason: string, message?: RegExp): void {
  assert.equal(outcome.kind, 'error')
  assert.equal(outcome.reason, reason)
  if (message !== undefined) assert.match(outcome.message, message)
}
