import type { CheckOutcome, ErrorReply } from '../extauthz/check.ts'
import { isFramingHeader, isHeaderName, isHeaderValue } from '../extauthz/header-syntax.ts'
import type { Provider } from '../mesh/provider.ts'
import { MAX_HEAD_BYTES } from './limits.ts'
import { type LocalReply, textReply } from './local-reply.ts'

/** A provider's denial to the client, without what cannot be sent as it is. Null where no client reads a head so large. */
export function denial({ status, headers, body }: ErrorReply): LocalReply | null {
  let bytes = 0
  for (const [name, value] of headers) bytes += name.length + value.length + 4
  if (bytes > MAX_HEAD_BYTES) return null
  const lines: [string, string][] = []
  for (const [line, value] of headers) {
    const name = line.toLowerCase()
    if (!isFramingHeader(name) && isHeaderName(name) && isHeaderValue(value)) lines.push([name, value])
  }
  const sent = status !== null && status >= 200 && status <= 599 ? status : 403
  // Envoy takes the type away where there is nothing of it.
  if (body.length === 0) return { status: sent, headers: lines.filter(([name]) => name !== 'content-type'), body }
  if (!lines.some(([name]) => name === 'content-type')) lines.push(['content-type', 'text/plain'])
  return { status: sent, headers: lines, body }
}

/** What the client is sent where the provider gave no answer that holds, and the details for the log. */
export function failure(
  { reason, reply }: Extract<CheckOutcome, { kind: 'error' }>,
  provider: Provider,
): { readonly reply: LocalReply; readonly details: string } {
  const { status = null, headers = [], body = new Uint8Array(0) } = reply ?? {}
  const unset = reason === 'invalid' ? 500 : provider.statusOnError
  const sent = denial({ status: status ?? unset, headers, body })
  const details = reason === 'invalid' || sent === null ? 'ext_authz_invalid' : 'ext_authz_error'
  return { reply: sent ?? textReply(500, ''), details }
}
