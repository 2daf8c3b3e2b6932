import type { CheckOutcome } from '../check.ts'
import { failure } from '../client/failure.ts'

export interface DecisionCacheOptions {
  /** Milliseconds for which an answer is used again, counted from when it was asked for. */
  readonly ttl: number
  readonly maxEntries: number
  /** Bytes of keys and answers, about; default 16 MiB. */
  readonly maxBytes?: number
  /** Milliseconds of a clock that never goes back; default `performance.now`. */
  readonly clock?: () => number
}

/**
 * - `hit`: a kept answer was used. `miss`: the provider was asked. `joined`: an equal question was under way.
 * - `own`: it had joined, but the answer was for the first one alone, or too many waited: the provider was asked.
 * - `evicted`: a kept answer went before its time, because there were too many.
 */
export type CacheEvent = 'hit' | 'miss' | 'joined' | 'own' | 'evicted'

export interface CachedQuestion {
  readonly key: string
  /** Milliseconds that the token is still good for; Infinity without one. */
  readonly life: number
  readonly ask: (signal: AbortSignal) => Promise<CheckOutcome>
  readonly told: (event: CacheEvent) => void
}

const MAX_BYTES = 16 * 1024 * 1024
/** Questions under way that others can join, and how many can join one. */
const MAX_FLIGHTS = 4096
const MAX_WAITERS = 1024

/**
 * Answers of one provider, by what it was shown. Only permission is kept: a denial ends as soon as its reason does, and
 * often holds what is for one client alone, such as the state of a login; a failure is no answer. Equal questions that
 * are asked at a time are asked once.
 */
export class DecisionCache {
  readonly #ttl: number
  readonly #maxEntries: number
  readonly #maxBytes: number
  readonly #clock: () => number
  /** The one that was used longest ago first. */
  readonly #entries = new Map<string, Entry>()
  readonly #flights = new Map<string, Flight>()
  #bytes = 0

  constructor({ ttl, maxEntries, maxBytes = MAX_BYTES, clock = () => performance.now() }: DecisionCacheOptions) {
    this.#ttl = ttl
    this.#maxEntries = maxEntries
    this.#maxBytes = maxBytes
    this.#clock = clock
  }

  get size(): number {
    return this.#entries.size
  }

  check(question: CachedQuestion, signal: AbortSignal): CheckOutcome | Promise<CheckOutcome> {
    if (signal.aborted) return CANCELLED
    const { key, told } = question
    const kept = this.#kept(key)
    if (kept !== null) {
      told('hit')
      return kept
    }
    const flight = this.#flights.get(key)
    if (flight !== undefined && flight.waiters < MAX_WAITERS) {
      told('joined')
      return this.#wait(flight, key, signal).then((outcome) => {
        if (!isPersonal(outcome)) return outcome
        told('own')
        return question.ask(signal)
      })
    }
    if (flight !== undefined || this.#flights.size >= MAX_FLIGHTS) {
      told('own')
      return question.ask(signal)
    }
    told('miss')
    return this.#wait(this.#begin(question), key, signal)
  }

  #kept(key: string): CheckOutcome | null {
    const entry = this.#entries.get(key)
    if (entry === undefined) return null
    this.#entries.delete(key)
    if (entry.expires <= this.#clock()) {
      this.#bytes -= entry.bytes
      return null
    }
    this.#entries.set(key, entry)
    return entry.outcome
  }

  #begin({ key, life, ask, told }: CachedQuestion): Flight {
    const expires = this.#clock() + Math.min(this.#ttl, life)
    const abort = new AbortController()
    const result = ask(abort.signal)
      .finally(() => {
        if (this.#flights.get(key) === flight) this.#flights.delete(key)
      })
      .then((outcome) => {
        if (outcome.kind === 'allow' && !isPersonal(outcome)) this.#keep(key, outcome, expires, told)
        return outcome
      })
    const flight: Flight = { result, abort, waiters: 0 }
    this.#flights.set(key, flight)
    return flight
  }

  /** One that leaves takes nothing from the others; with the last one the question ends. */
  #wait(flight: Flight, key: string, signal: AbortSignal): Promise<CheckOutcome> {
    flight.waiters++
    return new Promise((resolve, reject) => {
      const leave = () => {
        flight.waiters--
        if (flight.waiters === 0) {
          if (this.#flights.get(key) === flight) this.#flights.delete(key)
          flight.abort.abort()
        }
        resolve(CANCELLED)
      }
      signal.addEventListener('abort', leave, { once: true })
      flight.result.then((outcome) => {
        signal.removeEventListener('abort', leave)
        resolve(outcome)
      }, reject)
    })
  }

  #keep(key: string, outcome: CheckOutcome & { kind: 'allow' }, expires: number, told: CachedQuestion['told']): void {
    const bytes = bytesOf(key, outcome)
    if (expires <= this.#clock() || bytes > this.#maxBytes) return
    this.#remove(key)
    this.#entries.set(key, { outcome, expires, bytes })
    this.#bytes += bytes
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= this.#maxEntries && this.#bytes <= this.#maxBytes) break
      this.#remove(oldest)
      told('evicted')
    }
  }

  #remove(key: string): void {
    const entry = this.#entries.get(key)
    if (entry === undefined) return
    this.#entries.delete(key)
    this.#bytes -= entry.bytes
  }
}

interface Entry {
  readonly outcome: CheckOutcome
  /** On the clock. */
  readonly expires: number
  readonly bytes: number
}

/** A question that is under way. */
interface Flight {
  readonly result: Promise<CheckOutcome>
  readonly abort: AbortController
  waiters: number
}

const CANCELLED = failure('cancelled', 'cancelled while it was asked')

/** Whether an answer is for the client that asked, and nobody else: it sets a cookie, or sends it elsewhere. */
function isPersonal(outcome: CheckOutcome): boolean {
  switch (outcome.kind) {
    case 'allow':
      return outcome.responseChanges.some(({ name }) => isOwn(name))
    case 'deny':
      return outcome.headers.some(([name]) => isOwn(name))
    case 'error':
      return outcome.reply?.headers.some(([name]) => isOwn(name)) ?? false
    default:
      return outcome satisfies never
  }
}

function isOwn(name: string): boolean {
  const lower = name.toLowerCase()
  return lower === 'set-cookie' || lower === 'location'
}

/** What an entry costs beside its texts, about. */
const OVERHEAD = 200

function bytesOf(key: string, outcome: CheckOutcome & { kind: 'allow' }) {
  const { changes, responseChanges, queryChanges, rewrite, metadata } = outcome
  let bytes = OVERHEAD + key.length
  for (const change of [...changes, ...responseChanges]) {
    bytes += OVERHEAD / 2 + change.name.length + (change.kind === 'remove' ? 0 : change.value.length)
  }
  if (queryChanges !== undefined || rewrite !== undefined || metadata !== undefined) {
    bytes += 2 * JSON.stringify([queryChanges, rewrite, metadata]).length
  }
  return bytes
}
