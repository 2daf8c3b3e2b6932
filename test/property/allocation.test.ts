import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AuthorizationPolicy } from '#src/mesh/authorization-policy.ts'
import { compile } from '#src/policy/compile.ts'
import type { Facts } from '#src/policy/facts.ts'
import { lower } from '#src/policy/lower.ts'
import { any, not, policiesWith, rule, times } from './build.ts'
import { inputOf, policyOf } from './policies.ts'
import { type Asked, factsOf } from './requests.ts'

const DECISIONS = 1_000_000
const SLICES = 100

/** Rules by everything that a decision can look at, in numbers that make an index of each sort. */
const rules = times(12, (i) => [
  rule({ to: { paths: any(`/r${i}`, `/r${i}/*`, `*/r${i}`), methods: any('GET', 'POST', 'PUT') } }),
  rule({ to: { paths: any(`/{*}/r${i}/{**}`, `/t/{**}/r${i}`), hosts: any(`h${i}`, `*.h${i}`) } }),
  rule({ to: { ports: any(String(40_000 + i)), paths: not(`/r${i}`, '/everybody') } }),
  rule({ from: { principals: any(`td1/ns/n${i}/sa/s`, '*/sa/x'), ipBlocks: any('203.0.113.0/24', `10.${i}.0.0/16`) } }),
  rule({
    from: { namespaces: any(`n${i}`, `m${i}*`, '*q'), serviceAccounts: any(`n${i}/s`), trustDomains: any('td*') },
  }),
  rule({
    from: { remoteIpBlocks: any(`2001:db8:${i}::/48`, `198.51.100.${i}`), requestPrincipals: any(`iss/u${i}`, '*') },
  }),
  rule({ to: { paths: not(`/r${i}*`, '/r*') } }),
  ...Object.entries({
    'request.headers[x-a]': any(`v${i}`, `*${i}`),
    [`request.headers[x-${i}]`]: any('v'),
    'request.headers[accept]': any(`text/${i}`),
    'request.headers[:path]': any(`/r${i}?x=${i}`),
    'request.auth.claims[group]': any(`g${i}`),
    'request.auth.claims[a][b]': any(`g${i}*`),
    'request.auth.audiences': any(`a${i}`),
    'connection.sni': any(`h${i}`),
    'destination.ip': any(`203.0.113.${i}`),
    'experimental.envoy.filters.http.f[k]': any(`v${i}`, `[v${i}]`),
  }).map(([key, values]) => rule({ when: { [key]: values, 'request.headers[:scheme]': not('http') } })),
]).flat()

const policies: readonly AuthorizationPolicy[] = [
  ...policiesWith(rules, 'ALLOW'),
  ...policiesWith(rules, 'DENY').map((policy, i) => ({ ...policy, meta: { ...policy.meta, name: `d${i}` } })),
  ...policiesWith(rules, 'AUDIT'),
  ...rules.map((one, i) => policyOf(`c${i}`, 'CUSTOM', [one])),
]

const connection: Asked = {
  peer: 'spiffe://td1/ns/n3/sa/s',
  sourceIp: '203.0.113.9',
  destinationIp: '198.51.100.7',
  port: 40_003,
  sni: 'h3',
  metadata: { k: ['v3', 'w'] },
  http: null,
}
const http: NonNullable<Asked['http']> = {
  method: 'GET',
  path: '/a/r3/x?x=3',
  host: 'H3',
  scheme: 'http',
  remoteIp: '2001:db8:3::1',
  headers: [
    ['x-a', 'v3'],
    ['x-a', 'v4'],
    ['x-5', 'v'],
    ['accept', 'text/3'],
  ],
  claims: { iss: 'iss', sub: 'u3', aud: ['a3', 'b'], group: 'g3', a: { b: 'g3x' } },
}

const asked: readonly (readonly [string, 'http' | 'tcp', readonly Facts[]])[] = [
  [
    'requests',
    'http',
    [
      factsOf({ ...connection, http }),
      factsOf({ ...connection, http: { ...http, path: '/r3' } }),
      factsOf({
        ...connection,
        peer: '',
        metadata: null,
        http: { ...http, path: '/nothing', headers: [], claims: null },
      }),
    ],
  ],
  ['connections', 'tcp', [factsOf(connection), factsOf({ ...connection, peer: '', port: 1, sni: '', metadata: null })]],
]

for (const [name, protocol, facts] of asked) {
  test(`a million decisions about ${name} allocate nothing`, () => {
    const decider = compile(lower(inputOf(policies, protocol)))
    const run = (count: number) => {
      let asks = 0
      for (let i = 0; i < count; i++) {
        const one = facts[i % facts.length] as Facts
        if (decider.custom(one).kind === 'ask') asks++
        if (decider.decide(one).kind === 'allow') asks++
        if (decider.audit(one)) asks++
      }
      return asks
    }
    run(200_000)
    // Slice by slice, so that a collection hides one slice at most.
    let allocated = 0
    let said = 0
    for (let slice = 0; slice < SLICES; slice++) {
      const before = process.memoryUsage().heapUsed
      said += run(DECISIONS / SLICES)
      allocated += Math.max(0, process.memoryUsage().heapUsed - before)
    }
    assert.ok(said > 0)
    // One object of the smallest size a decision would be 16 MB.
    assert.ok(allocated < 1 << 20, `${(allocated / DECISIONS).toFixed(2)} bytes a decision`)
  })
}
