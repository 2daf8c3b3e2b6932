import type { Ruleset } from '../../../policy/ir.ts'
import type { PortView } from '../permission.ts'
import { exactKey, type KeysOfMatch } from './key.ts'
import { type Peers, peerKeys, regularPeer } from './peer-keys.ts'
import { hostKeys, pathKeys } from './request-keys.ts'
import {
  certificateInput,
  connectionInput,
  headerInput,
  inputMatches,
  type MatchInput,
  not,
  type Predicate,
  regex,
} from './xds-matcher.ts'

/** One attribute by which rules can be looked up. */
export interface Dimension {
  /** In words, for what is said about rules that cannot be looked up. */
  readonly name: string
  readonly side: 'permission' | 'principal'
  readonly input: MatchInput
  readonly keysOf: KeysOfMatch
  /** How Envoy looks the value up. */
  readonly look: 'prefix' | 'exactThenPrefix' | 'exact' | 'network'
  /** Where an exact key may go on in a value that it still fits; empty: nowhere. */
  readonly continuations: string
  /**
   * Holds where the keys can be relied on. A value that is not regular needs all rules. `first`: before any look-up, else
   * after an exact one failed.
   */
  readonly regular: { readonly when: 'first' | 'afterExact'; readonly predicate: Predicate } | null
}

/** The dimensions that these rules use, the most telling first. */
export function dimensionsOf(rules: Ruleset, peers: Peers, portView: PortView): readonly Dimension[] {
  const [path, host, port, direct, remote, method] = fixedDimensions(portView)
  const peer = peers.kind === 'tls' ? [peerDimension(rules, peers.trustDomains)] : []
  return [path, host, ...peer, ...headerDimensions(rules), port, direct, remote, method]
}

function peerDimension(rules: Ruleset, trustDomains: readonly string[]): Dimension {
  return {
    ...{ name: 'peer', side: 'principal', input: certificateInput('UriSanInput'), look: 'prefix', continuations: '' },
    keysOf: peerKeys(trustDomains),
    regular: { when: 'first', predicate: regularPeer(rules, trustDomains) },
  }
}

function fixedDimensions(portView: PortView) {
  const path: Dimension = {
    ...{ name: 'path', side: 'permission', input: headerInput(':path'), keysOf: pathKeys, look: 'prefix' },
    // Envoy's path conditions see what is before the query.
    ...{ continuations: '?#', regular: null },
  }
  const host: Dimension = {
    ...{
      name: 'host',
      side: 'permission',
      input: headerInput(':authority'),
      keysOf: hostKeys,
      look: 'exactThenPrefix',
    },
    ...{ continuations: '', regular: { when: 'afterExact', predicate: lowerCase(headerInput(':authority')) } },
  }
  const port: Dimension = {
    ...{ name: 'port', side: 'permission', input: connectionInput('DestinationPortInput'), look: 'exact' },
    ...{ continuations: '', regular: null, keysOf: portKeys(portView) },
  }
  const direct: Dimension = {
    ...{ name: 'source address', side: 'principal', input: connectionInput('DirectSourceIPInput'), look: 'network' },
    ...{ continuations: '', regular: null, keysOf: blockKeys('sourceIp') },
  }
  const remote: Dimension = {
    ...{ name: 'client address', side: 'principal', input: connectionInput('SourceIPInput'), look: 'network' },
    ...{ continuations: '', regular: null, keysOf: blockKeys('remoteIp') },
  }
  const method: Dimension = {
    ...{ name: 'method', side: 'permission', input: headerInput(':method'), look: 'exact' },
    ...{ continuations: '', regular: null, keysOf: methodKeys },
  }
  return [path, host, port, direct, remote, method] as const
}

/** Headers that some rule wants to have an exact value; a value with a comma may be several lines. */
function headerDimensions(rules: Ruleset): Dimension[] {
  const names = new Set<string>()
  for (const { principals } of rules) {
    for (const { any } of principals.flat()) for (const match of any) if (match.kind === 'header') names.add(match.name)
  }
  return [...names]
    .filter((name) => !name.startsWith(':'))
    .slice(0, MOST_HEADERS)
    .map((name) => ({
      ...{ name: `header ${name}`, side: 'principal', input: headerInput(name), look: 'exact', continuations: '' },
      keysOf: headerKeys(name),
      regular: { when: 'afterExact', predicate: not(inputMatches(headerInput(name), { contains: ',' })) },
    }))
}

/** More than anybody writes policies for; each costs a look at every rule. */
const MOST_HEADERS = 8

function headerKeys(name: string): KeysOfMatch {
  return (match) => {
    if (match.kind !== 'header' || match.name !== name || match.match.kind !== 'exact') return null
    return match.written.includes(',') || match.written === '' ? null : [exactKey(match.written)]
  }
}

const methodKeys: KeysOfMatch = (match) =>
  match.kind === 'method' && match.match.kind === 'exact' && match.written !== '' ? [exactKey(match.written)] : null

function portKeys(portView: PortView): KeysOfMatch {
  return (match) => {
    if (match.kind !== 'port') return null
    const view = portView(match.port)
    switch (view) {
      case 'itself':
        return [exactKey(String(match.port))]
      case 'always':
        return null
      case 'never':
        return []
      default:
        return view satisfies never
    }
  }
}

function blockKeys(kind: 'sourceIp' | 'remoteIp'): KeysOfMatch {
  return (match) => (match.kind === kind ? [{ kind: 'block', block: match.block }] : null)
}

function lowerCase(input: MatchInput): Predicate {
  return not(inputMatches(input, regex('(?s).*[A-Z].*')))
}
