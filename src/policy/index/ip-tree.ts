import type { IpAddress, IpBlock } from '../../match/ip.ts'
import type { RuleList, Scan } from './radix.ts'

/** Networks by their bits: every network that holds an address lies on one way down from the root. */
export class IpTree {
  readonly #v4: Node = emptyNode()
  readonly #v6: Node = emptyNode()

  add({ address, bits }: IpBlock, rule: number): void {
    let node = address.v6 ? this.#v6 : this.#v4
    for (let i = 0; i < bits; i++) {
      const side = bitAt(address, i) === 0 ? 'zero' : 'one'
      node[side] ??= emptyNode()
      node = node[side]
    }
    if (node.rules.at(-1) !== rule) node.rules.push(rule)
  }

  visit<T>(address: IpAddress, subject: T, scan: Scan<T>, best: number): number {
    let node: Node | null = address.v6 ? this.#v6 : this.#v4
    let lowest = best
    for (let i = 0; node !== null; i++) {
      const rules: RuleList = node.rules
      if (rules.length > 0) lowest = scan(rules, subject, lowest)
      node = bitAt(address, i) === 0 ? node.zero : node.one
    }
    return lowest
  }
}

interface Node {
  readonly rules: number[]
  zero: Node | null
  one: Node | null
}

function emptyNode(): Node {
  return { rules: [], zero: null, one: null }
}

/** The most significant bit first; past the address's end, 0, where no node is. */
function bitAt({ a, b, c, d }: IpAddress, i: number): number {
  const word = i < 32 ? a : i < 64 ? b : i < 96 ? c : d
  return (word >>> (31 - (i & 31))) & 1
}
