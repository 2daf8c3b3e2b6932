// Tokens that were never seen before, and the core's own verification of the same ones: { count, rounds } in; microseconds a
// token out: { good, bad, inline, pool, jose }, the last one null where it is not installed.
import { verify } from 'node:crypto'
import { answer, task } from '../job.mjs'
import { median } from '../measure.mjs'
import { authenticator, now, publicKey, requestOf, tokenOf } from './tokens.mjs'

const { count, rounds } = task()
/** As many as that many connections have at a time. */
const CLIENTS = 64

const good = Array.from({ length: count }, (_, i) => tokenOf(i))
const bad = Array.from({ length: count }, (_, i) => tokenOf(i, false))
const jose = await import('jose').catch(() => null)

/** Microseconds for each of them, `CLIENTS` at a time. */
async function time(list, work) {
  let next = 0
  const client = async () => {
    while (next < list.length) await work(list[next++])
  }
  const start = process.hrtime.bigint()
  await Promise.all(Array.from({ length: CLIENTS }, client))
  return Number(process.hrtime.bigint() - start) / 1000 / list.length
}

const requests = (tokens) => tokens.map(requestOf)
const expect = (authenticate, kind) => async (request) => {
  const result = await authenticate.authenticate(request, now)
  if (result.kind !== kind) throw new Error(`${result.kind}, not ${kind}`)
}
const parts = good.map((token) => {
  const at = token.lastIndexOf('.')
  return { data: Buffer.from(token.slice(0, at)), signature: Buffer.from(token.slice(at + 1), 'base64url') }
})
const inPool = ({ data, signature }) =>
  new Promise((resolve, reject) => {
    verify('sha256', data, publicKey, signature, (error, verifies) => (verifies ? resolve() : reject(error)))
  })

/** One after the other, nothing else between them. */
function inline() {
  const start = process.hrtime.bigint()
  for (const { data, signature } of parts) {
    if (!verify('sha256', data, publicKey, signature)) throw new Error('a good signature does not verify')
  }
  return Number(process.hrtime.bigint() - start) / 1000 / parts.length
}

const runs = { good: [], bad: [], inline: [], pool: [], jose: [] }
/** Rounds for the compiler. */
const WARM = 3
// In turns, so that who else uses the machine disturbs all alike.
for (let round = -WARM; round < rounds; round++) {
  const some = {
    good: await time(requests(good), expect(authenticator(), 'accepted')),
    inline: inline(),
    bad: await time(requests(bad), expect(authenticator(), 'rejected')),
    pool: await time(parts, inPool),
    ...(jose === null ? {} : { jose: await time(good, (token) => jose.jwtVerify(token, publicKey)) }),
  }
  if (round >= 0) for (const [name, us] of Object.entries(some)) runs[name].push(us)
}
answer(Object.fromEntries(Object.entries(runs).map(([name, list]) => [name, list.length === 0 ? null : median(list)])))
