import type { Duplex } from 'node:stream'

/** Milliseconds for the last bytes to leave once the other side is gone. */
const LAST_BYTES = 5_000

/**
 * Joins two connections until both are over: bytes both ways at the pace of the slower side, an end of one direction
 * passed on as such, an abort of one side passed on as an abort.
 */
export function splice(a: Duplex, b: Duplex): void {
  follow(a, b)
  follow(b, a)
  a.pipe(b)
  b.pipe(a)
}

/** `other` ends when `one` has closed. */
function follow(one: Duplex, other: Duplex): void {
  one.on('error', () => {})
  one.once('close', () => {
    if (other.destroyed) return
    if (!one.readableEnded) {
      other.destroy()
      return
    }
    other.end()
    const timer = setTimeout(() => other.destroy(), LAST_BYTES)
    timer.unref()
    other.once('close', () => clearTimeout(timer))
  })
}
