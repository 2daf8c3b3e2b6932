import { setTimeout as delay } from 'node:timers/promises'

/** Of all that is sent, how much goes to the proxies, and how many at a time on each side. */
const PROXIED = 0.65
const WIDTH = { proxied: 24, direct: 12 }

/** Steady traffic until `signal` says so: `rate` acts a second, never more than the width of them at a time. */
export async function runTraffic({ proxied, direct, randomOf, rate, signal }) {
  await Promise.all([
    side(
      WIDTH.proxied,
      rate * PROXIED,
      (i) => randomOf(i),
      (random) => proxied.act(random),
      signal,
    ),
    side(
      WIDTH.direct,
      rate * (1 - PROXIED),
      (i) => randomOf(1000 + i),
      (random) => direct.act(random),
      signal,
    ),
  ])
}

async function side(width, rate, randomOf, act, signal) {
  const pace = new Pace(rate)
  await Promise.all(
    Array.from({ length: width }, async (_, i) => {
      const random = randomOf(i)
      while (!signal.aborted) {
        await pace.turn(signal)
        if (!signal.aborted) await act(random)
      }
    }),
  )
}

/** Gives turns at a rate. What was not used is not made up for: after a pause there is no burst. */
class Pace {
  #every
  #next = performance.now()

  constructor(rate) {
    this.#every = 1000 / rate
  }

  async turn(signal) {
    const now = performance.now()
    this.#next = Math.max(this.#next + this.#every, now)
    const wait = this.#next - now
    if (wait > 1) await delay(wait, undefined, { signal }).catch(() => {})
  }
}
