import type { Outcome } from './outcome.ts'
import type { Received } from './slot.ts'
import type { Case, Line } from './spec.ts'

/** A row of docs/differences.md: its first cell. */
export type Row = string

/** What Envoy's outcome becomes where a listed difference applies, so that ours must equal it exactly. */
interface Rewriting {
  readonly row: Row
  /** The same object where the difference does not show. */
  readonly apply: (outcome: Outcome, one: Case, ours: Outcome) => Outcome
}

/** Envoy makes its own answer to a check that fails, and for gRPC that has the status 200, which then allows. */
export const failedHttpCheck: Row = 'an HTTP provider that is gone or late, where it is shown a `content-type` of gRPC'

/** Differences that any case may run into, and how exactly the two sides differ. */
export const rewritings: readonly Rewriting[] = [
  {
    row: 'the realm of `www-authenticate`',
    apply: (outcome, one, ours) => {
      const own = lineOf(ours.wire?.headers ?? [], 'www-authenticate')
      return changeHeaders(outcome, ([name, value]) =>
        name === 'www-authenticate' ? [name, realmOf(value, one, own)] : [name, value],
      )
    },
  },
  {
    row: '`grpc-timeout` of a gRPC request',
    apply: (outcome, _one, ours) =>
      changeReceived(withTimeout(outcome, ours), (received) => {
        const written = lineOf(ours.wire?.received[0]?.headers ?? [], 'grpc-timeout')
        const given = lineOf(received.headers, 'grpc-timeout')
        if (written === undefined || given === undefined || written === given) return received
        if (milliseconds(written) === null || milliseconds(written) !== milliseconds(given)) return received
        return {
          ...received,
          headers: received.headers.map((line) => (line[0] === 'grpc-timeout' ? [line[0], written] : line)),
        }
      }),
  },
  {
    row: failedHttpCheck,
    apply: (outcome, one, ours) => {
      if (ours.details !== 'ext_authz_error' || !asksHttpProvider(one)) return outcome
      const isGrpc = one.request.http?.headers.some(([name, value]) => {
        return name.toLowerCase() === 'content-type' && value.startsWith('application/grpc')
      })
      return isGrpc && !outcome.details?.startsWith('ext_authz') ? { ...ours, checks: outcome.checks } : outcome
    },
  },
  {
    row: 'the target from which a token was taken',
    apply: targetWithoutToken,
  },
  {
    row: "`x-envoy-upstream-service-time` of a provider's answer",
    apply: (outcome, one, ours) => {
      if (!asksHttpProvider(one)) return outcome
      const name = 'x-envoy-upstream-service-time'
      const without = (received: Received, other: Received | undefined) =>
        lineOf(received.headers, name) === undefined || lineOf(other?.headers ?? [], name) !== undefined
          ? received
          : { ...received, headers: received.headers.filter((line) => line[0] !== name) }
      return changeReceived(outcome, (received, i) => without(received, ours.wire?.received[i]))
    },
  },
]

