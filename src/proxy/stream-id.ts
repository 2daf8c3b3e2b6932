import { randomInt } from 'node:crypto'

let last = randomInt(2 ** 47)

/** A number that a provider can tell a request by, as text. Unlike the request's id, no client chooses it. */
export function nextStreamId(): string {
  last = last === Number.MAX_SAFE_INTEGER ? 1 : last + 1
  return String(last)
}
