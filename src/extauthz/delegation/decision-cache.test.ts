import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CheckOutcome, HeaderChange } from '../check.ts'
import { type CacheEvent, DecisionCache, type DecisionCacheOptions } from './decision-cache.ts'

function allowed(changes: readonly HeaderChange[] = [], responseChanges: readonly HeaderChange[] = []): CheckOutcome {
  return { kind: 'allow', changes, responseChanges }
}

function denied(headers: readonly (readonly [string, string])[] = []): CheckOutcome {
  return { kind: 'deny', status: 403, headers, body: new Uint8Array() }
}

const unavailable: CheckOutcome = { kind: 'error', reason: 'unavailable', message: 'gone' }

/** A question that the test answers. */
class Asked {
  readonly signal: AbortSignal
  readonly answer: (outcome: CheckOutcome) => void
  readonly outcome: Promise<CheckOutcome>

  constructor(signal: AbortSignal) {
    this.signal = signal
    const { promise, resolve } = withResolvers()
    this.outcome = promise
    this.answer = resolve
  }
}

function withResolvers() {
  let resolve: (outcome: CheckOutcome) => void = () => {}
  const promise = new Promise<CheckOutcome>((done) => {
    resolve = done
  })
  return { promise, resolve }
}

function setup(options: Partial<DecisionCacheOptions> = {}) {
  const events: CacheEvent[] = []
  const asked: Asked[] = []
  const clock = { now: 0 }
  const cache = new DecisionCache({ ttl: 100, maxEntries: 10, clock: () => clock.now, ...options })
  const check = (key: string, life = Number.POSITIVE_INFINITY, signal = new AbortController().signal) => {
    const ask = (until: AbortSignal) => {
      const one = new Asked(until)
      asked.push(one)
      return one.outcome
    }
    return Promise.resolve(cache.check({ key, life, ask, told: (event) => events.push(event) }, signal))
  }
  /** Asks, and answers where the provider is asked. */
  const get = async (key: string, outcome: CheckOutcome, life?: number) => {
    const before = asked.length
    const result = check(key, life)
    if (asked.length > before) asked.at(-1)?.answer(outcome)
    return await result
  }
  return { cache, events, asked, clock, check, get }
}

test('a permission is used again until its time is over, counted from the question', async () => {
  const { asked, clock, check, get, events } = setup()
  const changes = [{ kind: 'set', name: 'x-user', value: 'a' }] as const
  const first = check('k')
  clock.now = 60
  asked[0]?.answer(allowed(changes))
  assert.deepEqual(await first, allowed(changes))
  clock.now = 99
  assert.deepEqual(await get('k', denied()), allowed(changes))
  assert.equal((await get('other', denied())).kind, 'deny')
  clock.now = 100
  assert.equal((await get('k', denied())).kind, 'deny')
  assert.deepEqual(events, ['miss', 'hit', 'miss', 'miss'])
})

test('nothing is kept longer than the token is good for', async () => {
  const { clock, get, events, cache } = setup()
  await get('k', allowed(), 30)
  clock.now = 29
  await get('k', denied(), 1000)
  clock.now = 30
  await get('k', denied(), 1000)
  await get('late', allowed(), 0)
  await get('over', allowed(), -60_000)
  assert.equal(cache.size, 0)
  assert.deepEqual(events, ['miss', 'hit', 'miss', 'miss', 'miss'])
})

test('denials, failures, and what is for one client alone are not kept', async () => {
  const { asked, get, cache } = setup()
  const cookie = [{ kind: 'add', name: 'Set-Cookie', value: 'a' }] as const
  for (const outcome of [denied(), unavailable, allowed([], cookie)]) {
    for (let i = 0; i < 2; i++) assert.equal(await get('k', outcome), outcome)
  }
  assert.deepEqual([asked.length, cache.size], [6, 0])
})

