import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { buildTree } from '#src/envoy/translate/tree/build.ts'
import { dimensionsOf } from '#src/envoy/translate/tree/dimension.ts'
import { type Peers, reachable } from '#src/envoy/translate/tree/peer-keys.ts'
import type { MatchInput, OnMatch, Predicate } from '#src/envoy/translate/tree/xds-matcher.ts'
import { asBytes } from '#src/match/bytes.ts'
import { HeaderMap } from '#src/match/header-map.ts'
import { blockContains, type IpAddress, parseIp, parseIpBlock } from '#src/match/ip.ts'
import type { AuthorizationPolicy, Rule } from '#src/mesh/authorization-policy.ts'
import { Facts } from '#src/policy/facts.ts'
import { traceRule } from '#src/policy/interpret.ts'
import type { RuleIr, Ruleset } from '#src/policy/ir.ts'
import { lower } from '#src/policy/lower.ts'
import { anything, inputOf, policiesOf, policyOf } from './policies.ts'
import { requests as anyRequests, factsOf } from './requests.ts'

const runs = Number(process.env.SALLYPORT_CASES ?? 20_000)
const seed = Number(process.env.SALLYPORT_SEED ?? 20261122)
const trustDomains = ['td1', 'cluster.local']

/** A leaf, which only holds its rules here. */
interface Leaf {
  readonly '@type': 'leaf'
  readonly rules: Ruleset
}

/** Rules that are easy to look up, so that deep trees come about. */
const none = { values: [], notValues: [] }
const some = (...from: string[]) =>
  fc
    .option(fc.array(fc.constantFrom(...from), { minLength: 1, maxLength: 2 }), { nil: [] })
    .map((values) => ({ values, notValues: [] }))
const keyedRule: fc.Arbitrary<Rule> = fc
  .record({
    paths: some('/a', '/a*', '/a/*', '/a/b', '/a/b*', '/', '/x/*', '/x/{*}', '/a?x*', '*/b', '/a//b'),
    hosts: some('e.com', 'E.com', 'e.com*', 'e*', 'a.e.com', '*.e.com', 'e.com:80'),
    methods: some('GET', 'POST', 'get', '*'),
    ports: some('80', '8080', '9'),
    principals: some('cluster.local/ns/a/sa/s', 'td1/ns/a/*', 'td1/*', 'td2/ns/ab/sa/t', '*/s'),
    namespaces: some('a', 'ab', 'b', 'a*', 'sa', 'ns'),
    ipBlocks: some('127.0.0.1', '127.0.0.0/8', '10.0.0.0/8', '0.0.0.0/0', '::1', '2001:db8::/32'),
    header: some('v', 'w', 'v,w', 'v*'),
  })
  .map(({ paths, hosts, methods, ports, principals, namespaces, ipBlocks, header }) => ({
    from: [
      {
        ...{ principals, namespaces, ipBlocks, remoteIpBlocks: none, requestPrincipals: none },
        ...{ serviceAccounts: none, trustDomains: none },
      },
    ],
    to: [{ paths, hosts, methods, ports }],
    when: [{ key: 'request.headers[X-A]', ...header }],
  }))
const keyed = fc
  .array(keyedRule, { minLength: 1, maxLength: 12 })
  .map((rules) => rules.map((one, i): AuthorizationPolicy => policyOf(`p${i}`, 'DENY', [one])))

