import type { CedarValueJson, Context } from '@cedar-policy/cedar-wasm/nodejs'
import { parseIp } from '../../match/ip.ts'
import type { Claims } from '../../policy/facts.ts'
import type { Json } from '../../source/document.ts'
import type { AuthorizerConnection, AuthorizerPeer, AuthorizerRequest } from '../server/request.ts'
import { sniOf } from './request-facts.ts'
import type { SeenRequest } from './seen-request.ts'
import { principalOf } from './token-principal.ts'

/** Which parts of the context are looked at. */
export type Wanted = (name: string) => boolean

export function requestContext(
  { request, path: target, headers, claims }: SeenRequest,
  now: number,
  wanted: Wanted,
): Context {
  const question = target.indexOf('?')
  const parts: Readonly<Record<string, () => CedarValueJson | null>> = {
    path: () => (question === -1 ? target : target.slice(0, question)),
    query: () => queryOf(question === -1 ? '' : target.slice(question + 1)),
    method: () => request.method,
    host: () => request.host,
    scheme: () => request.scheme,
    headers: () => record(headers),
    auth: () => (claims === null ? null : authOf(claims)),
    sni: () => sniOf(request.attributes) || null,
    ...connectionParts(request, now),
  }
  return contextOf(parts, wanted)
}

export function connectionContext(connection: AuthorizerConnection, now: number, wanted: Wanted): Context {
  return contextOf({ sni: () => connection.sni || null, ...connectionParts(connection, now) }, wanted)
}

function connectionParts(asked: AuthorizerRequest | AuthorizerConnection, now: number) {
  return {
    source: () => peerOf(asked.source),
    destination: () => peerOf(asked.destination),
    contextExtensions: () => record(Object.entries(asked.contextExtensions).map(([k, v]) => [k, v ?? ''] as const)),
    now: () => ({ __extn: { fn: 'datetime', arg: new Date(now).toISOString() } }),
  }
}

function contextOf(parts: Readonly<Record<string, () => CedarValueJson | null>>, wanted: Wanted): Context {
  const context: Context = {}
  for (const [name, part] of Object.entries(parts)) {
    if (!wanted(name)) continue
    const value = part()
    if (value !== null) context[name] = value
  }
  return context
}

/** What is not known is absent. A SPIFFE id as Istio writes it is told in its parts too. */
function peerOf({ ip, port, principal }: AuthorizerPeer): CedarValueJson {
  const [, trustDomain, namespace, serviceAccount] = ISTIO_ID.exec(principal) ?? []
  return {
    ...(parseIp(ip) === null ? {} : { ip: { __extn: { fn: 'ip', arg: ip } }, port }),
    ...(principal === '' ? {} : { principal }),
    ...(trustDomain === undefined || namespace === undefined || serviceAccount === undefined
      ? {}
      : { trustDomain, namespace, serviceAccount }),
  }
}

const ISTIO_ID = /^spiffe:\/\/([^/]+)\/ns\/([^/]+)\/sa\/([^/]+)$/

/** Each parameter with the set of its values. */
function queryOf(query: string): CedarValueJson {
  const values = new Map<string, string[]>()
  for (const [name, value] of new URLSearchParams(query)) {
    const known = values.get(name)
    if (known === undefined) values.set(name, [value])
    else known.push(value)
  }
  return record(values)
}

function authOf(claims: Claims): CedarValueJson {
  const { principal, audiences, presenter } = principalOf(claims)
  return {
    ...(principal === undefined ? {} : { principal }),
    ...(presenter === undefined ? {} : { presenter }),
    audiences: [...audiences],
    claims: cedarOf(claims) ?? {},
  }
}

/** Cedar has whole numbers only, and no null: other numbers become text, and what is null is absent. */
function cedarOf(json: Json): CedarValueJson | null {
  switch (typeof json) {
    case 'string':
    case 'boolean':
      return json
    case 'number':
      return Number.isSafeInteger(json) ? json : String(json)
    default:
      if (json === null) return null
      if (Array.isArray(json)) return (json as readonly Json[]).map(cedarOf).filter((one) => one !== null)
      return record(
        Object.entries(json)
          .map(([name, value]) => [name, cedarOf(value)] as const)
          .filter((entry): entry is readonly [string, CedarValueJson] => entry[1] !== null),
      )
  }
}

/** Without names by which Cedar's JSON means something else than a record: whoever sends them means no entity. */
function record(entries: Iterable<readonly [string, CedarValueJson]>): CedarValueJson {
  return Object.fromEntries([...entries].filter(([name]) => !RESERVED.has(name)))
}

const RESERVED = new Set(['__entity', '__extn', '__expr'])