test('equal questions at a time are asked once, and share the answer, also a denial or a failure', async () => {
  for (const outcome of [allowed(), denied(), unavailable]) {
    const { asked, check, events } = setup()
    const all = ['k', 'k', 'k', 'other'].map((key) => check(key))
    assert.equal(asked.length, 2)
    asked[0]?.answer(outcome)
    asked[1]?.answer(unavailable)
    assert.deepEqual(await Promise.all(all), [outcome, outcome, outcome, unavailable])
    assert.deepEqual(events, ['miss', 'joined', 'joined', 'miss'])
  }
})

test('an answer for one client alone goes to the first; the others ask for themselves', async () => {
  for (const header of ['Location', 'set-cookie']) {
    const { asked, check, events } = setup()
    const all = [check('k'), check('k'), check('k')]
    const login = denied([[header, 'state=1']])
    asked[0]?.answer(login)
    assert.equal(await all[0], login)
    // The others have asked by the time that the first has its answer.
    await new Promise((resolve) => setImmediate(resolve))
    assert.equal(asked.length, 3)
    asked[1]?.answer(denied())
    asked[2]?.answer(allowed())
    assert.deepEqual(await Promise.all(all.slice(1)), [denied(), allowed()])
    assert.deepEqual(events, ['miss', 'joined', 'joined', 'own', 'own'])
  }
})

test('one that leaves takes nothing from the others; the last one ends the question', async () => {
  const { asked, check, cache } = setup()
  const [first, second, third] = [new AbortController(), new AbortController(), new AbortController()]
  const all = [first, second, third].map(({ signal }) => check('k', Number.POSITIVE_INFINITY, signal))
  first.abort()
  assert.deepEqual(await all[0], { kind: 'error', reason: 'cancelled', message: 'cancelled while it was asked' })
  assert.equal(asked[0]?.signal.aborted, false)
  second.abort()
  third.abort()
  assert.equal(asked[0]?.signal.aborted, true)
  // Whoever comes now does not wait for what has been given up.
  const late = check('k')
  assert.equal(asked.length, 2)
  asked[0]?.answer({ kind: 'error', reason: 'cancelled', message: '' })
  asked[1]?.answer(allowed())
  assert.equal((await late).kind, 'allow')
  assert.equal(cache.size, 1)
  const gone = new AbortController()
  gone.abort()
  assert.equal((await check('k', Number.POSITIVE_INFINITY, gone.signal)).kind, 'error')
})

test('the one that was used longest ago goes first', async () => {
  const { get, events, cache } = setup({ maxEntries: 2 })
  await get('a', allowed())
  await get('b', allowed())
  await get('a', denied())
  await get('c', allowed())
  assert.equal(cache.size, 2)
  assert.deepEqual(events.splice(0), ['miss', 'miss', 'hit', 'miss', 'evicted'])
  assert.equal((await get('a', denied())).kind, 'allow')
  assert.equal((await get('b', denied())).kind, 'deny')
})

test('answers are bounded in bytes, and one that is too large is not kept', async () => {
  const { get, cache, events } = setup({ maxBytes: 4000, maxEntries: 1000 })
  const large = (length: number) => allowed([{ kind: 'set', name: 'x-a', value: 'v'.repeat(length) }])
  for (let i = 0; i < 10; i++) await get(`k${i}`, large(900))
  assert.equal(cache.size, 3)
  assert.equal(events.filter((event) => event === 'evicted').length, 7)
  await get('huge', large(5000))
  assert.equal(cache.size, 3)
  const telling = { ...large(0), metadata: { note: 'v'.repeat(400) } } as const
  for (let i = 0; i < 10; i++) await get(`m${i}`, telling)
  assert.equal(cache.size, 3)
})

test('a provider whose client breaks its promise blocks no later question', async () => {
  const { cache } = setup()
  const question = { key: 'k', life: 100, ask: () => Promise.reject(new Error('broken')), told: () => {} }
  const { signal } = new AbortController()
  for (let i = 0; i < 2; i++) await assert.rejects(async () => cache.check(question, signal), /broken/)
})
