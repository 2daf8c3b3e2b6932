// The time of one decision, by the number and the kind of policies, beside other engines on the same policies.
import { must, run } from './job.mjs'
import { options } from './options.mjs'
import * as envoy from './peers/envoy.mjs'
import { missing as missingOpa } from './peers/opa-wasm.mjs'
import { figure, Report } from './report.mjs'
import { common } from './traffic/mixed.mjs'
import { shapes } from './traffic/shapes.mjs'

const { output, quick, spareCore } = options()
const plan = quick
  ? { counts: [10, 100], batches: 5, peerCounts: [10], envoyCounts: [0, 10], seconds: 0.1 }
  : {
      counts: [10, 1000, 10_000, 100_000],
      batches: 600,
      peerCounts: [10, 1000, 10_000],
      envoyCounts: [0, 1, 100, 1000, 10_000],
      seconds: 2,
    }

/** How long one engine may take to be ready at one size, and to be measured there, before it is given up. */
const PEER_SECONDS = 60
/** Node 20's V8 ends the process when it undoes such an inlined call, which cedar-wasm meets after a second or two. */
const PEER_FLAGS = process.versions.node.startsWith('20.') ? ['--no-turbo-inline-js-wasm-calls'] : []
/** The project's own goals for the median, in microseconds, at up to that many policies. */
const goals = [
  { count: 10, us: 1 },
  { count: 100_000, us: 3 },
]
/** From so many policies on, an index is larger than the caches next to a core. */
const LARGE = 1000
/** What is left of the proportion where cost grows with the number: caches alone make less of a difference. */
const LINEAR = 0.5

/** Seconds of processor time that can be told: the system counts hundredths. */
const LEAST_USED = 0.2

const kinds = {
  all: 'all requests',
  match: 'requests that match',
  none: 'requests that match none',
  skewed: 'all requests, skewed',
}
const peers = [
  { module: 'grpc-js-xds', name: 'grpc-js-xds', missing: () => null },
  { module: 'cedar-wasm', name: 'cedar-wasm', missing: () => null },
  { module: 'opa-wasm', name: 'opa-wasm', missing: missingOpa },
  { module: 'casbin', name: 'node-casbin', missing: () => null },
]

const report = new Report()
await ordinary()
await hardShapes()
await otherEngines()
await besideEnvoy()
report.note(
  'Half of the requests match, but for the rows that say otherwise. Each request is new text, for a policy picked at ' +
    'random (`skewed`: the k-th policy as often as 1/k). A figure is the median of batches of 32 requests.',
)
report.print(output)

async function ordinary() {
  say('mixed policies')
  const { times, facts, map } = await own(['mixed'])
  const order = Object.keys(kinds)
  times.sort((a, b) => order.indexOf(a.kind) - order.indexOf(b.kind))
  for (const { count, kind, us } of times) row(`mixed, ${policiesOf(count)}, ${kinds[kind]}`, us)
  row('building the facts of a parsed request', facts)
  fallsShort('mixed', times, map)
  const scale = map.map(({ count, us }) => `${figure(us)} us among ${count.toLocaleString('en')}`)
  report.note(`For scale, one Map look-up of a new text takes ${scale.join(', ')}.`)
}

async function hardShapes() {
  const groups = quick ? [Object.keys(shapes)] : Object.keys(shapes).map((name) => [name])
  for (const names of groups) {
    say(names.join(', '))
    const { times, map } = await own(names)
    for (const name of names) {
      const some = times.filter((time) => time.name === name)
      for (const { count, kind, us } of some) row(`${name}, ${policiesOf(count)}, ${kinds[kind]}`, us)
      fallsShort(name, some, map)
    }
  }
}

async function own(names) {
  const { counts, batches, seconds } = plan
  const answer = await must('./decide/own.job.mjs', { names, counts, batches, seconds }, { seconds: 300 })
  report.given(answer.share)
  return answer
}

/** Says where a goal is missed, by how much, and why. */
function fallsShort(name, times, map) {
  if (quick) return
  const missed = times.flatMap(({ count, kind, us }) => {
    const goal = goals.find((one) => count <= one.count)
    return goal === undefined || us < goal.us || kind === 'skewed' ? [] : [{ count, kind, us, goal }]
  })
  if (missed.length === 0) return
  const list = missed.map(({ count, kind, us, goal }) => {
    return `${figure(us)} us instead of ${goal.us} at ${policiesOf(count)} (${kinds[kind]})`
  })
  report.note(`Falls short: ${name}: ${list.join(', ')}. Why: ${reason(missed, times, map)}.`)
}

