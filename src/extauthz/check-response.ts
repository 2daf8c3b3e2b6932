import { Buffer } from 'node:buffer'
import { fromBinary } from '@bufbuild/protobuf'
import type { HeaderValueOption } from '../proto/gen/envoy/config/core/v3/base_pb.js'
import { HeaderValueOption_HeaderAppendAction } from '../proto/gen/envoy/config/core/v3/base_pb.js'
import type {
  CheckResponse,
  DeniedHttpResponse,
  OkHttpResponse,
} from '../proto/gen/envoy/service/auth/v3/external_auth_pb.js'
import { CheckResponseSchema } from '../proto/gen/envoy/service/auth/v3/external_auth_pb.js'
import type { CheckOutcome, DynamicMetadata, ErrorReply, HeaderChange, QueryChanges, RequestRewrite } from './check.ts'
import { isFramingHeader, isHeaderName, isHeaderValue, latin1FromUtf8 } from './header-syntax.ts'

type Line = readonly [name: string, value: string]
type Allowed = Extract<CheckOutcome, { kind: 'allow' }>
type ResponseChange = Exclude<HeaderChange, { kind: 'join' | 'remove' }>

const empty = new Uint8Array(0)

/** An answer that cannot be applied safely. */
class InvalidAnswer extends Error {}

/** What an outcome of an answer that must not be applied is: a 500 that no `failOpen` turns into a pass. */
export function invalidAnswer(message: string): CheckOutcome {
  return { kind: 'error', reason: 'invalid', message, reply: { status: 500, headers: [], body: empty } }
}

/** Reads the bytes of an `envoy.service.auth.v3.CheckResponse` as Envoy does, but refuses what would split a message. */
export function parseCheckResponse(bytes: Uint8Array): CheckOutcome {
  let response: CheckResponse
  try {
    response = fromBinary(CheckResponseSchema, bytes, { readUnknownFields: false })
  } catch {
    return { kind: 'error', reason: 'unavailable', message: 'the answer is no CheckResponse' }
  }
  try {
    return decide(response)
  } catch (error) {
    if (error instanceof InvalidAnswer) return invalidAnswer(error.message)
    throw error
  }
}

/** A missing status is code 0, and code 0 allows whatever the other arm says. */
function decide(response: CheckResponse): CheckOutcome {
  const { status, httpResponse: arm } = response
  if ((status?.code ?? 0) === 0) {
    const outcome = arm.case === 'okResponse' ? allowed(arm.value) : nothingChanged
    const metadata = metadataOf(response)
    return metadata === null ? outcome : { ...outcome, metadata }
  }
  if (arm.case === 'deniedResponse') return denied(arm.value)
  if (arm.case === 'errorResponse') return failed(arm.value)
  return { kind: 'deny', status: 403, headers: [], body: empty }
}

const nothingChanged: Allowed = { kind: 'allow', changes: [], responseChanges: [] }

/** The deprecated field of the OK answer wins where it is there, as in Envoy. */
function metadataOf({ httpResponse: arm, dynamicMetadata }: CheckResponse): DynamicMetadata | null {
  const own = arm.case === 'okResponse' ? arm.value.dynamicMetadata : undefined
  const metadata = own ?? dynamicMetadata
  if (metadata === undefined || Object.keys(metadata).length === 0) return null
  return Object.assign(Object.create(null), metadata)
}

/** An entry with `append: true` is left out, as by Envoy; other append settings have no meaning here. */
function denied(response: DeniedHttpResponse): CheckOutcome {
  const options = response.headers.filter((option) => option.append !== true)
  const { status, headers, body } = reply(response, options)
  return { kind: 'deny', status: status ?? 403, headers, body }
}

/** Entries with `append: true` come after the others. */
function failed(response: DeniedHttpResponse): CheckOutcome {
  const last = response.headers.filter((option) => option.append === true)
  const options = [...response.headers.filter((option) => option.append !== true), ...last]
  const message = 'the authorizer reports an error'
  return { kind: 'error', reason: 'unavailable', message, reply: reply(response, options) }
}

/**
 * Every entry becomes a line. A status that no final response can have counts as unset, where Envoy would send whatever
 * 16 bits are left of it.
 */
function reply(response: DeniedHttpResponse, options: readonly HeaderValueOption[]): ErrorReply {
  const code = response.status?.code ?? 0
  const headers: Line[] = []
  for (const option of options) {
    const [name, value] = line(option)
    if (name === 'host' || isFramingHeader(name)) continue
    if (!isHeaderName(name)) throw new InvalidAnswer('a header of the denial has an invalid name')
    headers.push([name, value])
  }
  return { status: code >= 200 && code <= 599 ? code : null, headers, body: Buffer.from(response.body, 'utf8') }
}

