import { parseStringMatch, type StringMatch } from './string-match.ts'

export const SPIFFE_SCHEME = 'spiffe://'

/**
 * Patterns on a peer's SPIFFE id, as Istio compiles them for Envoy (pilot/pkg/security/authz/model/generator.go). Each
 * has a hand-written test, which the hot path uses, and the regular expression that Istio writes, which judges it.
 */
export type PeerPattern =
  /** `principals`: on the id after its scheme, except that a lone `*` is any id at all. */
  | { readonly kind: 'principal'; readonly match: StringMatch }
  /** `namespaces`: the parts between the value's `*`. */
  | { readonly kind: 'namespace'; readonly parts: readonly string[] }
  | { readonly kind: 'serviceAccount'; readonly namespace: string; readonly name: string }
  /** `trustDomains`: the parts around the only `*`, or the one exact value; null means any. */
  | { readonly kind: 'trustDomain'; readonly parts: readonly string[] | null }

export function principalPattern(value: string): PeerPattern {
  return { kind: 'principal', match: parseStringMatch(value) }
}

export function namespacePattern(value: string): PeerPattern {
  return { kind: 'namespace', parts: value.split('*') }
}

/** `name` (in the policy's own namespace) or `namespace/name`. */
export function serviceAccountPattern(value: string, policyNamespace: string): PeerPattern {
  const slash = value.indexOf('/')
  return slash === -1
    ? { kind: 'serviceAccount', namespace: policyNamespace, name: value }
    : { kind: 'serviceAccount', namespace: value.slice(0, slash), name: value.slice(slash + 1) }
}

export function trustDomainPattern(value: string): PeerPattern {
  if (value === '*') return { kind: 'trustDomain', parts: null }
  const star = value.indexOf('*')
  return { kind: 'trustDomain', parts: star === -1 ? [value] : [value.slice(0, star), value.slice(star + 1)] }
}

/** Whether an id (with its scheme, empty without mTLS) matches. The test itself allocates nothing. */
export function peerTest(pattern: PeerPattern): (id: string) => boolean {
  switch (pattern.kind) {
    case 'principal':
      return principalTest(pattern.match)
    case 'namespace':
      return namespaceTest(pattern.parts)
    case 'serviceAccount':
      return serviceAccountTest(pattern.namespace, pattern.name)
    case 'trustDomain':
      return trustDomainTest(pattern.parts)
    default:
      return pattern satisfies never
  }
}

/** The whole-string regular expression that Istio gives Envoy for this pattern. */
export function peerRegex(pattern: PeerPattern): string {
  switch (pattern.kind) {
    case 'principal':
      return principalRegex(pattern.match)
    case 'namespace':
      return `.*/ns/${pattern.parts.map(quote).join('.*')}/.*`
    case 'serviceAccount':
      return `spiffe://.+/ns/${quote(pattern.namespace)}/(.+/|)sa/${quote(pattern.name)}(/.+)?`
    case 'trustDomain':
      return pattern.parts === null ? 'spiffe://.*' : `spiffe://${pattern.parts.map(quote).join('[^/]*')}/.*`
    default:
      return pattern satisfies never
  }
}

function principalRegex(match: StringMatch): string {
  switch (match.kind) {
    case 'exact':
      return `spiffe://${quote(match.value)}`
    case 'prefix':
      return `spiffe://${quote(match.value)}.*`
    case 'suffix':
      return `spiffe://.*${quote(match.value)}`
    case 'nonEmpty':
      return '.+'
    default:
      return match satisfies never
  }
}

function quote(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')
}

function principalTest(match: StringMatch): (id: string) => boolean {
  const from = SPIFFE_SCHEME.length
  switch (match.kind) {
    case 'nonEmpty':
      return (id) => id !== ''
    case 'exact': {
      const whole = SPIFFE_SCHEME + match.value
      return (id) => id === whole
    }
    case 'prefix': {
      const head = SPIFFE_SCHEME + match.value
      return (id) => id.startsWith(head)
    }
    case 'suffix': {
      const { value } = match
      return (id) => id.startsWith(SPIFFE_SCHEME) && id.length - value.length >= from && id.endsWith(value)
    }
    default:
      return match satisfies never
  }
}

/** The parts in order, the first right after `/ns/`, the last right before a slash; taking each leftmost finds all. */
function namespaceTest(parts: readonly string[]): (id: string) => boolean {
  const last = parts.length - 1
  const pieces = parts.map((part, i) => `${i === 0 ? '/ns/' : ''}${part}${i === last ? '/' : ''}`)
  return (id) => {
    let at = 0
    for (let i = 0; i < pieces.length; i++) {
      const piece = pieces[i] as string
      const found = id.indexOf(piece, at)
      if (found === -1) return false
      at = found + piece.length
    }
    return true
  }
}

function serviceAccountTest(namespace: string, name: string): (id: string) => boolean {
  const marker = `/ns/${namespace}/`
  const account = `sa/${name}`
  const later = `/${account}`
  return (id) => {
    if (!id.startsWith(SPIFFE_SCHEME)) return false
    // At least one character of trust domain stands before the marker.
    const first = id.indexOf(marker, SPIFFE_SCHEME.length + 1)
    if (first === -1) return false
    // The leftmost marker leaves the longest rest, so whatever matches after a later one matches after it too.
    const rest = first + marker.length
    if (id.startsWith(account, rest) && endsAccount(id, rest + account.length)) return true
    // `.+/sa/NAME`: the slash is at least one character into the rest.
    for (let i = id.indexOf(later, rest + 1); i !== -1; i = id.indexOf(later, i + 1)) {
      if (endsAccount(id, i + later.length)) return true
    }
    return false
  }
}

/** `(/.+)?` up to the end. */
function endsAccount(id: string, at: number): boolean {
  return at === id.length || (id.charCodeAt(at) === 0x2f && at + 1 < id.length)
}

function trustDomainTest(parts: readonly string[] | null): (id: string) => boolean {
  if (parts === null) return (id) => id.startsWith(SPIFFE_SCHEME)
  const [head = '', tail] = parts
  if (tail === undefined) {
    const whole = `${SPIFFE_SCHEME}${head}/`
    return (id) => id.startsWith(whole)
  }
  // `head[^/]*tail/`: the star stays within one segment, the literals need not.
  const beginning = SPIFFE_SCHEME + head
  const after = beginning.length
  const ending = `${tail}/`
  return (id) => {
    if (!id.startsWith(beginning)) return false
    const slash = id.indexOf('/', after)
    const found = id.indexOf(ending, after)
    return found !== -1 && found <= (slash === -1 ? id.length : slash)
  }
}
