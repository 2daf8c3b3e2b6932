import { asBytes, asciiLower } from '../match/bytes.ts'
import { type IpBlock, parseIpBlock } from '../match/ip.ts'
import { isPathTemplate, parsePathTemplate } from '../match/path-template.ts'
import {
  namespacePattern,
  type PeerPattern,
  principalPattern,
  serviceAccountPattern,
  trustDomainPattern,
} from '../match/spiffe.ts'
import { parseStringMatch, type StringMatch } from '../match/string-match.ts'
import type { Match, PresenceMatch } from './ir.ts'

/** How the values of one field or `when` key are read. */
export interface Attribute {
  /** Where Istio's compiler places it in Envoy's rule. */
  readonly side: 'permission' | 'principal'
  /** Cannot be expressed on a TCP connection. */
  readonly httpOnly: boolean
  readonly expansion: 'none' | 'principals' | 'trustDomains'
  /** `namespace` is the policy's own. Null for a value that cannot be expressed. */
  readonly lower: (value: string, namespace: string) => Match | null
}

/**
 * The attribute behind a `when` key, or behind a field under the key that Istio uses for it (`hosts`, `methods` and
 * `paths` have none and go by their own names). Null for an unknown key.
 */
export function attributeOf(key: string): Attribute | null {
  return named.get(key) ?? bracketed(key)
}

/** Keys with a name in brackets; Istio looks at the prefix only, then reads the rest. */
function bracketed(key: string): Attribute | null {
  if (key.startsWith(METADATA)) return any('permission', metadata(key.slice('experimental.'.length)))
  if (key.startsWith(HEADERS)) {
    const name = unbracket(key.slice(HEADERS.length))
    return http('principal', (written) => (name === null ? null : header(asciiLower(asBytes(name)), written)))
  }
  if (key.startsWith(CLAIMS)) {
    const path = claimPath(key.slice(CLAIMS.length))
    return http('principal', path === null ? () => null : claim(path))
  }
  return null
}

const METADATA = 'experimental.envoy.filters.'
const HEADERS = 'request.headers'
const CLAIMS = 'request.auth.claims'

type Side = Attribute['side']

function any(side: Side, lower: Attribute['lower']): Attribute {
  return { side, httpOnly: false, expansion: 'none', lower }
}

function http(side: Side, lower: Attribute['lower']): Attribute {
  return { side, httpOnly: true, expansion: 'none', lower }
}

const named: ReadonlyMap<string, Attribute> = new Map<string, Attribute>([
  [
    'hosts',
    http('permission', (written) => ({ written, kind: 'host', match: presence(asciiLower(asBytes(written))) })),
  ],
  ['methods', http('permission', (written) => ({ written, kind: 'method', match: presence(asBytes(written)) }))],
  ['paths', http('permission', lowerPath)],
  ['destination.port', any('permission', lowerPort)],
  ['destination.ip', any('permission', block('destinationIp'))],
  [
    'connection.sni',
    any('permission', (written) => ({ written, kind: 'sni', match: parseStringMatch(asBytes(written)) })),
  ],
  ['source.ip', any('principal', block('sourceIp'))],
  ['remote.ip', any('principal', block('remoteIp'))],
  ['source.namespace', any('principal', peer(namespacePattern))],
  ['source.serviceAccount', any('principal', peer(serviceAccountPattern))],
  ['source.principal', { ...any('principal', peer(principalPattern)), expansion: 'principals' }],
  ['source.trustDomain', { ...any('principal', peer(trustDomainPattern)), expansion: 'trustDomains' }],
  [
    'request.auth.principal',
    http('principal', (written) => ({ written, kind: 'requestPrincipal', ...requestPrincipal(written) })),
  ],
  ['request.auth.audiences', http('principal', claim(['aud']))],
  ['request.auth.presenter', http('principal', claim(['azp']))],
])

function presence(text: string): PresenceMatch {
  return text === '*' ? { kind: 'present' } : parseStringMatch(text)
}

