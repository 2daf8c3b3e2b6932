import type { TextKey } from './anchor.ts'
import { Radix, type Scan } from './radix.ts'

/** The anchors on one text of a request. */
export class TextIndex {
  #forwards: Radix | null = null
  #backwards: Radix | null = null
  readonly #any: number[] = []

  add(key: TextKey, rule: number): void {
    switch (key.shape) {
      case 'exact':
        this.#forwards ??= new Radix('forwards')
        this.#forwards.add(key.text, 'exact', rule)
        return
      case 'prefix':
        this.#forwards ??= new Radix('forwards')
        this.#forwards.add(key.text, 'open', rule)
        return
      case 'suffix':
        this.#backwards ??= new Radix('backwards')
        this.#backwards.add(key.text, 'open', rule)
        return
      case 'any':
        if (this.#any.at(-1) !== rule) this.#any.push(rule)
        return
      default:
        key satisfies never
    }
  }

  visit<T>(text: string, from: number, to: number, subject: T, scan: Scan<T>, best: number): number {
    let lowest = best
    if (this.#forwards !== null) lowest = this.#forwards.visit(text, from, to, subject, scan, lowest)
    if (this.#backwards !== null) lowest = this.#backwards.visit(text, from, to, subject, scan, lowest)
    return this.#any.length > 0 ? scan(this.#any, subject, lowest) : lowest
  }
}