/** Rules of one field, and requests made for them: where keys overlap, and where a value is not what it seems. */
const empty = { paths: none, hosts: none, methods: none, ports: none }
const nobody = {
  ...{ principals: none, namespaces: none, ipBlocks: none, remoteIpBlocks: none },
  ...{ requestPrincipals: none, serviceAccounts: none, trustDomains: none },
}
const on = (...values: string[]) => ({ values, notValues: [] })
const narrow = fc.oneof(
  fc
    .constantFrom('/a', '/a?x*', '/a/b', '/a*', '/a/*', '/', '/{*}/b', '/a/{**}', '*b')
    .map((value): Rule => ({ from: null, to: [{ ...empty, paths: on(value) }], when: [] })),
  fc
    .constantFrom('v', 'w', 'v,w', 'v*')
    .map((value): Rule => ({ from: null, to: null, when: [{ key: 'request.headers[x-a]', ...on(value) }] })),
  fc
    .constantFrom('a', 'ns', 'sa', 'ab', 'b')
    .map((value): Rule => ({ from: [{ ...nobody, namespaces: on(value) }], to: null, when: [] })),
  fc
    .constantFrom('s', 'sa/s', 'ns/sa', 'b/s')
    .map((value): Rule => ({ from: [{ ...nobody, serviceAccounts: on(value) }], to: null, when: [] })),
  fc
    .constantFrom('cluster.local/ns/a/sa/s', 'td1/ns/ns/*', 'cluster.local/*', 'td1/ns/a/sa/s,spiffe://td1/ns/b/sa/s')
    .map((value): Rule => ({ from: [{ ...nobody, principals: on(value) }], to: null, when: [] })),
)
const narrowPolicies = fc
  .array(narrow, { minLength: 2, maxLength: 8 })
  .map((rules) => rules.map((one, i): AuthorizationPolicy => policyOf(`p${i}`, 'DENY', [one])))
const local = parseIp('127.0.0.1') as IpAddress
const narrowFacts = fc
  .record({
    peer: fc.constantFrom(
      ...['', 'spiffe://cluster.local/ns/a/sa/s', 'spiffe://td1/ns/ns/sa/s', 'spiffe://td1/ns/sa/sa/s'],
      ...['spiffe://td1/ns/a/b/ns/b/sa/s', 'spiffe://other/ns/a/sa/s', 'spiffe://td1/ns/ab/sa/s', 'spiffe://td1/x'],
    ),
    path: fc.constantFrom('/', '/a', '/a?x', '/a?x=/b', '/a/b', '/a/b?x', '/ab', '/x/b', '/a/'),
    lines: fc.array(fc.constantFrom('v', 'w', 'v,w', 'vw', ''), { maxLength: 2 }),
  })
  .map(({ peer, path, lines }) =>
    Facts.ofRequest(
      { peer, sourceIp: local, destinationIp: local, destinationPort: 80, sni: '' },
      {
        ...{ method: 'GET', path, host: 'e.com', scheme: 'http', remoteIp: local },
        headers: HeaderMap.from(lines.map((line): [string, string] => ['x-a', line])),
      },
    ),
  )

function rulesets(list: readonly AuthorizationPolicy[]): readonly Ruleset[] {
  const ir = lower({ ...inputOf(list, 'http'), trustDomains })
  const { custom, audit, deny, allow, shadowDeny, shadowAllow } = ir
  return [custom.kind === 'ask' ? custom.rules : null, audit, deny, allow, shadowDeny, shadowAllow].filter(
    (one) => one !== null,
  )
}

for (const [name, arbitrary, requests] of [
  ['any policies', policiesOf(anything), anyRequests.map(factsOf)],
  ['policies with much to look up', keyed, anyRequests.map(factsOf)],
  ['policies of one field', narrowPolicies, narrowFacts],
] as const) {
  test(`the leaf of a request has the rule that matches first (${name}, seed ${seed})`, () => {
    let trees = 0
    fc.assert(
      fc.property(arbitrary, fc.array(requests, { minLength: 1, maxLength: 4 }), (list, all) => {
        for (const rules of rulesets(list)) {
          for (const facts of all) {
            const peers: Peers = facts.peer === '' ? { kind: 'plaintext' } : { kind: 'tls', trustDomains }
            const some = reachable(rules, peers)
            const tree = buildTree<Leaf>(some, {
              ...{ dimensions: dimensionsOf(some, peers, () => 'itself'), fewest: 1, eager: true },
              leaf: (part) => ({ action: { name: 'leaf', typed_config: { '@type': 'leaf', rules: part } } }),
            })
            if (tree !== null) trees++
            const left = tree === null ? some : walk(tree.root, facts)
            assert.equal(first(left, facts)?.id, first(rules, facts)?.id, `by ${tree?.dimensions}`)
          }
        }
      }),
      { numRuns: runs / 4, seed },
    )
    assert.ok(trees > runs / 8, `${trees} trees`)
  })
}

