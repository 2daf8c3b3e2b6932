import { SPIFFE_SCHEME } from '../../../match/spiffe.ts'
import type { Match, Ruleset } from '../../../policy/ir.ts'
import { exactKey, type Key, type KeysOfMatch, keysOfRule, prefixKey } from './key.ts'
import { allOf, certificateInput, inputMatches, not, type Predicate, regex } from './xds-matcher.ts'

/** What is known of the peers of a filter chain. */
export type Peers =
  /** Nobody has a certificate. Envoy's matchers of certificates then give no answer, and the filter would be left out. */
  | { readonly kind: 'plaintext' }
  /** The mesh's own trust domain and its aliases: where ids have the usual shape. */
  | { readonly kind: 'tls'; readonly trustDomains: readonly string[] }

/** The rules that can match on a connection of these peers. */
export function reachable(rules: Ruleset, peers: Peers): Ruleset {
  if (peers.kind === 'tls') return rules
  const wantsPeer: KeysOfMatch = (match) => (match.kind === 'peer' ? [] : null)
  return rules.filter((rule) => keysOfRule(rule, 'principal', wantsPeer) === null)
}

/**
 * Keys of patterns on the peer's SPIFFE id. Namespaces and service accounts are regular expressions to Envoy; on an id of
 * the usual shape in a known trust domain they say the same as a prefix or the whole id.
 */
export function peerKeys(trustDomains: readonly string[]): KeysOfMatch {
  const domains = trustDomains.every(isPlain) ? trustDomains : null
  return (match) => {
    if (match.kind !== 'peer') return null
    const { pattern } = match
    switch (pattern.kind) {
      case 'principal':
        if (pattern.match.kind === 'exact') return [exactKey(SPIFFE_SCHEME + pattern.match.value)]
        return pattern.match.kind === 'prefix' ? [prefixKey(SPIFFE_SCHEME + pattern.match.value)] : null
      case 'namespace': {
        const [namespace = '', more] = pattern.parts
        if (domains === null || more !== undefined || !isPlain(namespace)) return null
        return domains.map((domain) => prefixKey(`${SPIFFE_SCHEME}${domain}/ns/${namespace}/`))
      }
      case 'serviceAccount': {
        const { namespace, name } = pattern
        if (domains === null || !isPlain(namespace) || !isPlain(name)) return null
        return domains.map((domain): Key => exactKey(`${SPIFFE_SCHEME}${domain}/ns/${namespace}/sa/${name}`))
      }
      case 'trustDomain': {
        const [domain = '', more] = pattern.parts ?? []
        if (pattern.parts === null) return [prefixKey(SPIFFE_SCHEME)]
        return more === undefined ? [prefixKey(`${SPIFFE_SCHEME}${domain}/`)] : null
      }
      default:
        return pattern satisfies never
    }
  }
}

/** One segment of an id that cannot be taken for the marks `ns` and `sa` around it. */
function isPlain(segment: string): boolean {
  return segment !== '' && segment !== 'ns' && segment !== 'sa' && /^[A-Za-z0-9._-]+$/.test(segment)
}

/**
 * Whether the peer has nothing but one SPIFFE id, or no certificate: Envoy tests a rule on each URI SAN, DNS SAN and the
 * subject. A subject starts with the name of an attribute, so that it matters to namespaces only; those, and service
 * accounts, also need an id of the usual shape.
 */
export function regularPeer(rules: Ruleset, trustDomains: readonly string[]): Predicate {
  const uri = certificateInput('UriSanInput')
  const absent = (input: 'DnsSanInput' | 'SubjectInput') => not(inputMatches(certificateInput(input), regex('(?s).+')))
  const single = [not(inputMatches(uri, { contains: ',' })), absent('DnsSanInput')]
  if (!rules.some(({ principals }) => principals.flat().some(({ any }) => any.some(needsShape)))) return allOf(single)
  const domains = trustDomains.map((domain) => domain.replace(/[^A-Za-z0-9]/g, '\\$&')).join('|')
  const usual = `spiffe://(${domains})/ns/[A-Za-z0-9._-]+/sa/[^/,]+`
  // A client may have come without a certificate, and then there is no SAN to have a shape.
  const odd = allOf([inputMatches(uri, regex('(?s).+')), not(inputMatches(uri, regex(usual)))])
  return allOf([...single, absent('SubjectInput'), not(odd)])
}

function needsShape(match: Match): boolean {
  return match.kind === 'peer' && (match.pattern.kind === 'namespace' || match.pattern.kind === 'serviceAccount')
}
