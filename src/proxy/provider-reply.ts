import type { CheckOutcome } from '../extauthz/check.ts'
import { isFramingHeader, isHeaderName, isHeaderValue } from '../extauthz/header-syntax.ts'
import type { LocalReply } from './local-reply.ts'

/** A provider's answer to the client, without what cannot be sent as it is. */
export function providerReply(outcome: Omit<Extract<CheckOutcome, { kind: 'deny' }>, 'kind'>): LocalReply {
  const status = outcome.status >= 200 && outcome.status <= 599 ? outcome.status : 403
  const headers: [string, string][] = []
  for (const [line, value] of outcome.headers) {
    const name = line.toLowerCase()
    if (!isFramingHeader(name) && isHeaderName(name) && isHeaderValue(value)) headers.push([name, value])
  }
  // Envoy takes the type away where there is nothing of it.
  if (outcome.body.length === 0) {
    return { status, headers: headers.filter(([name]) => name !== 'content-type'), body: outcome.body }
  }
  if (outcome.body.length > 0 && !headers.some(([name]) => name === 'content-type')) {
    headers.push(['content-type', 'text/plain'])
  }
  return { status, headers, body: outcome.body }
}
