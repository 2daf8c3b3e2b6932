/** Rules by number, ascending; a number is the rule's place in Envoy's order. */
export type RuleList = readonly number[]

/** Looks at rules that may match: returns the lowest matching number, or `best` when none is lower. */
export type Scan<T> = (rules: RuleList, subject: T, best: number) => number

/**
 * A compressed tree of texts. Walking it costs a step a character of the text at most, however many texts it holds, and
 * allocates nothing. Texts are read forwards, or backwards for suffixes.
 */
export class Radix {
  readonly #root: Node = { edge: '', exact: [], open: [], children: null }
  readonly #backwards: boolean

  constructor(direction: 'forwards' | 'backwards') {
    this.#backwards = direction === 'backwards'
  }

  /** `exact`: the whole text. `open`: every text that begins (or, backwards, ends) so. */
  add(text: string, kind: 'exact' | 'open', rule: number): void {
    let node = this.#root
    let rest = this.#backwards ? reverse(text) : text
    while (rest !== '') {
      node.children ??= new Map()
      const { children } = node
      const code = rest.charCodeAt(0)
      const child = children.get(code)
      if (child === undefined) {
        const leaf: Node = { edge: rest, exact: [], open: [], children: null }
        children.set(code, leaf)
        node = leaf
        rest = ''
        break
      }
      const shared = sharedLength(child.edge, rest)
      if (shared < child.edge.length) {
        const upper: Node = { edge: child.edge.slice(0, shared), exact: [], open: [], children: new Map() }
        child.edge = child.edge.slice(shared)
        upper.children?.set(child.edge.charCodeAt(0), child)
        children.set(code, upper)
        node = upper
      } else {
        node = child
      }
      rest = rest.slice(shared)
    }
    const list = kind === 'exact' ? node.exact : node.open
    // A rule may name a text twice; rules are added in ascending order.
    if (list.at(-1) !== rule) list.push(rule)
  }

  /** Scans every list whose text fits `text` between `from` and `to`. */
  visit<T>(text: string, from: number, to: number, subject: T, scan: Scan<T>, best: number): number {
    let node = this.#root
    let at = this.#backwards ? to - 1 : from
    const step = this.#backwards ? -1 : 1
    const end = this.#backwards ? from - 1 : to
    let lowest = best
    for (;;) {
      if (node.open.length > 0) lowest = scan(node.open, subject, lowest)
      if (at === end) return node.exact.length > 0 ? scan(node.exact, subject, lowest) : lowest
      const child: Node | undefined = node.children?.get(text.charCodeAt(at))
      if (child === undefined) return lowest
      const { edge } = child
      for (let i = 0; i < edge.length; i++) {
        if (at === end || text.charCodeAt(at) !== edge.charCodeAt(i)) return lowest
        at += step
      }
      node = child
    }
  }
}

interface Node {
  edge: string
  readonly exact: number[]
  readonly open: number[]
  children: Map<number, Node> | null
}

function sharedLength(a: string, b: string): number {
  const most = Math.min(a.length, b.length)
  let i = 0
  while (i < most && a.charCodeAt(i) === b.charCodeAt(i)) i++
  return i
}

/** By UTF-16 unit, as the walk goes. */
function reverse(text: string): string {
  let reversed = ''
  for (let i = text.length - 1; i >= 0; i--) reversed += text[i]
  return reversed
}
