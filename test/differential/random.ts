/** A small seeded generator of random numbers (xoshiro128**), so that a seed makes the same cases everywhere. */
export class Random {
  readonly #state: Uint32Array

  constructor(...seeds: readonly number[]) {
    let mixed = 0x9e3779b9
    const next = () => {
      mixed = (mixed + 0x9e3779b9) | 0
      let z = mixed ^ (mixed >>> 16)
      z = Math.imul(z, 0x21f0aaad)
      z ^= z >>> 15
      z = Math.imul(z, 0x735a2d97)
      return (z ^ (z >>> 15)) >>> 0
    }
    for (const seed of seeds) {
      mixed = Math.imul(mixed ^ (seed >>> 0), 0x85ebca6b) ^ Math.floor(seed / 2 ** 32)
      mixed = next()
    }
    this.#state = Uint32Array.from([next(), next(), next(), next() | 1])
  }

  /** From 0 to 1, without 1. */
  next(): number {
    const s = this.#state as unknown as [number, number, number, number]
    const rotated = Math.imul(s[1], 5)
    const result = Math.imul((rotated << 7) | (rotated >>> 25), 9) >>> 0
    const t = s[1] << 9
    s[2] ^= s[0]
    s[3] ^= s[1]
    s[1] ^= s[2]
    s[0] ^= s[3]
    s[2] ^= t
    s[3] = (s[3] << 11) | (s[3] >>> 21)
    return result / 2 ** 32
  }

  /** From 0 to `n`, without `n`. */
  int(n: number): number {
    return Math.floor(this.next() * n)
  }

  chance(probability: number): boolean {
    return this.next() < probability
  }

  pick<T>(from: readonly T[]): T {
    return from[this.int(from.length)] as T
  }

  /** `from` to `to` of them, each at most once, in their order. */
  some<T>(list: readonly T[], from: number, to: number): T[] {
    const count = Math.min(list.length, from + this.int(to - from + 1))
    const chosen = new Set<number>()
    while (chosen.size < count) chosen.add(this.int(list.length))
    return [...chosen].sort((a, b) => a - b).map((i) => list[i] as T)
  }

  /** One of the makers, as often as its weight says. */
  weighted<T>(choices: readonly (readonly [weight: number, make: () => T])[]): T {
    let at = this.next() * choices.reduce((sum, [weight]) => sum + weight, 0)
    for (const [weight, make] of choices) {
      at -= weight
      if (at < 0) return make()
    }
    return (choices.at(-1) as (typeof choices)[number])[1]()
  }
}
