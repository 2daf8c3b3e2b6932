// How long a request with a known token takes from the moment when it is due, alone and while clients send unknown bad
// tokens as fast as they are refused: { seconds, clients } in; { quiet, flood, rate } out, of each { p50, p99 }, in microseconds.
import { answer, task } from '../job.mjs'
import { authenticator, now, requestOf, tokenOf } from './tokens.mjs'

const { seconds, clients } = task()
/** Microseconds between two requests with a known token. */
const EVERY = 500

const authenticate = authenticator()
const known = tokenOf(0)
await authenticate.authenticate(requestOf(known), now)

/** Made beforehand: what a client pays for them is not ours. */
const bad = Array.from({ length: 20_000 }, (_, i) => tokenOf(i, false))
let next = 0

const turn = () => new Promise((resolve) => setImmediate(resolve))
const micros = () => performance.now() * 1000

/** As an event loop finds requests on sockets: at its next turn. */
async function sample() {
  const late = []
  const end = micros() + seconds * 1e6
  for (let due = micros() + EVERY; due < end; due += EVERY) {
    const request = requestOf(known)
    while (micros() < due) await turn()
    const result = authenticate.authenticate(request, now)
    if (result instanceof Promise || result.kind !== 'accepted') throw new Error('a known token had to wait')
    late.push(micros() - due)
  }
  late.sort((a, b) => a - b)
  return { p50: late[late.length >> 1], p99: late[Math.floor(late.length * 0.99)] }
}

await sample()
const quiet = await sample()
let refused = 0
let over = false
const floods = Array.from({ length: clients }, async () => {
  while (!over) {
    const result = await authenticate.authenticate(requestOf(bad[next++ % bad.length]), now)
    if (result.kind !== 'rejected') throw new Error('a bad token was accepted')
    refused++
    // The next one comes over a socket.
    await turn()
  }
})
const start = micros()
const flood = await sample()
const rate = refused / ((micros() - start) / 1e6)
over = true
await Promise.all(floods)
answer({ quiet, flood, rate })