function reason(missed, times, map) {
  const { count, kind, us } = missed.reduce((most, one) => (one.us > most.us ? one : most))
  const before = times.findLast((one) => one.kind === kind && one.count < count)
  if (before !== undefined && us / before.us > (count / before.count) * LINEAR) {
    return `the cost grows with the number: ${count / before.count} times as many cost ${figure(us / before.us)} times as much`
  }
  if (count < LARGE) return 'not known; so few policies should not cost that, so measure again on a quiet machine'
  const lookUps = figure(us / map.find((one) => one.count === count).us)
  return `policies picked at random are not in the processor's caches; it costs what ${lookUps} Map look-ups cost there`
}

async function otherEngines() {
  for (const { module, name, missing } of peers) {
    const absent = missing()
    if (absent !== null) {
      report.note(`${name} was not measured: ${absent}.`)
      continue
    }
    for (const count of plan.peerCounts) {
      say(`${name}, ${policiesOf(count)}`)
      const task = { peer: module, count, seconds: plan.seconds }
      const { value, failure, ended } = await run('./decide/peer.job.mjs', task, {
        seconds: PEER_SECONDS,
        flags: PEER_FLAGS,
      })
      if (ended || value?.unable !== undefined) {
        report.note(`${name} cannot hold ${policiesOf(count)} here: ${failure ?? value.unable}.`)
        continue
      }
      if (failure !== undefined) throw new Error(`${name}, ${policiesOf(count)}: ${failure}`)
      row(`common fields, ${policiesOf(count)}`, value.ours, name, value.theirs)
    }
  }
  const most = plan.peerCounts.at(-1)
  report.note(
    `Each of these engines first gave the same decisions as ours. They were not tried beyond ${policiesOf(most)}.`,
  )
}

async function besideEnvoy() {
  const absent = envoy.missing()
  if (absent !== null) {
    report.note(`Envoy was not measured: ${absent}.`)
    return
  }
  let http = null
  for (const count of plan.envoyCounts) {
    say(`Envoy, ${policiesOf(count)}`)
    const { us, rate } = await envoyTime(count)
    report.note(`Envoy answers ${Math.round(rate).toLocaleString('en')} requests a second with ${policiesOf(count)}.`)
    if (count === 0) {
      http = us
      continue
    }
    const alone = await must('./decide/peer.job.mjs', { peer: null, count, seconds: plan.seconds }, { seconds: 60 })
    row(`Envoy's RBAC filter, ${policiesOf(count)}, with its HTTP`, alone.ours, 'Envoy', us)
    // The difference of two figures that nearly agree is noise.
    if (us > 1.2 * http) {
      row(`Envoy's RBAC filter, ${policiesOf(count)}, without its HTTP`, alone.ours, 'Envoy', us - http)
    }
  }
  report.note(
    "Theirs is Envoy's processor time for a request over loopback, ours a decision alone. Without its HTTP, the time " +
      'without policies is subtracted; where that is missing, the filter takes less than such runs differ.',
  )
}

/** Envoy's processor time for a request in microseconds, or its time where that is not told; and requests a second. */
async function envoyTime(count) {
  const policies = Array.from({ length: count }, (_, i) => common.policy(i))
  const { port, stop, processorTime } = await envoy.start(policies, { seconds: 30 })
  try {
    const task = { port, count, connections: 16, seconds: plan.seconds }
    const prefix = spareCore === null ? [] : ['taskset', '-c', String(spareCore)]
    const before = processorTime()
    const { requests, seconds, all } = await must('./decide/load.job.mjs', task, { seconds: 60, prefix })
    const used = processorTime() - before
    return { us: (used > LEAST_USED ? used / all : seconds / requests) * 1e6, rate: requests / seconds }
  } finally {
    await stop()
  }
}

function row(what, ours, peer = null, theirs = null) {
  report.add({ what, ours, unit: 'us', ...(peer === null ? {} : { peer, theirs }) })
}

function policiesOf(count) {
  return `${count.toLocaleString('en')} ${count === 1 ? 'policy' : 'policies'}`
}

function say(text) {
  process.stderr.write(`  ${text} ...\n`)
}
