import { Buffer } from 'node:buffer'
import type { CheckBody, CheckPeer, CheckRequest } from '../extauthz/check.ts'
import { latin1FromUtf8 } from '../extauthz/header-syntax.ts'
import type { JsonObject, MultiHeaders } from '../extauthz/index.ts'
import { HeaderMap } from '../match/header-map.ts'
import type { Json } from '../source/document.ts'

export interface TestPeer {
  /** Default 127.0.0.1. */
  readonly ip?: string
  /** Default 0. */
  readonly port?: number
  /** With its scheme: `spiffe://cluster.local/ns/web/sa/front`. Default: no certificate. */
  readonly principal?: string
}

/** A request as it reaches the proxy. All is optional. */
export interface TestRequest {
  /** Default GET, or POST with a body. */
  readonly method?: string
  /** With the query, as the proxy will forward it: nothing is normalized here. Default `/`. */
  readonly path?: string
  /** Default `app.example`. */
  readonly host?: string
  /** Default `http`. */
  readonly scheme?: string
  /** Default `HTTP/1.1`. */
  readonly protocol?: string
  /** A list is one line for each of its values. */
  readonly headers?: MultiHeaders
  /** Text, bytes, or an object or list that is sent as JSON, with its content type. */
  readonly body?: string | Uint8Array | JsonObject | readonly Json[]
  /** How much of the body the proxy sends along, in bytes; default all of it. */
  readonly maxBodyBytes?: number
  readonly source?: TestPeer
  readonly destination?: TestPeer
  /** gRPC only. */
  readonly contextExtensions?: Readonly<Record<string, string>>
  /** When it began, in milliseconds since the epoch; default now. */
  readonly time?: number
}

/** A TCP connection as it reaches the proxy. */
export interface TestConnection {
  readonly source?: TestPeer
  readonly destination?: TestPeer
  readonly sni?: string
  readonly contextExtensions?: Readonly<Record<string, string>>
}

/** What the proxy asks about a request. */
export function askAbout(test: TestRequest): CheckRequest & { readonly http: NonNullable<CheckRequest['http']> } {
  const bytes = bytesOf(test.body)
  return {
    source: peerOf(test.source),
    destination: peerOf(test.destination),
    time: test.time ?? Date.now(),
    http: {
      id: '1',
      method: test.method ?? (bytes === null ? 'GET' : 'POST'),
      path: latin1FromUtf8(test.path ?? '/'),
      host: test.host ?? 'app.example',
      scheme: test.scheme ?? 'http',
      protocol: test.protocol ?? 'HTTP/1.1',
      headers: headersOf(test, bytes),
      body: bytes === null ? null : bodyOf(bytes, test.maxBodyBytes),
    },
  }
}

export function askAboutConnection(test: TestConnection): CheckRequest {
  return { source: peerOf(test.source), destination: peerOf(test.destination), time: Date.now(), http: null }
}

function peerOf({ ip = '127.0.0.1', port = 0, principal = '' }: TestPeer = {}): CheckPeer {
  return { ip, port, principal }
}

function headersOf({ headers = {}, body }: TestRequest, bytes: Uint8Array | null): HeaderMap {
  const map = headerMap(headers)
  if (bytes === null) return map
  if (isJson(body) && !map.has('content-type')) map.append('content-type', 'application/json')
  if (!map.has('content-length') && !map.has('transfer-encoding')) map.append('content-length', String(bytes.length))
  return map
}

/** From text to the bytes that header maps hold. */
export function headerMap(headers: MultiHeaders): HeaderMap {
  const map = new HeaderMap()
  for (const [name, value] of Object.entries(headers)) {
    for (const one of typeof value === 'string' ? [value] : value) map.append(name, latin1FromUtf8(one))
  }
  return map
}

function isJson(body: TestRequest['body']): boolean {
  return typeof body === 'object' && !(body instanceof Uint8Array)
}

function bytesOf(body: TestRequest['body']): Uint8Array | null {
  if (body === undefined) return null
  if (body instanceof Uint8Array) return body
  return Buffer.from(typeof body === 'string' ? body : JSON.stringify(body), 'utf8')
}

function bodyOf(bytes: Uint8Array, most = Number.POSITIVE_INFINITY): CheckBody {
  const partial = bytes.length > most
  return { bytes: partial ? bytes.subarray(0, most) : bytes, partial }
}
