import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AuthorizationPolicy } from '../mesh/authorization-policy.ts'
import type { Provider } from '../mesh/provider.ts'
import { type LowerInput, lower } from './lower.ts'
import { policiesOf, providerOf } from './policies.test.fixture.ts'
import { type Compiled, recompile } from './recompile.ts'

const usual: Omit<LowerInput, 'policies'> = { trustDomains: ['cluster.local'], protocol: 'http', provider: providerOf }

function after(
  previous: Compiled | null,
  policies: readonly AuthorizationPolicy[],
  input: Partial<LowerInput> = {},
): Compiled {
  const compiled = recompile(previous, { ...usual, ...input, policies })
  assert.deepEqual(compiled.ir, lower(compiled.input), 'as if lowered afresh')
  return compiled
}

/** `NAME: paths` each as an ALLOW of its own. */
function allow(name: string, ...paths: readonly string[]): AuthorizationPolicy {
  const rules = paths.map((path) => `{ to: [{ operation: { paths: ["${path}"] } }] }`)
  return one(name, `{ rules: [${rules.join()}] }`)
}

function one(name: string, spec: string): AuthorizationPolicy {
  const [policy] = policiesOf({ [name]: spec })
  assert.ok(policy)
  return policy
}

/** The rules that are the same objects in both. */
function kept(before: Compiled, now: Compiled): number {
  const old = new Set(before.ir.allow)
  return (now.ir.allow ?? []).filter((rule) => old.has(rule)).length
}

test('policies that are the same objects keep their rules', () => {
  const [a, b, c, d] = [allow('a', '/a'), allow('b', '/b1', '/b2'), allow('c', '/c'), allow('d', '/d')]
  const first = after(null, [a, b, c, d])
  const changed = after(first, [a, allow('b', '/b3'), c, d])
  assert.equal(kept(first, changed), 3)
  const removed = after(changed, [a, c, d])
  assert.equal(kept(first, removed), 3)
  const added = after(removed, [a, c, allow('aa', '/x'), d])
  assert.equal(kept(first, added), 3)
  assert.equal(kept(first, after(added, [a, allow('renamed', '/c'), ...added.input.policies.slice(2)])), 2)
  assert.equal(kept(first, after(first, [a, b, c, d])), 5)
})

test('a later policy of a name replaces the rules of an earlier one, and gives them back', () => {
  const old = allow('same', '/0', '/1', '/2')
  const newer = allow('same', '/x')
  const others = [allow('a', '/a'), allow('b', '/b'), allow('z', '/z'), allow('zz', '/zz')]
  const paths = (compiled: Compiled) =>
    compiled.ir.allow?.flatMap((rule) => rule.permissions[0]?.[0]?.any[0]?.written ?? []).join()
  const first = after(null, [...others, old])
  const both = after(first, [...others, old, newer])
  assert.equal(paths(both), '/a,/b,/x,/1,/2,/z,/zz')
  assert.equal(paths(after(both, [...others, newer])), '/a,/b,/x,/z,/zz')
  assert.equal(paths(after(both, [...others, old])), '/a,/b,/0,/1,/2,/z,/zz')
  const turned = after(both, [...others, newer, old])
  assert.equal(paths(turned), '/a,/b,/0,/1,/2,/z,/zz')
  assert.equal(paths(after(turned, [...others, newer])), '/a,/b,/x,/z,/zz')
})

test('a policy that changes its action, its dry run or its name leaves nothing behind', () => {
  const rest = ['b', 'c', 'd', 'e', 'f'].map((name) => allow(name, `/${name}`))
  const first = after(null, [allow('p', '/p'), ...rest])
  const denied = after(first, [one('p', '{ action: DENY, rules: [{}] }'), ...rest])
  assert.equal(denied.ir.deny?.length, 1)
  const shadow = after(denied, [one('!p', '{ rules: [{}] }'), ...rest])
  assert.deepEqual([shadow.ir.deny, shadow.ir.shadowAllow?.length], [null, 1])
  const audited = after(shadow, [one('p', '{ action: AUDIT, rules: [{}] }'), ...rest])
  assert.deepEqual([audited.ir.shadowAllow, audited.ir.audit?.length], [null, 1])
  const asked = after(audited, [one('p', '{ action: CUSTOM, provider: { name: grpc }, rules: [{}] }'), ...rest])
  assert.deepEqual([asked.ir.audit, asked.ir.custom.kind], [null, 'ask'])
  const two = after(asked, [
    one('p', '{ action: CUSTOM, provider: { name: grpc }, rules: [{}] }'),
    one('q', '{ action: CUSTOM, provider: { name: http }, rules: [{}] }'),
    ...rest,
  ])
  assert.equal(two.ir.custom.kind, 'refuse')
  assert.equal(after(two, rest).ir.custom.kind, 'none')
})

test('what surrounds the policies may change', () => {
  const rules = '[{ from: [{ source: { principals: [old/ns/a/sa/s] } }] }]'
  const policies = [
    one('p', `{ action: CUSTOM, provider: { name: grpc }, rules: ${rules} }`),
    ...['a', 'b', 'c', 'd'].map((name) => one(name, `{ rules: ${rules} }`)),
  ]
  const first = after(null, policies)
  const again = after(first, policies, { provider: (name) => structuredClone(providerOf(name)) })
  assert.equal(kept(first, again), 4, 'an equal provider is the same')
  const later: LowerInput['provider'] = (name) => {
    const found = providerOf(name)
    return found.kind === 'unusable'
      ? found
      : { kind: 'usable', provider: { ...found.provider, timeout: 5 } as Provider }
  }
  assert.equal(kept(first, after(first, policies, { provider: later })), 0)
  assert.equal(kept(first, after(first, policies, { trustDomains: ['new', 'old'] })), 0)
  assert.equal(kept(first, after(first, policies, { protocol: 'tcp' })), 0)
  assert.equal(
    after(first, policies, { provider: () => ({ kind: 'unusable', reason: 'gone' }) }).ir.custom.kind,
    'refuse',
  )
})

test('an object that stands there twice is no obstacle', () => {
  const [a, b, c, d] = [allow('a', '/a'), allow('b', '/b'), allow('c', '/c'), allow('d', '/d')]
  const first = after(null, [a, b, c, d])
  const twice = after(first, [a, b, c, d, a])
  const once = after(twice, [a, b, c, d])
  assert.equal(once.ir.allow?.length, 4)
  after(first, [b, a, b, c, d])
})

test('what was compiled before goes on as it was', () => {
  const policies = Array.from({ length: 40 }, (_, i) => allow(`p${i}`, `/p${i}/{*}`, '/all/*'))
  const first = after(null, policies)
  const before = structuredClone(first.ir)
  let latest = first
  for (let i = 0; i < 40; i++)
    latest = after(latest, latest.input.policies.toSpliced(i, 1, allow(`q${i}`, `/q${i}/{*}`)))
  assert.deepEqual(structuredClone(first.ir), before)
  assert.ok(Object.isFrozen(first.decider) && Object.isFrozen(latest.decider))
})
