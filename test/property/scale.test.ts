import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { AuthorizationPolicy } from '#src/mesh/authorization-policy.ts'
import { type Compiled, recompile } from '#src/policy/recompile.ts'
import { any, not, rule, times } from './build.ts'
import { inputOf, policyOf } from './policies.ts'
import { factsOf } from './requests.ts'

const COUNT = 20_000

/** Each path is one policy's; principals and hosts are shared by some, the method by all. */
function policy(i: number, path = `/api/r${i}`): AuthorizationPolicy {
  const body = rule({
    from: { principals: any(`td1/ns/n${i % 97}/sa/s${i % 301}`) },
    to: { paths: any(path), hosts: any(`h${i % 53}`), methods: any('GET') },
  })
  return policyOf(`p${i}`, i % 3 === 0 ? 'DENY' : 'ALLOW', [body])
}

/** Other shapes: no anchor of their own, no anchor at all, the same for all. */
const shapes: Readonly<Record<string, (i: number) => AuthorizationPolicy>> = {
  mixed: (i) => policy(i),
  'only `not` fields': (i) => policyOf(`p${i}`, 'ALLOW', [rule({ to: { paths: not(`/r${i}`, '/everybody') } })]),
  'one path for all': (i) => policyOf(`p${i}`, 'ALLOW', [rule({ to: { paths: any('/a/*') } })]),
  'paths by principals': (i) =>
    policyOf(`p${i}`, 'ALLOW', [
      rule({ from: { principals: any(`td1/ns/a/sa/s${i % 141}`) }, to: { paths: any(`/p${i % 139}/*`) } }),
    ]),
}

/** One policy changed, then one removed, then one added. */
function* edits(first: Compiled, make: (i: number) => AuthorizationPolicy, count: number) {
  let compiled = first
  for (let k = 0; k < count; k++) {
    const { policies } = compiled.input
    const at = (k * 7919) % policies.length
    const fresh = make(COUNT + k)
    const next =
      k % 3 === 0
        ? policies.with(at, fresh)
        : k % 3 === 1
          ? policies.toSpliced(at, 1)
          : policies.toSpliced(at, 0, fresh)
    const input = inputOf(next, 'http')
    const started = performance.now()
    compiled = recompile(compiled, input)
    yield { compiled, ms: performance.now() - started }
  }
}

const median = (list: readonly number[]) => [...list].sort((a, b) => a - b)[list.length >> 1] as number

for (const [name, make] of Object.entries(shapes)) {
  test(`one edit of ${COUNT} policies costs a small part of compiling them (${name})`, () => {
    const input = inputOf(times(COUNT, make), 'http')
    const full = median(
      times(3, () => {
        const started = performance.now()
        recompile(null, input)
        return performance.now() - started
      }),
    )
    const first = recompile(null, input)
    const each = [...edits(first, make, 30)].map(({ ms }) => ms)
    // Lowering alone is a tenth of the whole.
    assert.ok(median(each) < full / 40, `${median(each).toFixed(2)} ms each, ${full.toFixed(0)} ms afresh`)
  })
}

test('an edit lowers the changed policy only, and later ones still agree with compiling afresh', () => {
  let before = recompile(null, inputOf(times(COUNT, policy), 'http'))
  const asked = times(50, (i) =>
    factsOf({
      peer: `spiffe://td1/ns/n${(i * 397) % 97}/sa/s${(i * 397) % 301}`,
      sourceIp: '10.0.0.1',
      destinationIp: '10.0.0.2',
      port: 80,
      sni: '',
      metadata: null,
      http: {
        method: 'GET',
        path: `/api/r${i * 397}`,
        host: `h${(i * 397) % 53}`,
        scheme: 'http',
        remoteIp: '10.0.0.1',
        headers: [],
        claims: null,
      },
    }),
  )
  for (const { compiled } of edits(before, policy, 12)) {
    for (const rules of ['deny', 'allow'] as const) {
      const known = new Set(before.ir[rules])
      const fresh = (compiled.ir[rules] ?? []).filter((one) => !known.has(one))
      assert.ok(fresh.length <= 1, `${fresh.length} rules lowered anew`)
    }
    before = compiled
  }
  const fresh = recompile(null, before.input)
  const said = asked.map((facts) => before.decider.decide(facts))
  assert.deepEqual(
    said,
    asked.map((facts) => fresh.decider.decide(facts)),
  )
  assert.ok(new Set(said.map(({ kind }) => kind)).size === 2, 'both answers are among them')
})

test('memory does not grow with the number of edits', () => {
  setFlagsFromString('--expose-gc')
  const gc = runInNewContext('gc') as () => void
  const start = times(1000, policy)
  let compiled = recompile(null, inputOf(start, 'http'))
  /** Each policy in its turn is changed, changed back, removed, and added again. */
  const heapAfter = (rounds: number) => {
    for (let round = 0; round < rounds; round++) {
      const at = round % start.length
      const changed = start.with(at, policy(at, '/other'))
      for (const next of [changed, start, start.toSpliced(at, 1), start]) {
        compiled = recompile(compiled, inputOf(next, 'http'))
      }
    }
    gc()
    return process.memoryUsage().heapUsed
  }
  const some = heapAfter(500)
  const many = heapAfter(1500)
  // One version holds more than that.
  assert.ok(many - some < 512 * 1024, `${((many - some) / 1024).toFixed(0)} KiB more after 6,000 more edits`)
})