const REALM = /^(Bearer realm="[a-z]+:\/\/[^/"]*)(\/[^?]*?)?(\?.*?)?("(?:, error="invalid_token")?)$/

/** Without the query; and with the path that was asked for where the client claims another in a header of Envoy's. */
function realmOf(value: string, { request }: Case, own: string | undefined): string {
  const [, start, path = '', , end] = REALM.exec(value) ?? []
  if (start === undefined) return value
  const claims = request.http?.headers.some(([name]) => name.toLowerCase() === 'x-envoy-original-path')
  const [, , asked = path] = (claims ? REALM.exec(own ?? '') : null) ?? []
  const escaped = asked.replace(/["\\]/g, (c) => encodeURIComponent(c))
  return `${start}${escaped}${end}`
}

function lineOf(headers: readonly Line[], name: string): string | undefined {
  return headers.find(([one]) => one === name)?.[1]
}

const UNITS: { readonly [unit: string]: number } = { H: 3_600_000, M: 60_000, S: 1000, m: 1 }

function milliseconds(text: string): number | null {
  const match = /^(\d{1,8})([HMSm])$/.exec(text)
  return match === null ? null : Number(match[1]) * (UNITS[match[2] as string] as number)
}

/** What a provider is shown of it. */
function withTimeout(outcome: Outcome, ours: Outcome): Outcome {
  const lines = (check: unknown) => (check as { readonly headers?: readonly Line[] } | undefined)?.headers ?? []
  let changed = false
  const checks = outcome.checks.map((check, i) => {
    const written = lineOf(lines(ours.checks[i]), 'grpc-timeout')
    const given = lineOf(lines(check), 'grpc-timeout')
    if (written === undefined || given === undefined || written === given) return check
    if (milliseconds(written) === null || milliseconds(written) !== milliseconds(given)) return check
    changed = true
    const headers = lines(check).map((line) => (line[0] === 'grpc-timeout' ? [line[0], written] : line))
    return { ...(check as object), headers }
  })
  return changed ? { ...outcome, checks } : outcome
}

function changeHeaders(outcome: Outcome, change: (line: Line) => Line): Outcome {
  const { wire } = outcome
  if (wire === null) return outcome
  const headers = wire.headers.map(change)
  const same = headers.every(([, value], i) => value === wire.headers[i]?.[1])
  return same ? outcome : { ...outcome, wire: { ...wire, headers } }
}

function changeReceived(outcome: Outcome, change: (received: Received, index: number) => Received): Outcome {
  const { wire } = outcome
  if (wire === null) return outcome
  const received = wire.received.map(change)
  return received.every((one, i) => one === wire.received[i]) ? outcome : { ...outcome, wire: { ...wire, received } }
}

/** Whether Envoy's side may have copied a header of its own connection to a provider. */
function asksHttpProvider({ request }: Case): boolean {
  return request.script?.kind === 'http'
}

/** How many parameters of a target may hold a token. */
function tokenParameters(target: string): number {
  return target.slice(target.indexOf('?')).match(/[?&](?:token|access_token)=/g)?.length ?? 0
}

/**
 * Envoy parses the query, decodes it, sorts it and writes it without encoding it again; here the pair is cut out. A target
 * that no longer is one, which Envoy then sends, is the application's to refuse: its connection ends.
 */
function targetWithoutToken(outcome: Outcome, { request }: Case, ours: Outcome): Outcome {
  const target = request.http?.target ?? ''
  if (tokenParameters(target) === 0) return outcome
  // Only what decoding makes unreadable ends so.
  const unreadable = outcome.status === 503 && /%[0-7][0-9A-Fa-f]|%[89A-Fa-f]/.test(target)
  if (unreadable && ours.wire === null) return { ...ours, checks: outcome.checks }
  const [mine] = ours.wire?.received ?? []
  if (mine === undefined || tokenParameters(mine.target) >= tokenParameters(target)) return outcome
  const { wire } = outcome
  const [theirs] = wire?.received ?? []
  if (wire === null) return outcome
  if (theirs === undefined) return unreadable ? { ...ours, checks: outcome.checks } : outcome
  if (theirs.target === mine.target || canonical(theirs.target) !== canonical(mine.target)) return outcome
  return { ...outcome, wire: { ...wire, received: [{ ...theirs, target: mine.target }] } }
}

/** The path, and the pairs of the query, decoded and in order. */
function canonical(target: string): string {
  const at = target.indexOf('?')
  if (at === -1) return target
  const pairs = target
    .slice(at + 1)
    .split('&')
    .filter((pair) => pair !== '' && pair !== '=')
    .map((pair) => {
      const [name = '', ...rest] = pair.split('=')
      return `${decoded(name)}=${decoded(rest.join('='))}`
    })
  return `${target.slice(0, at)}?${pairs.sort().join('&')}`
}

function decoded(text: string): string {
  return text.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
}