function lowerPath(written: string): Match | null {
  if (!isPathTemplate(written)) return { written, kind: 'path', match: parseStringMatch(asBytes(written)) }
  const template = parsePathTemplate(written)
  return template === null ? null : { written, kind: 'pathTemplate', template }
}

/** Go's ParseUint in base 10: digits only. */
function lowerPort(written: string): Match | null {
  if (!/^[0-9]+$/.test(written) || Number(written) > 65535) return null
  return { written, kind: 'port', port: Number(written) }
}

function block(kind: 'sourceIp' | 'remoteIp' | 'destinationIp') {
  return (written: string): Match | null => {
    const parsed: IpBlock | null = parseIpBlock(written)
    return parsed === null ? null : { written, kind, block: parsed }
  }
}

function peer(pattern: (value: string, namespace: string) => PeerPattern) {
  return (written: string, namespace: string): Match => ({
    written,
    kind: 'peer',
    pattern: pattern(written, namespace),
  })
}

function claim(path: readonly string[]) {
  return (written: string): Match => ({ written, kind: 'claim', path, match: parseStringMatch(written) })
}

function header(name: string, written: string): Match {
  return { written, kind: 'header', name: name === 'host' ? ':authority' : name, match: presence(asBytes(written)) }
}

/** `[v]` tests the strings of a list, `v` a string. */
function metadata(key: string) {
  const open = key.indexOf('[')
  return (written: string): Match | null => {
    if (open === -1) return null
    const list = written.startsWith('[') && written.endsWith(']')
    return {
      written,
      kind: 'metadata',
      filter: key.slice(0, open),
      key: key.slice(open + 1).replace(/\]$/, ''),
      list,
      match: parseStringMatch(list ? withoutBrackets(written) : written),
    }
  }
}

function withoutBrackets(text: string): string {
  let [start, end] = [0, text.length]
  while (start < end && '[]'.includes(text.charAt(start))) start++
  while (end > start && '[]'.includes(text.charAt(end - 1))) end--
  return text.slice(start, end)
}

function unbracket(text: string): string | null {
  return text.length >= 2 && text.startsWith('[') && text.endsWith(']') ? text.slice(1, -1) : null
}

/** `[a][b]` is a path; anything else in brackets, such as `[[x]]`, is one claim by the text between the outermost. */
function claimPath(text: string): readonly string[] | null {
  const parts: string[] = []
  const part = /\[([^[\]]*)\]/y
  while (part.lastIndex < text.length) {
    const next = part.exec(text)
    if (next === null) {
      const whole = unbracket(text)
      return whole === null ? null : [whole]
    }
    parts.push(next[1] as string)
  }
  return parts
}

/** Splits at the last slash: an issuer is often a URL. A wildcard at one end moves with its half. */
function requestPrincipal(value: string): { readonly issuer: StringMatch; readonly subject: StringMatch } {
  const any: StringMatch = { kind: 'nonEmpty' }
  const slash = value.lastIndexOf('/')
  const found = slash !== -1
  const issuer = found ? value.slice(0, slash) : value
  const subject = found ? value.slice(slash + 1) : ''
  const exact = (text: string): StringMatch => ({ kind: 'exact', value: text })
  if (value === '*') return { issuer: any, subject: any }
  if (value.startsWith('*')) {
    if (!found) return { issuer: any, subject: { kind: 'suffix', value: value.slice(1) } }
    return { issuer: issuer === '*' ? any : { kind: 'suffix', value: issuer.slice(1) }, subject: exact(subject) }
  }
  if (value.endsWith('*')) {
    if (!found) return { issuer: { kind: 'prefix', value: value.slice(0, -1) }, subject: any }
    return { issuer: exact(issuer), subject: subject === '*' ? any : { kind: 'prefix', value: subject.slice(0, -1) } }
  }
  return { issuer: exact(issuer), subject: exact(subject) }
}
