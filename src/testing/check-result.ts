import { Buffer } from 'node:buffer'
import type { CheckHttpRequest, CheckOutcome, ErrorReply, HeaderChange, RequestRewrite } from '../extauthz/check.ts'
import { applyChanges } from '../extauthz/header-changes.ts'
import type { JsonObject } from '../extauthz/index.ts'
import { applyQuery } from '../extauthz/query-changes.ts'
import { HeaderMap } from '../match/header-map.ts'

type Line = readonly [name: string, value: string]
type Headers = Readonly<Record<string, string | undefined>>

/** What the proxy makes of an answer. */
export interface CheckResult {
  /** `error`: there is no answer, and the caller's own configuration decides. */
  readonly decision: 'allow' | 'deny' | 'error'
  /** What the client gets: 200 when the request passes, else the status of the refusal. */
  readonly status: number
  /** What the client gets, by lower-case name; repeated lines are joined with a comma. */
  readonly headers: Headers
  readonly headerLines: readonly Line[]
  /** Of a refusal; empty when the request passes. */
  readonly body: string
  /** `body` read as JSON. Throws SyntaxError when it is none. */
  json(): unknown
  /** What the application gets, null when the request does not pass. */
  readonly upstream: Upstream | null
  /** Dynamic metadata; empty without, and over HTTP. */
  readonly metadata: JsonObject
  /** Why there is no answer, or why the answer cannot be applied; null when there is nothing of the sort. */
  readonly failure: string | null
  /**
   * What went wrong in the check: that it threw, and where, that it took too long, or that it answered with something
   * that is no answer. Null when nothing did. Of an authorizer, its own logger is told instead.
   */
  readonly problem: string | null
}

/** A request as it is forwarded. */
export interface Upstream {
  readonly method: string
  readonly path: string
  readonly host: string
  /** By lower-case name; repeated lines are joined with a comma. */
  readonly headers: Headers
  readonly headerLines: readonly Line[]
}

/** Of a TCP connection there is nothing to change: it is kept or closed. */
export interface ConnectionResult extends Pick<CheckResult, 'decision' | 'metadata' | 'failure' | 'problem'> {}

/** The caller's side of the configuration, and the application's answer. */
export interface Application {
  readonly failOpen: boolean
  readonly statusOnError: number
  readonly responseHeaders: HeaderMap
}

export type Applied = Omit<CheckResult, 'metadata' | 'problem'>

/** Applies an outcome to a request, as the proxy does. */
export function applyOutcome(request: CheckHttpRequest, outcome: CheckOutcome, application: Application): Applied {
  switch (outcome.kind) {
    case 'allow': {
      const upstream = forward(request, outcome)
      const headers = upstream === null ? null : respond(application.responseHeaders, outcome.responseChanges)
      if (upstream === null || headers === null) return refuse('error', invalid, 'the changes cannot be applied')
      return passed('allow', upstream, headers, null)
    }
    case 'deny':
      return refuse('deny', outcome, null)
    case 'error': {
      const forgiven = outcome.reason === 'unavailable' || outcome.reason === 'timeout'
      if (application.failOpen && forgiven) {
        const upstream = upstreamOf(request, request.headers)
        return passed('error', upstream, application.responseHeaders, outcome.message)
      }
      const { status = null, headers = [], body = nothing } = outcome.reply ?? {}
      return refuse('error', { status: status ?? application.statusOnError, headers, body }, outcome.message)
    }
    default:
      return outcome satisfies never
  }
}

const nothing = new Uint8Array(0)
const invalid = { status: 500, headers: [], body: nothing }

/** Null when what comes out cannot be sent on. */
function forward(request: CheckHttpRequest, outcome: Extract<CheckOutcome, { kind: 'allow' }>): Upstream | null {
  const headers = request.headers.clone()
  if (!applyChanges(headers, outcome.changes)) return null
  const {
    method = request.method,
    path = request.path,
    authority = request.host,
  }: RequestRewrite = outcome.rewrite ?? {}
  const target = outcome.queryChanges === undefined ? path : applyQuery(path, outcome.queryChanges)
  return upstreamOf({ method, path: target, host: authority }, headers)
}

function upstreamOf({ method, path, host }: Pick<CheckHttpRequest, 'method' | 'path' | 'host'>, headers: HeaderMap) {
  return { method, path: utf8(path), host, ...read(headers) }
}

function respond(response: HeaderMap, changes: readonly HeaderChange[]): HeaderMap | null {
  const headers = response.clone()
  return applyChanges(headers, changes) ? headers : null
}

function passed(decision: 'allow' | 'error', upstream: Upstream, headers: HeaderMap, failure: string | null): Applied {
  return { decision, status: 200, ...read(headers), ...bodyOf(''), upstream, failure }
}

interface Reply extends Pick<ErrorReply, 'headers' | 'body'> {
  readonly status: number
}

/** With a type for a body that has none, and without a type where there is no body, as Envoy answers. */
function refuse(decision: 'deny' | 'error', { status, headers, body }: Reply, failure: string | null): Applied {
  const lines = HeaderMap.from(headers)
  if (body.length === 0) lines.delete('content-type')
  else if (!lines.has('content-type')) lines.append('content-type', 'text/plain')
  const text = Buffer.from(body).toString('utf8')
  return { decision, status, ...read(lines), ...bodyOf(text), upstream: null, failure }
}

function bodyOf(body: string): Pick<CheckResult, 'body' | 'json'> {
  return { body, json: () => JSON.parse(body) }
}

function read(map: HeaderMap): { readonly headers: Headers; readonly headerLines: readonly Line[] } {
  const headerLines = [...map].map(([name, value]): Line => [name, utf8(value)])
  const headers: Record<string, string | undefined> = Object.create(null)
  for (const [name, value] of headerLines) {
    const before = headers[name]
    headers[name] = before === undefined ? value : `${before},${value}`
  }
  return { headers, headerLines }
}

function utf8(bytes: string): string {
  return Buffer.from(bytes, 'latin1').toString('utf8')
}
