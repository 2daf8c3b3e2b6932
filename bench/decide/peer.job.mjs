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
const next = () => (pick(2) === 0 ? common.hit(pick(count)) : common.miss(pick(count)))
const batchOf = (make) => (size) => Array.from({ length: size }, make)

const engine = await opened()
if (typeof engine === 'string') answer({ unable: engine })
else if (engine === null) answer({ ours: timeOurs() })
else {
  check(engine)
  answer({ theirs: timeTheirs(engine), ours: timeOurs() })
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
    batchOf(() => prepare(fresh(next()))),
    (inputs) => {
      for (let i = 0; i < inputs.length; i++) allows(inputs[i])
    },
  )
}

function timeOurs() {
  return time(
    batchOf(() => prepare(next())),
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

function check({ prepare: inputOf, allows }) {
  const end = performance.now() + seconds * 1000
  let checks = 0
  while (checks < FEWEST_CHECKS || (checks < MOST_CHECKS && performance.now() < end)) {
    const request = next()
    const ours = decider.decide(prepare(request)).kind === 'allow'
    const theirs = allows(inputOf(fresh(request)))
    if (ours !== theirs) throw new Error(`it says ${theirs} where Sallyport says ${ours}: ${JSON.stringify(request)}`)
    checks++
  }
}
