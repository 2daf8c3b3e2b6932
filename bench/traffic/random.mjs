/** Whole numbers below a bound, the same ones in each run for one seed (a linear congruential generator of 32 bits). */
export function random(seed) {
  let state = seed >>> 0
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}
