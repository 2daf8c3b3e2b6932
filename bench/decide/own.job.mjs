// Sallyport alone, on one or more sets of policies: { names, counts, batches, seconds } in, { times, facts, map } out, in
// microseconds.
import { answer, task } from '../job.mjs'
import { timeBatches, warmUp } from '../measure.mjs'
import { mixed } from '../traffic/mixed.mjs'
import { ruleId } from '../traffic/policy.mjs'
import { random } from '../traffic/random.mjs'
import { shape } from '../traffic/shapes.mjs'
import { deciderOf, factsOf, fresh, parsed, prepare } from './engine.mjs'

const { names, counts, batches, seconds } = task()
const times = []

for (const name of names) {
  for (const count of counts) {
    const traffic = name === 'mixed' ? mixed : shape(name, count)
    const decider = deciderOf(Array.from({ length: count }, (_, i) => traffic.policy(i)))
    check(name, decider, traffic, count)
    const pick = random(count)
    const make = {
      match: () => prepare(traffic.hit(pick(count))),
      none: () => prepare(traffic.miss(pick(count))),
      all: () => prepare(pick(2) === 0 ? traffic.hit(pick(count)) : traffic.miss(pick(count))),
      // The number's logarithm is what is even: the k-th policy is asked for as often as 1/k (Zipf).
      skewed: () => {
        const i = Math.floor(count ** (pick(1_000_000) / 1_000_000))
        return prepare(pick(2) === 0 ? traffic.hit(i) : traffic.miss(i))
      },
    }
    const work = (facts) => {
      for (let i = 0; i < facts.length; i++) decider.decide(facts[i])
    }
    const batchOf = (kind) => (size) => Array.from({ length: size }, make[kind])
    warmUp({ prepare: batchOf('all'), work, seconds: seconds / 4 })
    for (const kind of name === 'mixed' ? Object.keys(make) : ['match', 'none']) {
      globalThis.gc?.()
      times.push({ name, count, kind, us: timeBatches({ prepare: batchOf(kind), work, batches, seconds }) })
    }
  }
}
answer({ times, facts: timeFacts(), map: counts.map(timeMap) })

/** Each decision is the expected one, and on ordinary policies by the expected rule: a wrong answer has no figure. */
function check(name, decider, traffic, count) {
  const pick = random(7)
  for (let tries = 0; tries < 100; tries++) {
    const i = pick(count)
    const hit = decider.decide(prepare(traffic.hit(i)))
    const miss = decider.decide(prepare(traffic.miss(i)))
    const policy = traffic.policy(i)
    const kind = policy.spec.action.toLowerCase()
    if (hit.kind !== kind || (name === 'mixed' && hit.policy !== ruleId(policy)) || miss.policy !== 'none') {
      const wrong = JSON.stringify({ hit, expected: policy, miss })
      throw new Error(`${name}, ${count} policies: a decision is not the expected one: ${wrong}`)
    }
  }
}

/** From a request whose head was parsed: strings for its line and headers, numbers for its connection. */
function timeFacts() {
  const pick = random(1)
  const heads = (size) => Array.from({ length: size }, () => parsed(fresh(mixed.hit(pick(10_000)))))
  const work = (requests) => {
    for (let i = 0; i < requests.length; i++) kept = factsOf(requests[i])
  }
  let kept = null
  warmUp({ prepare: heads, work, seconds: seconds / 4 })
  const us = timeBatches({ prepare: heads, work, batches, seconds })
  if (kept === null) throw new Error('no facts were made')
  return us
}

/** For scale: one look-up of a text that was never used before, among as many as there are policies. */
function timeMap(count) {
  const pick = random(count)
  const path = (i) => `/api/v1/r${i}/items`
  const map = new Map(Array.from({ length: count }, (_, i) => [path(i), i]))
  const paths = (size) => Array.from({ length: size }, () => fresh({ ...mixed.hit(0), path: path(pick(count)) }).path)
  let found = 0
  const work = (texts) => {
    for (let i = 0; i < texts.length; i++) found += map.get(texts[i])
  }
  warmUp({ prepare: paths, work, seconds: seconds / 4 })
  const us = timeBatches({ prepare: paths, work, batches, seconds })
  if (Number.isNaN(found)) throw new Error('a path was not found')
  return { count, us }
}
