import { asBytes, asciiLower } from '../../match/bytes.ts'
import { HeaderMap } from '../../match/header-map.ts'
import { type IpAddress, parseSocketIp } from '../../match/ip.ts'
import { remoteIpOf } from '../../match/remote-ip.ts'
import type { ConnectionFacts, Facts } from '../../policy/facts.ts'
import { isJoinedHeader, joinRepeatedHeaders } from '../../policy/header-lines.ts'
import type { Condition, Match, PolicyIr, Ruleset } from '../../policy/ir.ts'
import type { Attributes, AuthorizerConnection, AuthorizerPeer, AuthorizerRequest } from '../server/request.ts'

/** What the rules of a workload look at, and a question may not tell or tells at a cost. */
export interface Needs {
  readonly kinds: ReadonlySet<Match['kind']>
  /** Lower-case names. */
  readonly headers: ReadonlySet<string>
}

export function needsOf(ir: PolicyIr): Needs {
  const kinds = new Set<Match['kind']>()
  const headers = new Set<string>()
  const look = ({ any, none }: Condition) => {
    for (const match of [...any, ...none]) {
      kinds.add(match.kind)
      if (match.kind === 'header') headers.add(match.name)
    }
  }
  const rulesets: readonly (Ruleset | null)[] = [ir.audit, ir.deny, ir.allow, ir.shadowDeny, ir.shadowAllow]
  for (const rule of rulesets.flatMap((rules) => rules ?? [])) {
    for (const conjunction of [...rule.permissions, ...rule.principals]) conjunction.forEach(look)
  }
  return { kinds, headers }
}

/** What a question tells of its connection, or which attribute it lacks that the rules look at. */
export type ReadConnection =
  | { readonly kind: 'connection'; readonly connection: ConnectionFacts }
  | { readonly kind: 'untold'; readonly attribute: string }

/** Stands for what no rule looks at. */
const UNTOLD: IpAddress = parseSocketIp('0.0.0.0') as IpAddress

/**
 * `sni` is what the proxy said of it. The HTTP form of a check tells of no peer, and what is not told must not read as
 * being in none of a policy's blocks.
 */
export function readConnection(
  { source, destination }: { readonly source: AuthorizerPeer; readonly destination: AuthorizerPeer },
  peer: string,
  sni: string,
  { kinds }: Needs,
): ReadConnection {
  const sourceIp = kinds.has('sourceIp') || kinds.has('remoteIp') ? parseSocketIp(source.ip) : UNTOLD
  const destinationIp = kinds.has('destinationIp') ? parseSocketIp(destination.ip) : UNTOLD
  if (sourceIp === null) return untold('source.ip')
  if (destinationIp === null) return untold('destination.ip')
  if (destination.port === 0 && kinds.has('port')) return untold('destination.port')
  // Without a peer's address nobody looked for its certificate either.
  if (peer === '' && source.ip === '' && kinds.has('peer')) return untold('source.principal')
  return {
    kind: 'connection',
    connection: {
      peer,
      sourceIp,
      destinationIp,
      destinationPort: destination.port,
      sni: asciiLower(asBytes(sni)),
    },
  }
}

function untold(attribute: string): ReadConnection {
  return { kind: 'untold', attribute }
}

/**
 * The peer as policies see it, or null for one that is refused. Envoy writes a SPIFFE id with its scheme, and without one
 * in the certificate its DNS name or subject, which policies cannot take for an id. Other proxies leave the scheme away,
 * which is taken for an id of the mesh's own trust domains in its full form; whatever else is spelt like one is refused.
 */
export function peerOf(principal: string, trustDomains: ReadonlySet<string>): string | null {
  if (principal === '' || principal.startsWith('spiffe://')) return principal
  const [, trustDomain] = BARE_ID.exec(principal) ?? []
  if (trustDomain !== undefined && trustDomains.has(trustDomain)) return `spiffe://${principal}`
  return SPELT_LIKE_AN_ID.test(principal) ? null : principal
}

const BARE_ID = /^([^/\s]+)\/ns\/[^/\s]+\/sa\/[^/\s]+$/
const SPELT_LIKE_AN_ID = /spiffe:|\/ns\/|\/sa\//i

/** Of an HTTP request only the attributes tell it. */
export function sniOf(attributes: Attributes): string {
  const session = attributes.tlsSession as { readonly sni?: string } | undefined
  return session?.sni ?? ''
}

/** Dynamic metadata by filter name, of the namespaces that the proxy's configuration lets the authorizer see. */
export function metadataOf({ attributes }: AuthorizerRequest | AuthorizerConnection): Facts['metadata'] {
  const context = attributes.metadataContext as { readonly filterMetadata?: Facts['metadata'] } | undefined
  return context?.filterMetadata ?? null
}

export function headersOf({ headerLines }: AuthorizerRequest): HeaderMap {
  const headers = new HeaderMap()
  for (const [name, value] of headerLines) headers.append(asBytes(name), asBytes(value))
  joinRepeatedHeaders(headers)
  return headers
}

/**
 * The same headers with the parts of each line that may have been several, which proxies join with commas, as lines beside
 * it: null when no rule looks at such a one, or the proxy has kept lines apart (`encode_raw_headers`). Envoy tests the lines of most headers one by one, and says that a value is
 * there when it is one of them; whether it was, nobody knows any more, so that what is refused either way is refused.
 */
export function withParts(headers: HeaderMap, needs: Needs, request: AuthorizerRequest): HeaderMap | null {
  if (needs.headers.size === 0) return null
  let found = false
  const lines: [string, string][] = []
  for (const [name, value] of headers) {
    lines.push([name, value])
    if (!needs.headers.has(name) || isJoinedHeader(name) || !value.includes(',')) continue
    found = true
    for (const part of value.split(',')) lines.push([name, part.trim()])
  }
  return found && !keepsLines(request.attributes) ? HeaderMap.from(lines) : null
}

function keepsLines({ request }: Attributes): boolean {
  const { http } = (request ?? {}) as { readonly http?: { readonly headerMap?: unknown } }
  return http?.headerMap !== undefined
}

/** `hops`: null at a sidecar; at a gateway the proxies in front of it. The gateway has added its own peer before it asks. */
export function clientIp(headers: HeaderMap, peer: IpAddress, hops: number | null): IpAddress {
  return remoteIpOf(headers, peer, hops === null || hops === 0 ? hops : hops + 1)
}
