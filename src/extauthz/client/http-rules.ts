import { Buffer } from 'node:buffer'
import { HeaderMap } from '../../match/header-map.ts'
import type { HttpProvider } from '../../mesh/provider.ts'
import { joinAnswerLines } from '../answer-lines.ts'
import type { CheckHttpRequest, CheckOutcome, CheckRequest, HeaderChange, RequestRewrite } from '../check.ts'
import { claimsHeader, mergeHeaders, partialBodyHeader } from '../check-request.ts'
import { invalidAnswer, isAuthority } from '../check-response.ts'
import { isFramingHeader, isHeaderName, isHeaderValue, latin1FromUtf8 } from '../header-syntax.ts'
import { failure } from './failure.ts'
import { compileTemplate, type FillTemplate } from './fill-template.ts'
import { compileHeaderList, type HeaderList } from './header-list.ts'

type Line = readonly [name: string, value: string]

/** Names, separated by commas, that an authorizer takes off the request. Never relayed. */
const removeHeader = 'x-envoy-auth-headers-to-remove'

const empty = new Uint8Array(0)

export interface HttpAnswer {
  readonly status: number
  /** Flat, values as Latin-1. */
  readonly rawHeaders: readonly string[]
  readonly body: Buffer
}

/** Which headers a provider is sent, and what its answers mean. */
export interface HttpRules {
  /** Flat: name, value, name, value, ... */
  requestHeaders(request: CheckRequest, http: CheckHttpRequest): string[]
  outcome(answer: HttpAnswer): CheckOutcome
}

export function createHttpRules(provider: HttpProvider): HttpRules {
  const sent = compileHeaderList(provider.includeRequestHeaders)
  const added = provider.includeAdditionalHeaders
    .map(([name, value]) => [name.toLowerCase(), compileTemplate(value)] as const)
    .filter(([name]) => !isFramingHeader(name))
  const upstream = compileHeaderList(provider.headersToUpstreamOnAllow)
  const onAllow = compileHeaderList(provider.headersToDownstreamOnAllow)
  const onDeny = denyList(provider.headersToDownstreamOnDeny)
  return {
    requestHeaders: (request, http) => requestHeaders(request, http, { sent, added, timeout: provider.timeout }),
    outcome(answer) {
      if (tooLarge(answer)) return failure('unavailable', 'the answer has too many headers')
      if (answer.status === 200) return allowed(answer, upstream, onAllow)
      if (answer.status >= 500 && answer.status <= 599) {
        return failure('unavailable', `the provider answered with status ${answer.status}`)
      }
      return denied(answer, onDeny)
    },
  }
}

/** Envoy's default bounds for the head of an upstream's answer. */
const maxLines = 100
const maxHeadBytes = 60 * 1024

function tooLarge({ rawHeaders }: HttpAnswer): boolean {
  const bytes = rawHeaders.reduce((sum, text) => sum + text.length, 0)
  return rawHeaders.length > maxLines * 2 || bytes > maxHeadBytes
}

interface Sent {
  readonly sent: HeaderList
  readonly added: readonly (readonly [name: string, fill: FillTemplate])[]
  readonly timeout: number
}

/** Besides the provider's list: `authorization`, always, and what says whether the body is whole. */
function requestHeaders(request: CheckRequest, http: CheckHttpRequest, { sent, added, timeout }: Sent): string[] {
  const { claims = null } = request
  const headers = new Map<string, string>()
  for (const [name, value] of mergeHeaders(http)) {
    if (isFramingHeader(name)) continue
    if (name === 'authorization' || name === partialBodyHeader || sent(name)) headers.set(name, latin1FromUtf8(value))
  }
  for (const [name, fill] of added) {
    const value = fill(request, http)
    // Envoy adds none without a value.
    if (value !== '') headers.set(name, value)
  }
  if (claims !== null) headers.set(claimsHeader, Buffer.from(JSON.stringify(claims), 'utf8').toString('base64url'))
  headers.set('x-envoy-internal', 'true')
  headers.set('x-envoy-expected-rq-timeout-ms', String(timeout))
  headers.set('content-length', String(http.body?.bytes.length ?? 0))
  const host = headers.get('host') ?? http.host
  headers.delete('host')
  return ['host', host, ...[...headers].flat()]
}

/** Exactly 200. A repeated header keeps its last value on the request, and is added line by line to the response. */
function allowed(answer: HttpAnswer, upstream: HeaderList, onAllow: HeaderList): CheckOutcome {
  const changes: HeaderChange[] = []
  const removals: HeaderChange[] = []
  const responseChanges: HeaderChange[] = []
  let rewrite: RequestRewrite | null = null
  for (const [name, value] of usableLines(answer)) {
    if (name === removeHeader) {
      for (const removal of removalsIn(value)) removals.push({ kind: 'remove', name: removal })
      continue
    }
    const toUpstream = upstream(name)
    const toClient = onAllow(name)
    if ((toUpstream || toClient) && !isHeaderValue(value))
      return invalidAnswer('a header value has a control character')
    if (toUpstream && name === 'host') {
      if (!isAuthority(value)) return invalidAnswer('host is set to something that it cannot be')
      rewrite = { authority: value }
    } else if (toUpstream) changes.push({ kind: 'set', name, value })
    if (toClient) responseChanges.push({ kind: 'add', name, value })
  }
  return {
    kind: 'allow',
    changes: [...changes, ...removals],
    responseChanges,
    ...(rewrite === null ? {} : { rewrite }),
  }
}

function removalsIn(value: string): string[] {
  const names = value.split(',').map((name) => name.trim().toLowerCase())
  return names.filter((name) => isHeaderName(name) && name !== 'host' && !isFramingHeader(name))
}

/** An empty list relays everything but `host`; any other adds what a client needs to make sense of a denial. */
function denyList(entries: readonly string[]): HeaderList {
  if (entries.length === 0) return (name) => name !== 'host'
  const listed = compileHeaderList(entries)
  return (name) => name === 'www-authenticate' || name === 'location' || (listed(name) && name !== 'host')
}

function denied(answer: HttpAnswer, onDeny: HeaderList): CheckOutcome {
  const headers: Line[] = []
  for (const line of usableLines(answer)) {
    if (line[0] === removeHeader || !onDeny(line[0])) continue
    if (!isHeaderValue(line[1])) return invalidAnswer('a header value has a control character')
    headers.push(line)
  }
  const final = answer.status >= 200 && answer.status <= 599
  return { kind: 'deny', status: final ? answer.status : 403, headers, body: final ? answer.body : empty }
}

/** Lines with lower-case names, without those that frame the provider's own answer; some are joined, as in Envoy. */
function* usableLines({ rawHeaders }: HttpAnswer): Generator<Line> {
  const headers = HeaderMap.fromRaw(rawHeaders)
  joinAnswerLines(headers)
  for (const [name, value] of headers) if (!isFramingHeader(name)) yield [name, value]
}
