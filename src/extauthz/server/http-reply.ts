import { Buffer } from 'node:buffer'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { latin1FromUtf8 } from '../header-syntax.ts'
import type { Line, Verdict } from './answer.ts'

/** Only a 200 allows. A refusal must not look like one, nor like the 5xx of an authorizer that is out of order. */
export function sendVerdict(response: ServerResponse, verdict: Verdict): void {
  if (response.headersSent || response.closed) return
  if (verdict.kind === 'deny') {
    const { status, headers, body } = verdict
    const meansSomethingElse = status === 200 || status >= 500
    send(response, meansSomethingElse ? 403 : status, headers, body)
    return
  }
  const { set, remove, responseSet, responseAdd } = verdict
  const removals: Line[] = remove.length === 0 ? [] : [['x-envoy-auth-headers-to-remove', remove.join(', ')]]
  send(response, 200, [...set, ...responseSet, ...responseAdd, ...removals], '')
}

/** Refuses without a verdict, and ends the connection: the rest of the request is not wanted. */
export function sendStatus(message: IncomingMessage, response: ServerResponse, status: number): void {
  response.shouldKeepAlive = false
  response.writeHead(status, ['content-length', '0', 'connection', 'close'])
  response.end()
  message.resume()
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
