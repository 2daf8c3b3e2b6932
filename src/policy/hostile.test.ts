import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HeaderMap } from '../match/header-map.ts'
import { parseIp } from '../match/ip.ts'
import type { AuthorizationPolicy } from '../mesh/authorization-policy.ts'
import { type Claims, Facts } from './facts.ts'
import { createInterpreter } from './interpret.ts'
import { policiesOf, providerOf } from './policies.test.fixture.ts'
import { recompile } from './recompile.ts'

/** Compiles within a time, and decides as the interpreter does; also after an edit. */
function survives(rule: string, path: string, claims: Claims = {}): void {
  const [policy, other] = policiesOf({
    p: `{ rules: [${rule}] }`,
    q: '{ action: DENY, rules: [{ to: [{ operation: { paths: [/no] } }] }] }',
  })
  assert.ok(policy !== undefined && other !== undefined)
  const copies = Array.from(
    { length: 6 },
    (_, i): AuthorizationPolicy => ({ ...policy, meta: { ...policy.meta, name: `p${i}` } }),
  )
  const ip = parseIp('10.0.0.1')
  assert.ok(ip)
  const facts = Facts.ofRequest(
    { peer: '', sourceIp: ip, destinationIp: ip, destinationPort: 80, sni: '' },
    { method: 'GET', path, host: 'h', scheme: 'http', headers: HeaderMap.from([]), remoteIp: ip },
  )
  facts.authenticated(path, claims)
  const started = performance.now()
  const input = { trustDomains: ['cluster.local'], protocol: 'http', provider: providerOf } as const
  const first = recompile(null, { ...input, policies: [...copies, other] })
  const second = recompile(first, { ...input, policies: [...copies.slice(1), other] })
  for (const { decider, ir } of [first, second]) {
    const verdict = decider.decide(facts)
    assert.equal(verdict.kind, 'allow')
    assert.deepEqual(verdict, createInterpreter(ir).decide(facts))
  }
  assert.ok(performance.now() - started < 10_000)
}

test('a list of fifty thousand values', () => {
  const values = Array.from({ length: 50_000 }, (_, i) => `/p${i}`)
  survives(`{ to: [{ operation: { paths: [${values.join()}], notPaths: [${values.slice(10).join()}] } }] }`, '/p7')
})

test('a key of a hundred thousand names', () => {
  survives(`{ when: [{ key: "request.auth.claims${'[a]'.repeat(100_000)}", notValues: [v] }] }`, '/')
  let claims: Claims = { a: 'v' }
  for (let i = 1; i < 1000; i++) claims = { a: claims }
  survives(`{ when: [{ key: "request.auth.claims${'[a]'.repeat(1000)}", values: [v] }] }`, '/', claims)
})

test('a template of three thousand operators', () => {
  survives(`{ to: [{ operation: { paths: ["/${'{*}/'.repeat(3000)}{**}"] } }] }`, `/${'a/'.repeat(3000)}b`)
  survives(`{ to: [{ operation: { paths: ["/${'a/{*}/'.repeat(3000)}b"] } }] }`, `/${'a/x/'.repeat(3000)}b`)
})

test('thousands of conditions, alternatives and rules', () => {
  const many = (text: (i: number) => string) => Array.from({ length: 3000 }, (_, i) => text(i)).join()
  survives(`{ when: [${many((i) => `{ key: "request.headers[x-${i}]", notValues: [v] }`)}] }`, '/')
  survives(`{ to: [${many((i) => `{ operation: { paths: [/p${i}], methods: [GET] } }`)}] }`, '/p5')
  survives(
    many((i) => `{ to: [{ operation: { paths: [/p${i}] } }] }`),
    '/p5',
  )
})
