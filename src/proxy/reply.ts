import type { ServerResponse } from 'node:http'
import { STATUS_CODES } from 'node:http'
import { joinAnswerLines } from '../extauthz/answer-lines.ts'
import type { HeaderChange } from '../extauthz/check.ts'
import { applyChanges } from '../extauthz/header-changes.ts'
import { HeaderMap } from '../match/header-map.ts'
import type { HeaderLines } from './hop-by-hop.ts'
import type { LocalReply } from './local-reply.ts'

const SERVER = 'sallyport'

/** Whether a status has no body by definition (RFC 9110, 15.3.5 and 15.4.5). */
function bodiless(status: number): boolean {
  return status === 204 || status === 304
}

/** The flat header lines of an answer of the proxy's own. */
export function replyLines(reply: LocalReply, changes: readonly HeaderChange[]): HeaderLines {
  const headers = new HeaderMap()
  for (const [name, value] of reply.headers) headers.append(name, value)
  applyChanges(headers, changes)
  joinAnswerLines(headers)
  headers.delete('content-length')
  if (!bodiless(reply.status)) headers.append('content-length', String(Buffer.byteLength(reply.body, 'latin1')))
  if (!headers.has('server')) headers.append('server', SERVER)
  return headers.toRaw()
}

/** Writes an answer of the proxy's own. `close` ends the connection after it. */
export function writeReply(
  response: ServerResponse,
  reply: LocalReply,
  changes: readonly HeaderChange[],
  close: boolean,
): void {
  if (close) response.shouldKeepAlive = false
  response.writeHead(reply.status, undefined, replyLines(reply, changes))
  response.end(reply.body, 'latin1')
}

/** An application's answer as the client gets it. */
export function forwardedLines(status: number, lines: HeaderLines, changes: readonly HeaderChange[]): HeaderLines {
  if (changes.length === 0 && lines.includes('server') && !bodiless(status)) return lines
  const headers = HeaderMap.fromRaw(lines)
  applyChanges(headers, changes)
  if (changes.length > 0) joinAnswerLines(headers)
  if (status === 204) headers.delete('content-length')
  if (!headers.has('server')) headers.append('server', SERVER)
  return headers.toRaw()
}

/** A whole answer as bytes, for a socket that Node's HTTP server no longer holds. */
export function rawReply(reply: LocalReply, changes: readonly HeaderChange[] = []): Buffer {
  const lines = [...replyLines(reply, changes), 'connection', 'close']
  const body = typeof reply.body === 'string' ? Buffer.from(reply.body, 'latin1') : reply.body
  return Buffer.concat([rawHead(reply.status, '', lines), body])
}

export function rawHead(status: number, reason: string, lines: HeaderLines): Buffer {
  let head = `HTTP/1.1 ${status} ${reason === '' ? (STATUS_CODES[status] ?? 'Unknown') : reason}\r\n`
  for (let i = 0; i + 1 < lines.length; i += 2) head += `${lines[i]}: ${lines[i + 1]}\r\n`
  return Buffer.from(`${head}\r\n`, 'latin1')
}
