import { suggest } from '../../source/suggest.ts'
import { selects } from '../labels.ts'
import type { Mesh } from '../mesh.ts'
import type { Labels } from '../resource.ts'
import type { Findings } from './findings.ts'

/** Comparisons with labels that the search for the one that was meant may take, over all selectors of a mesh. */
const MOST_COMPARISONS = 5_000_000

/** Warns of a selector that selects nothing, where there are workloads that it could select. */
export class SelectorCheck {
  readonly #rootNamespace: string
  readonly #everywhere: Candidates
  readonly #byNamespace = new Map<string, Candidates>()
  #comparisons = 0

  constructor(mesh: Mesh) {
    this.#rootNamespace = mesh.config.rootNamespace
    const all: Labels[] = []
    const byNamespace = new Map<string, Labels[]>()
    for (const { namespace, labels } of mesh.workloads.values()) {
      all.push(labels)
      const known = byNamespace.get(namespace)
      if (known === undefined) byNamespace.set(namespace, [labels])
      else known.push(labels)
    }
    this.#everywhere = new Candidates(all)
    for (const [namespace, list] of byNamespace) this.#byNamespace.set(namespace, new Candidates(list))
  }

  check(namespace: string, selector: Labels | null, path: readonly string[], findings: Findings): void {
    if (selector === null || Object.keys(selector).length === 0) return
    const everywhere = namespace === this.#rootNamespace
    const candidates = everywhere ? this.#everywhere : this.#byNamespace.get(namespace)
    if (candidates === undefined || candidates.isEmpty || candidates.match(selector)) return
    const written = Object.entries(selector).map(([key, value]) => `${key}=${value}`)
    const where = everywhere ? 'in the mesh' : `in the namespace \`${namespace}\``
    const elsewhere = everywhere ? null : this.#namespaceOf(selector)
    const meant = this.#meant(selector, candidates)
    const help =
      meant ??
      (elsewhere === null
        ? "compare them with the labels of the workload's Pods"
        : `workloads of the namespace \`${elsewhere}\` have them: put the policy there`)
    findings.report('SP302', path, `no workload ${where} has the labels ${written.join(', ')}`, help)
  }

  #namespaceOf(selector: Labels): string | null {
    if (!this.#everywhere.match(selector)) return null
    for (const [namespace, candidates] of this.#byNamespace) if (candidates.match(selector)) return namespace
    return null
  }

  /** The label that was probably meant. */
  #meant(selector: Labels, candidates: Candidates): string | null {
    for (const [key, value] of Object.entries(selector)) {
      const values = candidates.values.get(key)
      const names = values === undefined ? candidates.values.keys() : values.has(value) ? [] : values
      this.#comparisons += values === undefined ? candidates.values.size : values.size
      if (this.#comparisons > MOST_COMPARISONS) return null
      const near = suggest(values === undefined ? key : value, names)
      if (near !== null) return values === undefined ? `write the label \`${near}\`` : `write \`${key}: ${near}\``
    }
    return null
  }
}

/** The labels of some workloads, to be asked by label. */
class Candidates {
  /** The values of each label. */
  readonly values = new Map<string, Set<string>>()
  readonly #all: readonly Labels[]
  readonly #byPair = new Map<string, Labels[]>()

  constructor(all: readonly Labels[]) {
    this.#all = all
    for (const labels of all) {
      for (const [key, value] of Object.entries(labels)) {
        const values = this.values.get(key)
        if (values === undefined) this.values.set(key, new Set([value]))
        else values.add(value)
        const pair = pairOf(key, value)
        const having = this.#byPair.get(pair)
        if (having === undefined) this.#byPair.set(pair, [labels])
        else having.push(labels)
      }
    }
  }

  get isEmpty(): boolean {
    return this.#all.length === 0
  }

  /** Whether a workload has all labels of a selector, which is not empty. */
  match(selector: Labels): boolean {
    let fewest: readonly Labels[] | null = null
    for (const [key, value] of Object.entries(selector)) {
      const having = this.#byPair.get(pairOf(key, value))
      if (having === undefined) return false
      if (fewest === null || having.length < fewest.length) fewest = having
    }
    return fewest === null || fewest.some((labels) => selects(selector, labels))
  }
}

/** The length of the key keeps any two pairs apart. */
function pairOf(key: string, value: string): string {
  return `${key.length} ${key}${value}`
}
