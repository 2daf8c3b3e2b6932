// What a request with a token costs: a known one, an unknown one beside the core's own RSA verification, and a known one
// while others send bad ones.
import { must } from './job.mjs'
import { options } from './options.mjs'
import { figure, Report } from './report.mjs'

const { output, quick } = options()
const plan = quick
  ? { known: [1, 50], batches: 20, seconds: 0.2, count: 50, rounds: 1, flood: 0.3, clients: 16 }
  : { known: [1, 1000, 10_000], batches: 600, seconds: 2, count: 2000, rounds: 7, flood: 4, clients: 256 }
/** The project's own goals: a known token in microseconds, and the part of the core's own rate. */
const GOAL = { known: 5, share: 0.5 }

const report = new Report()
await known()
await unknown()
await flood()
report.note(
  'A figure is what `authenticate()` takes for a whole request with seven header lines, one rule with an issuer, an ' +
    'audience and an output header, and an RS256 token of some 800 characters with a key of 2048 bits: the search for ' +
    'tokens, the verification, the output header, the removal of the token. All of it runs on one core, the threads ' +
    'that verify signatures too.',
)
report.print(output)

async function known() {
  say('known tokens')
  const { none, us, share } = await must('./jwt/known.job.mjs', plan, { seconds: 120 })
  report.given(share)
  row('a request without a token', none)
  for (const { count, us: time } of us) row(`a known token, ${tokens(count)}`, time)
  const missed = us.filter((one) => one.us >= GOAL.known)
  if (quick || missed.length === 0) return
  const list = missed.map(({ count, us: time }) => `${figure(time)} us among ${tokens(count)}`)
  report.note(
    `Falls short: a known token is to take less than ${GOAL.known} us: ${list.join(', ')}. Why: most of it is SHA-256 of ` +
      'the token and the look-up of its digest, which is in no cache of the processor when many tokens are known.',
  )
}

async function unknown() {
  say('unknown tokens')
  const { good, bad, inline, pool, jose, share } = await must('./jwt/unknown.job.mjs', plan, { seconds: 120 })
  report.given(share)
  const core = "the core's RSA verification"
  row('an unknown good token', good, core, inline)
  row('an unknown bad token', bad, core, inline)
  row('an unknown good token', good, `${core}, in the pool`, pool)
  if (jose === null) report.note('jose was not measured: it is not installed.')
  else row('an unknown good token', good, 'jose', jose)
  const rate = Math.round(1e6 / good).toLocaleString('en')
  report.note(
    `${rate} unknown good tokens a second; the core alone verifies ${Math.round(1e6 / inline).toLocaleString('en')}.`,
  )
  const least = Math.min(inline / good, inline / bad)
  if (quick || least >= GOAL.share) return
  report.note(
    `Falls short: unknown tokens go through at ${Math.round(100 * least)} % of what RSA alone allows, the goal is ` +
      `${100 * GOAL.share} %. Why: the rest is parsing and the way to another thread and back.`,
  )
}

async function flood() {
  say('a flood of bad tokens')
  const task = { seconds: plan.flood, clients: plan.clients }
  const { quiet, flood: during, rate, share } = await must('./jwt/flood.job.mjs', task, { seconds: 120 })
  report.given(share)
  for (const part of ['p50', 'p99'])
    row(`a known token from when it is due, during a flood, ${part}`, during[part], 'without a flood', quiet[part])
  report.note(
    `The flood: ${plan.clients} clients that each send another bad token as soon as the last one is refused, ` +
      `${Math.round(rate).toLocaleString('en')} a second. Known tokens never wait for a verification; what they wait ` +
      'for is the core, which the flood shares with them.',
  )
}

function row(what, ours, peer = null, theirs = null) {
  report.add({ what, ours, unit: 'us', ...(peer === null ? {} : { peer, theirs }) })
}

function tokens(count) {
  return `${count.toLocaleString('en')} ${count === 1 ? 'token' : 'tokens'} known`
}

function say(text) {
  process.stderr.write(`  ${text} ...\n`)
}
