import { setMaxListeners } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { Random } from '../../build/test/differential/random.js'
import { elapsed } from '../progress.mjs'
import { Direct } from './direct.mjs'
import { Edits } from './edits.mjs'
import { Faults } from './faults.mjs'
import { Judge } from './judge.mjs'
import { boundsAfter, exceeded, measure } from './measure.mjs'
import { Place } from './place.mjs'
import { leftovers } from './processes.mjs'
import { Proxied } from './proxied.mjs'
import { print, resultOf } from './report.mjs'
import { isEdit, runSchedule } from './schedule.mjs'
import { Stage } from './stage.mjs'
import { Tokens } from './tokens.mjs'
import { runTraffic } from './traffic.mjs'

const PROGRESS_MS = 10_000
/**
 * Traffic before the first measurement: caches fill and code is compiled in the first seconds. A short run, which measures
 * next to nothing, has a share of its time.
 */
const WARM_UP = { share: 0.5, most: 30_000 }
/** After traffic: kept connections go after 15 s of silence at most. It is over as soon as everything is within bounds. */
const SETTLE_MS = 25_000
const SETTLE_STEP = 1000

/** Runs it; resolves to the exit code. */
export async function main({ seed, minutes, rate, output }) {
  const over = new AbortController()
  let interrupted = false
  const interrupt = () => {
    // Who asks twice does not want to wait; what was started is killed then.
    if (interrupted) process.exit(130)
    interrupted = true
    over.abort()
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, interrupt)
  const place = new Place()
  const stage = new Stage(place, new Tokens())
  const run = { judge: null, events: new Map(), before: null, after: null, bounds: null, notes: [] }
  const stop = (why) => {
    say(`over: ${why.split('\n')[0]}`)
    over.abort()
  }
  try {
    await stage.start((world) => {
      run.judge = new Judge(world, stop)
      return run.judge
    })
    if (!stage.go) run.notes.push('grpc-go took no part: it is not installed (scripts/peers.sh --only go-authorizer).')
    say(`seed ${seed}, ${minutes} minutes, ${rate} requests a second${stage.go ? ', grpc-go beside ours' : ''}`)
    await live({ stage, run, over, seed, rate, duration: minutes * 60_000 })
  } finally {
    await stage.stop()
    const left = leftovers()
    if (left.length > 0) run.judge?.finding(`still running: ${left.join(', ')}`)
    place.remove()
  }
  if (interrupted) return 130
  print(resultOf({ seed, minutes, ...run }), output)
  return run.judge.findings.length === 0 ? 0 : 1
}

async function live({ stage, run, over, seed, rate, duration }) {
  const { judge, events } = run
  const warmUp = Math.min(WARM_UP.most, duration * WARM_UP.share)
  await withTraffic('warm-up', 1, { stage, judge, events, over, seed, rate, duration: warmUp }, async () => {})
  if (over.signal.aborted) return
  await delay(SETTLE_STEP)
  run.before = await measure(stage)
  await withTraffic('traffic and faults', 2, { stage, judge, events, over, seed, rate, duration }, (signal) =>
    runSchedule({
      ...{ faults: new Faults(stage, judge), edits: new Edits(stage, judge), signal },
      randoms: [new Random(seed, 3), new Random(seed, 4)],
      told: (name) => events.set(name, (events.get(name) ?? 0) + 1),
    }),
  )
  if (over.signal.aborted) return
  await settle(stage, run)
}

/** Traffic for some time, and `beside` it whatever else, which is waited for. */
async function withTraffic(what, part, { stage, judge, events, over, seed, rate, duration }, beside) {
  const phase = new AbortController()
  const signal = AbortSignal.any([phase.signal, over.signal])
  // Each of the loops waits for it.
  setMaxListeners(0, signal)
  const { ports, world, go } = stage
  const proxied = new Proxied({ ports, judge, tokens: stage.tokens })
  const direct = new Direct({ ports, judge, world, go })
  const began = performance.now()
  const progress = setInterval(() => {
    const happened = [...events.values()].reduce((sum, count) => sum + count, 0)
    const age = elapsed(performance.now() - began)
    say(`${what}, ${age}: ${judge.total} requests, ${happened} events, ${judge.findings.length} findings`)
  }, PROGRESS_MS)
  const timer = setTimeout(() => phase.abort(), duration)
  try {
    const randomOf = (i) => new Random(seed, part, i)
    await Promise.all([runTraffic({ proxied, direct, randomOf, rate, signal }), beside(signal)])
  } finally {
    clearTimeout(timer)
    clearInterval(progress)
    proxied.close()
    direct.close()
  }
}

/** Measures until everything is within bounds again, or that takes too long. */
async function settle(stage, run) {
  const edits = [...run.events].filter(([name]) => isEdit(name)).reduce((sum, [, count]) => sum + count, 0)
  run.bounds = boundsAfter(edits)
  const late = performance.now() + SETTLE_MS
  for (;;) {
    await delay(SETTLE_STEP)
    run.after = await measure(stage)
    const found = exceeded(run.before, run.after, run.bounds)
    if (found.length === 0) return
    if (performance.now() < late) continue
    for (const one of found) run.judge.finding(one)
    return
  }
}

function say(text) {
  process.stderr.write(`  ${text}\n`)
}
