import { createHash, timingSafeEqual } from 'node:crypto'

/**
 * Whether two secrets are the same, in a time that does not tell how much of them is. An empty one is never the same as
 * anything, so that a key that was not configured lets nobody in.
 */
export function sameSecret(given: string, expected: string): boolean {
  if (given === '' || expected === '') return false
  return timingSafeEqual(digest(given), digest(expected))
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text, 'utf8').digest()
}
