import { Buffer } from 'node:buffer'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { type Attributes, type AuthorizerPeer, type AuthorizerRequest, requestFrom } from './request.ts'
import type { Line } from './verdict.ts'

/** The connection is the proxy's, so that its address says nothing about the client's. */
const unknownPeer: AuthorizerPeer = { ip: '', port: 0, principal: '' }

/** The request that the HTTP form asks about: the message itself. Its signal fires when `response` is over. */
export function httpRequest(message: IncomingMessage, response: ServerResponse, body: Uint8Array): AuthorizerRequest {
  const abort = new AbortController()
  response.once('close', () => abort.abort())
  return readHttpRequest(message, body, abort.signal)
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
