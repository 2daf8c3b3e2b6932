import { printIp } from '../../../match/ip.ts'
import type { Ruleset } from '../../../policy/ir.ts'
import type { CidrRange } from '../matchers.ts'
import type { Dimension } from './dimension.ts'
import { type Partition, partition } from './partition.ts'
import type { OnMatch, XdsMatcher } from './xds-matcher.ts'

/** A tree over rules, and what it comes to. */
export interface RuleTree<Action extends { readonly '@type': string }> {
  readonly root: OnMatch<Action>
  /** The most rules that are left to walk for a regular request. */
  readonly longest: number
  /** By what they are looked up, the outermost first. */
  readonly dimensions: readonly string[]
}

export interface TreeOptions<Action extends { readonly '@type': string }> {
  readonly dimensions: readonly Dimension[]
  readonly leaf: (rules: Ruleset) => OnMatch<Action>
  /** So few rules are walked as fast as they are looked up. */
  readonly fewest: number
  /** Also where a tree gains nothing, which is for proofs. */
  readonly eager: boolean
}

/** Deeper trees than that gain nothing: there are no more telling attributes. */
const DEEPEST = 4

/** How many times a rule may stand in the tree, taken over all rules. */
const COPIES = 6

/**
 * A decision tree whose every leaf holds all rules that a request that comes there can match, in their order: walking the
 * leaf gives the answer of walking all rules. Null where no attribute tells the rules apart.
 */
export function buildTree<Action extends { readonly '@type': string }>(
  rules: Ruleset,
  options: TreeOptions<Action>,
): RuleTree<Action> | null {
  const budget = { left: COPIES * rules.length + 1024 }
  const node = nodeOf(rules, options, options.dimensions, budget, 0)
  return node.dimensions.length === 0 ? null : node
}

interface Budget {
  left: number
}

function nodeOf<Action extends { readonly '@type': string }>(
  rules: Ruleset,
  options: TreeOptions<Action>,
  dimensions: readonly Dimension[],
  budget: Budget,
  depth: number,
): RuleTree<Action> {
  const best =
    rules.length < options.fewest || depth === DEEPEST
      ? null
      : bestPartition(rules, dimensions, budget.left, options.eager)
  if (best === null) return { root: options.leaf(rules), longest: rules.length, dimensions: [] }
  budget.left -= best.total
  const others = dimensions.filter((dimension) => dimension !== best.dimension)
  const below: RuleTree<Action>[] = []
  const inner = (part: Ruleset) => {
    const node = nodeOf(part, options, others, budget, depth + 1)
    below.push(node)
    return node.root
  }
  const root = write(best, inner, () => options.leaf(rules))
  return {
    root,
    longest: Math.max(...below.map(({ longest }) => longest)),
    dimensions: [best.dimension.name, ...new Set(below.flatMap((node) => node.dimensions))],
  }
}

/** The one that leaves least to walk, if that is half of it at most. */
function bestPartition(
  rules: Ruleset,
  dimensions: readonly Dimension[],
  most: number,
  eager: boolean,
): Partition | null {
  let best: Partition | null = null
  for (const dimension of dimensions) {
    const found = partition(rules, dimension, most)
    if (found === null || (!eager && found.longest * 2 > rules.length)) continue
    if (best === null || found.longest < best.longest) best = found
  }
  return best
}

type Entry = Partition['entries'][number]

/** `inner` makes what follows for a part, `everything` what an irregular value needs. */
function write<Action extends { readonly '@type': string }>(
  { dimension, entries, rest }: Partition,
  inner: (rules: Ruleset) => OnMatch<Action>,
  everything: () => OnMatch<Action>,
): OnMatch<Action> {
  const { regular } = dimension
  const none = () => inner(rest)
  const guarded = (reliable: () => OnMatch<Action>): OnMatch<Action> => {
    if (regular === null) return reliable()
    const matchers = [{ predicate: regular.predicate, on_match: reliable() }]
    return { matcher: { matcher_list: { matchers }, on_no_match: everything() } }
  }
  const map = (kind: 'exact_match_map' | 'prefix_match_map', part: readonly Entry[], missed: () => OnMatch<Action>) => {
    if (part.length === 0) return missed()
    const named = new Map(part.map(({ key, rules }) => [key.kind === 'text' ? key.text : '', rules]))
    const found = Object.fromEntries([...named].map(([text, rules]) => [text, inner(rules)]))
    const tree = { input: dimension.input, [kind]: { map: found } } as Extract<
      XdsMatcher<Action>,
      { matcher_tree: unknown }
    >['matcher_tree']
    return { matcher: { matcher_tree: tree, on_no_match: missed() } }
  }
  const open = entries.filter(({ key }) => key.kind === 'text' && key.open)
  const closed = entries.filter(({ key }) => key.kind === 'text' && !key.open)
  switch (dimension.look) {
    case 'prefix':
      return guarded(() => map('prefix_match_map', entries, none))
    case 'exact':
      return map('exact_match_map', closed, () => guarded(none))
    case 'exactThenPrefix':
      return map('exact_match_map', closed, () => guarded(() => map('prefix_match_map', open, none)))
    case 'network':
      return { matcher: networkMatcher(dimension, entries, inner, none) }
    default:
      return dimension.look satisfies never
  }
}

function networkMatcher<Action extends { readonly '@type': string }>(
  { input }: Dimension,
  entries: readonly Entry[],
  inner: (rules: Ruleset) => OnMatch<Action>,
  none: () => OnMatch<Action>,
): XdsMatcher<Action> {
  const ranges = entries.flatMap(({ key, rules }) =>
    key.kind === 'block' ? [{ ranges: [rangeOf(key.block)], on_match: inner(rules) }] : [],
  )
  return {
    matcher_tree: {
      input,
      custom_match: {
        name: 'envoy.matching.custom_matchers.trie_matcher',
        typed_config: { '@type': 'type.googleapis.com/xds.type.matcher.v3.IPMatcher', range_matchers: ranges },
      },
    },
    on_no_match: none(),
  }
}

function rangeOf({ address, bits }: Extract<Entry['key'], { kind: 'block' }>['block']): CidrRange {
  return { address_prefix: printIp(address), prefix_len: bits }
}