function first(rules: Ruleset, facts: Facts): RuleIr | undefined {
  return rules.find((rule) => traceRule(rule, facts).matched)
}

/** As Envoy walks a matcher; every look-up that fails has something to go on with. */
function walk(onMatch: OnMatch<Leaf>, facts: Facts): Ruleset {
  if ('action' in onMatch) return onMatch.action.typed_config.rules
  const { matcher } = onMatch
  if ('matcher_list' in matcher) {
    const found = matcher.matcher_list.matchers.find(({ predicate }) => holds(predicate, facts))
    return walk(found?.on_match ?? matcher.on_no_match, facts)
  }
  const tree = matcher.matcher_tree
  if ('custom_match' in tree) {
    const address = addressOf(tree.input, facts)
    const hits = tree.custom_match.typed_config.range_matchers
      .flatMap(({ ranges, on_match }) => ranges.map((range) => ({ ...range, on_match })))
      .filter(({ address_prefix, prefix_len }) => {
        const block = parseIpBlock(`${address_prefix}/${prefix_len}`)
        return block !== null && blockContains(block, address)
      })
      .sort((a, b) => b.prefix_len - a.prefix_len)
    return walk(hits[0]?.on_match ?? matcher.on_no_match, facts)
  }
  const value = valueOfInput(tree.input, facts)
  if (value === null) return walk(matcher.on_no_match, facts)
  const map = 'exact_match_map' in tree ? tree.exact_match_map.map : tree.prefix_match_map.map
  const fits = 'exact_match_map' in tree ? (key: string) => value === key : (key: string) => value.startsWith(key)
  // A configuration is UTF-8, of which facts have the bytes.
  const [longest] = Object.entries(map)
    .filter(([key]) => fits(asBytes(key)))
    .sort(([a], [b]) => b.length - a.length)
  return walk(longest?.[1] ?? matcher.on_no_match, facts)
}

function holds(predicate: Predicate, facts: Facts): boolean {
  if ('not_matcher' in predicate) return !holds(predicate.not_matcher, facts)
  if ('and_matcher' in predicate) return predicate.and_matcher.predicate.every((one) => holds(one, facts))
  const { input, value_match } = predicate.single_predicate
  const value = valueOfInput(input, facts)
  if (value === null) return false
  if ('contains' in value_match) return value.includes(value_match.contains)
  const source = value_match.safe_regex.regex.replace('(?s)', '')
  return new RegExp(`^(?:${source})$`, 's').test(value)
}

function addressOf({ typed_config }: MatchInput, facts: Facts): IpAddress {
  return typed_config['@type'].endsWith('DirectSourceIPInput') ? facts.sourceIp : facts.remoteIp
}

/** Null: there is none. Without TLS Envoy has no answer about certificates, and leaves the whole filter out. */
function valueOfInput({ typed_config }: MatchInput, facts: Facts): string | null {
  if ('header_name' in typed_config) {
    const name = typed_config.header_name
    if (name === ':path') return facts.path
    if (name === ':authority') return facts.host
    if (name === ':method') return facts.method
    const lines = facts.headers?.all(name.toLowerCase()) ?? []
    return lines.length === 0 ? null : lines.join(',')
  }
  const type = typed_config['@type']
  if (type.includes('.ssl.')) {
    assert.notEqual(facts.peer, '', 'a certificate is asked for on plaintext')
    return type.endsWith('UriSanInput') ? facts.peer : null
  }
  assert.ok(type.endsWith('DestinationPortInput'))
  return String(facts.destinationPort)
}
