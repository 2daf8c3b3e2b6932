import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import type { IncomingMessage, RequestListener } from 'node:http'
import { createServer } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { HeaderMap } from '../../match/header-map.ts'
import type { HttpProvider } from '../../mesh/provider.ts'
import type { Logger } from '../../observe/log.ts'
import type { CheckBody, CheckClient, CheckOutcome, CheckRequest } from '../check.ts'
import { createHttpClient } from './http-client.ts'

export const closing: (() => unknown)[] = []
/** Ends what a test started. */
export async function closeAll(): Promise<void> {
  await Promise.all(closing.splice(0).map((close) => close()))
}

export const silent: Logger = { level: 'error', debug() {}, info() {}, warn() {}, error() {} }
export const never: AbortSignal = new AbortController().signal

export const base: HttpProvider = {
  kind: 'http',
  name: 'http',
  service: 'ext-authz.default.svc.cluster.local',
  port: 8000,
  timeout: 2000,
  failOpen: false,
  statusOnError: 403,
  includeRequestBody: null,
  pathPrefix: '',
  includeRequestHeaders: [],
  includeAdditionalHeaders: [],
  headersToUpstreamOnAllow: [],
  headersToDownstreamOnAllow: [],
  headersToDownstreamOnDeny: [],
}

export function request(
  lines: [string, string][] = [],
  path = '/',
  body: CheckBody | null = null,
  method = 'GET',
): CheckRequest {
  const peer = { ip: '10.0.0.1', port: 1, principal: '' }
  const headers = HeaderMap.from(lines)
  const line = { id: '1', host: 'web.foo:8000', scheme: 'http', protocol: 'HTTP/1.1' }
  return { source: peer, destination: peer, time: 0, http: { ...line, method, path, headers, body } }
}

const deadline = 'x-envoy-expected-rq-timeout-ms'

/** How much of its timeout a check has left when it is sent depends on the machine. */
function remaining(value: string): string {
  const left = Number(value)
  return left > 0 && left <= base.timeout ? 'what is left' : value
}

export interface Seen {
  readonly line: string
  readonly lines: [string, string][]
  readonly body: string
}

/** A provider that answers as told, and what it was asked. */
export async function serve(answer: RequestListener): Promise<{ port: number; seen: Seen[]; sockets: Set<Socket> }> {
  const seen: Seen[] = []
  const sockets = new Set<Socket>()
  const server = createServer({ sendDate: false } as never, async (message, response) => {
    response.sendDate = false
    const body: Buffer[] = []
    for await (const chunk of message) body.push(chunk)
    seen.push({
      line: `${message.method} ${message.url}`,
      lines: pairs(message).map(([name, value]) => [name, name === deadline ? remaining(value) : value]),
      body: Buffer.concat(body).toString('latin1'),
    })
    answer(message, response)
  })
  server.on('connection', (socket) => sockets.add(socket))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closing.push(() => {
    server.closeAllConnections()
    server.close()
  })
  return { port: (server.address() as AddressInfo).port, seen, sockets }
}

export function pairs({ rawHeaders }: IncomingMessage): [string, string][] {
  const lines: [string, string][] = []
  for (let i = 0; i < rawHeaders.length; i += 2) lines.push([rawHeaders[i] as string, rawHeaders[i + 1] as string])
  return lines
}

export function client(port: number, settings: Partial<HttpProvider> = {}): CheckClient {
  const made = createHttpClient({ ...base, ...settings }, () => [{ address: '127.0.0.1', port }])
  closing.push(() => made.close())
  return made
}

export const answer =
  (status: number, headers: string[] = [], body = ''): RequestListener =>
  (_message, response) => {
    response.writeHead(status, headers)
    response.end(body)
  }

export function failed(outcome: CheckOutcome, reason: string, message?: RegExp): void {
  assert.equal(outcome.kind, 'error')
  assert.equal(outcome.reason, reason)
  if (message !== undefined) assert.match(outcome.message, message)
}
