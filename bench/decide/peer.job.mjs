// Another engine beside Sallyport on the same policies and requests, in one process: { peer, count, seconds } in, the
// microseconds of both out, or `unable`, why it cannot take these policies. The two must agree first, on each request
// that there is time for. Without a peer (null), Sallyport alone.
import { answer, task } from '../job.mjs'
import { timeBatches, warmUp } from '../measure.mjs'
import { common } from '../traffic/mixed.mjs'
import { random } from '../traffic/random.mjs'
import { deciderOf, fresh, prepare } from './engine.mjs'

const FEWEST_CHECKS = 20
const MOST_CHECKS = 400

const { peer, count, seconds } = task()
const policies = Array.from({ length: count }, (_, i) => common.policy(i))
const decider = deciderOf(policies)
const pick = random(count)
const next = () => {
  const i = pick(count)
  const hit = pick(2) === 0
  return { request: hit ? common.hit(i) : common.miss(i), allowed: hit && common.allows(i) }
}
const batchOf = (make) => (size) => Array.from({ length: size }, make)

const engine = await opened()
if (typeof engine === 'string') answer({ unable: engine })
else {
  check()
  if (engine !== null) checkPeer(engine)
  answer({ theirs: engine === null ? null : timeTheirs(engine), ours: timeOurs() })
}

/** The engine, or why there is none. */
async function opened() {
  if (peer === null) return null
  const { open } = await import(`../peers/${peer}.mjs`)
  try {
    return await open(policies, { seconds: 10 * seconds })
  } catch (error) {
    return error.message.split('\n')[0]
  }
}

function timeTheirs({ prepare, allows }) {
  return time(
    batchOf(() => prepare(fresh(next().request))),
    (inputs) => {
      for (let i = 0; i < inputs.length; i++) allows(inputs[i])
    },
  )
}

function timeOurs() {
  return time(
    batchOf(() => prepare(next().request)),
    (facts) => {
      for (let i = 0; i < facts.length; i++) decider.decide(facts[i])
    },
  )
}

function time(make, work) {
  warmUp({ prepare: make, work, seconds: seconds / 4 })
  globalThis.gc?.()
  return timeBatches({ prepare: make, work, seconds })
}

function check() {
  for (let checks = 0; checks < MOST_CHECKS; checks++) {
    const { request, allowed } = next()
    if ((decider.decide(prepare(request)).kind === 'allow') === allowed) continue
    throw new Error(`Sallyport does not say ${allowed}: ${JSON.stringify(request)}`)
  }
}

function checkPeer({ prepare: inputOf, allows }) {
  const end = performance.now() + seconds * 1000
  for (let checks = 0; checks < FEWEST_CHECKS || (checks < MOST_CHECKS && performance.now() < end); checks++) {
    const { request, allowed } = next()
    const theirs = allows(inputOf(fresh(request)))
    if (theirs !== allowed) throw new Error(`it says ${theirs}, not ${allowed}: ${JSON.stringify(request)}`)
  }
}