function allowed(response: OkHttpResponse): Allowed {
  const sets: HeaderChange[] = []
  const joins: HeaderChange[] = []
  const removals: HeaderChange[] = []
  const rewrite: { -readonly [K in keyof RequestRewrite]: RequestRewrite[K] } = {}
  for (const option of response.headers) {
    const [name, value] = line(option)
    if (name === 'host' || name.startsWith(':')) {
      if (option.append === true) throw new InvalidAnswer('a part of the request line cannot be appended to')
      rewriteRequest(rewrite, name, value)
    } else if (!isHeaderName(name)) throw new InvalidAnswer('a header to set has an invalid name')
    else if (isFramingHeader(name)) continue
    else if (option.append === true) joins.push({ kind: 'join', name, value })
    else sets.push({ kind: 'set', name, value })
  }
  for (const raw of response.headersToRemove) {
    const name = raw.toLowerCase()
    if (name === 'host' || name.startsWith(':') || isFramingHeader(name)) continue
    if (!isHeaderName(name)) throw new InvalidAnswer('a header to remove has an invalid name')
    removals.push({ kind: 'remove', name })
  }
  const queryChanges = query(response)
  return {
    kind: 'allow',
    changes: [...sets, ...joins, ...removals],
    responseChanges: responseChanges(response.responseHeadersToAdd),
    ...(queryChanges === null ? {} : { queryChanges }),
    ...(Object.keys(rewrite).length === 0 ? {} : { rewrite }),
  }
}

/** `append_action`, where `append` is unset; a number that is no action is skipped. */
function responseChange(option: HeaderValueOption, name: string, value: string): ResponseChange | null {
  if (option.append !== undefined) return { kind: option.append ? 'add' : 'set', name, value }
  switch (option.appendAction) {
    case HeaderValueOption_HeaderAppendAction.APPEND_IF_EXISTS_OR_ADD:
      return { kind: 'add', name, value }
    case HeaderValueOption_HeaderAppendAction.ADD_IF_ABSENT:
      return { kind: 'addIfAbsent', name, value }
    case HeaderValueOption_HeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD:
      return { kind: 'set', name, value }
    case HeaderValueOption_HeaderAppendAction.OVERWRITE_IF_EXISTS:
      return { kind: 'setIfPresent', name, value }
    default:
      return null
  }
}

/** Envoy's order of kinds, whatever the order of the entries. */
const responseOrder = ['add', 'set', 'addIfAbsent', 'setIfPresent'] as const

function responseChanges(options: readonly HeaderValueOption[]): HeaderChange[] {
  const changes: ResponseChange[] = []
  for (const option of options) {
    const [name, value] = line(option)
    if (!isHeaderName(name)) throw new InvalidAnswer('a header for the response has an invalid name')
    if (isFramingHeader(name)) continue
    const change = responseChange(option, name, value)
    if (change !== null) changes.push(change)
  }
  return responseOrder.flatMap((kind) => changes.filter((change) => change.kind === kind))
}

/** The lower-case name and the value as Latin-1. `raw_value` and `keep_empty_value` are not looked at. */
function line({ header }: HeaderValueOption): Line {
  const value = latin1FromUtf8(header?.value ?? '')
  if (!isHeaderValue(value)) throw new InvalidAnswer('a header value has a control character')
  return [(header?.key ?? '').toLowerCase(), value]
}

/** Visible characters: what can stand in a request target without ending or cutting it. */
const target = /^\/[\x21\x22\x24-\x7e\x80-\xff]*$/
const queryPart = /^[\x21\x22\x24-\x7e\x80-\xff]*$/
/** RFC 3986, section 3.2, without user information. */
const authoritySyntax = /^[A-Za-z0-9\-._~%!$&'()*+,;=:[\]]+$/

export function isAuthority(value: string): boolean {
  return authoritySyntax.test(value)
}

function rewriteRequest(
  rewrite: { method?: string; path?: string; authority?: string },
  name: string,
  value: string,
): void {
  if (name === ':method' && isHeaderName(value)) rewrite.method = value
  else if (name === ':path' && target.test(value)) rewrite.path = value
  else if ((name === ':authority' || name === 'host') && isAuthority(value)) rewrite.authority = value
  else throw new InvalidAnswer('a part of the request line is set to something that it cannot be')
}

function query(response: OkHttpResponse): QueryChanges | null {
  if (response.queryParametersToSet.length === 0 && response.queryParametersToRemove.length === 0) return null
  const set = response.queryParametersToSet.map(({ key, value }): Line => [latin1FromUtf8(key), latin1FromUtf8(value)])
  if (!set.every(([key, value]) => queryPart.test(key) && queryPart.test(value))) {
    throw new InvalidAnswer('a query parameter to set has a character that must be encoded')
  }
  return { set, remove: response.queryParametersToRemove.map(latin1FromUtf8) }
}
