import type { PathTemplate, TemplateSegment } from '../../match/path-template.ts'
import { type PeerPattern, SPIFFE_SCHEME } from '../../match/spiffe.ts'
import { isPseudoHeader } from '../header-lines.ts'
import type { Condition, Conjunction, Match, PresenceMatch, RuleIr } from '../ir.ts'
import { type Anchor, anchorName, breadth, type TextField, type TextKey } from './anchor.ts'
import { templateHead, templateTail } from './template-set.ts'

/** How little an anchor narrows down: roughly, how many rules share it. */
export type Cost = (anchor: Anchor) => number

interface Choice {
  readonly anchors: readonly Anchor[]
  readonly cost: number
}

/**
 * The anchors under which a rule is to be found: for each alternative of one side, those of the condition that narrows
 * down most. Null when there are none, or more than `most`, so that the rule must be tested every time. Anchors named in
 * `taken` are known to be met already and are not chosen again. A rule without alternatives never matches: it has none.
 */
export function chooseAnchors(
  rule: RuleIr,
  cost: Cost,
  taken: readonly string[],
  most: number,
): readonly Anchor[] | null {
  const permission = chooseOfSide(rule.permissions, cost, taken, most)
  const principal = chooseOfSide(rule.principals, cost, taken, most)
  if (permission === null || principal === null) return (permission ?? principal)?.anchors ?? null
  return isBetter(principal, permission) ? principal.anchors : permission.anchors
}

/** The cost as it follows from the rules that are to be told apart; `most` as for choosing. */
export function sharing(rules: readonly RuleIr[], most: number): Cost {
  const counts = new Map<string, number>()
  for (const rule of rules) {
    for (const name of new Set(candidateAnchors(rule, most).map(anchorName)))
      counts.set(name, (counts.get(name) ?? 0) + 1)
  }
  return (anchor) => (counts.get(anchorName(anchor)) ?? 0) * breadth(anchor)
}

/** Every anchor that could be chosen with this `most`. */
export function candidateAnchors(rule: RuleIr, most: number): readonly Anchor[] {
  const anchors: Anchor[] = []
  for (const alternatives of [rule.permissions, rule.principals]) {
    if (alternatives.length > most) continue
    for (const conjunction of alternatives) {
      for (const { any } of conditionsOf(conjunction, most)) {
        if (any.length > most) continue
        for (const match of any) for (const anchor of anchorsOfMatch(match)) anchors.push(anchor)
      }
    }
  }
  return anchors
}

/** Where a rule may stand once for each of its values, what is done for one value must not grow with the rule. */
function conditionsOf(conjunction: Conjunction, most: number): Conjunction {
  return most === Number.POSITIVE_INFINITY ? conjunction : conjunction.slice(0, MOST_CONDITIONS)
}

const MOST_CONDITIONS = 32

function chooseOfSide(
  alternatives: readonly Conjunction[],
  cost: Cost,
  taken: readonly string[],
  most: number,
): Choice | null {
  if (alternatives.length > most) return null
  const anchors: Anchor[] = []
  let highest = 0
  for (const conjunction of alternatives) {
    let best: Choice | null = null
    for (const condition of conditionsOf(conjunction, most)) {
      if (condition.any.length > most) continue
      const choice = chooseOfCondition(condition, cost, taken)
      if (choice !== null && (best === null || isBetter(choice, best))) best = choice
    }
    if (best === null) return null
    for (const anchor of best.anchors) anchors.push(anchor)
    if (anchors.length > most) return null
    highest = Math.max(highest, best.cost)
  }
  return { anchors, cost: highest }
}

/** One anchor for each value. */
function chooseOfCondition(condition: Condition, cost: Cost, taken: readonly string[]): Choice | null {
  if (condition.any.length === 0) return null
  const anchors: Anchor[] = []
  let highest = 0
  for (const match of condition.any) {
    let best: Anchor | null = null
    let lowest = Number.POSITIVE_INFINITY
    for (const anchor of anchorsOfMatch(match)) {
      if (taken.length > 0 && taken.includes(anchorName(anchor))) continue
      const one = cost(anchor)
      if (one < lowest) {
        best = anchor
        lowest = one
      }
    }
    if (best === null) return null
    anchors.push(best)
    highest = Math.max(highest, lowest)
  }
  return { anchors, cost: highest }
}

function isBetter(one: Choice, other: Choice): boolean {
  return one.cost < other.cost || (one.cost === other.cost && one.anchors.length < other.anchors.length)
}

/** The anchors of one value, each of which is necessary. */
function anchorsOfMatch(match: Match): readonly Anchor[] {
  switch (match.kind) {
    case 'path':
    case 'host':
    case 'method':
    case 'sni':
      return [text(match.kind, textKey(match.match))]
    case 'pathTemplate':
      return anchorsOfTemplate(match.template)
    case 'header':
      return isPseudoHeader(match.name)
        ? [text(pseudoFields[match.name], textKey(match.match))]
        : [{ kind: 'header', name: match.name, key: textKey(match.match) }]
    case 'claim':
      // A search goes down by calls: not as deep as a key may be written.
      return match.path.length > DEEPEST_CLAIM ? [] : [{ kind: 'claim', path: match.path, key: textKey(match.match) }]
    case 'metadata':
      return [{ kind: 'metadata', path: [match.filter, match.key], key: textKey(match.match) }]
    case 'requestPrincipal':
      return [
        { kind: 'claim', path: ['sub'], key: textKey(match.subject) },
        { kind: 'claim', path: ['iss'], key: textKey(match.issuer) },
      ]
    case 'port':
      return [{ kind: 'port', port: match.port }]
    case 'sourceIp':
    case 'remoteIp':
    case 'destinationIp':
      return [{ kind: match.kind, block: match.block }]
    case 'peer':
      return anchorsOfPeer(match.pattern)
    default:
      return match satisfies never
  }
}

const DEEPEST_CLAIM = 64

const pseudoFields = { ':authority': 'authority', ':method': 'method', ':path': 'target', ':scheme': 'scheme' } as const

function text(field: TextField, key: TextKey): Anchor {
  return { kind: 'text', field, key }
}

function textKey(match: PresenceMatch): TextKey {
  switch (match.kind) {
    case 'exact':
    case 'prefix':
    case 'suffix':
      return { shape: match.kind, text: match.value }
    case 'nonEmpty':
    case 'present':
      return { shape: 'any' }
    default:
      return match satisfies never
  }
}

/** The literal text before the first operator, that behind the last, and the literal segments between. */
function anchorsOfTemplate(template: PathTemplate): readonly Anchor[] {
  const { segments } = template
  const anchors: Anchor[] = []
  const tail = templateTail(template)
  if (tail !== '') anchors.push(text('path', { shape: 'suffix', text: tail }))
  const first = segments.findIndex((segment) => segment.kind !== 'literal')
  const last = segments.findLastIndex((segment) => segment.kind !== 'literal')
  // All operators before the last stand for one segment each.
  for (let index = first + 1; index < last && anchors.length < MOST_OF_TEMPLATE; index++) {
    const segment = segments[index] as TemplateSegment
    if (segment.kind === 'literal') anchors.push({ kind: 'segment', index, text: segment.value })
  }
  anchors.push(text('path', { shape: 'prefix', text: templateHead(template) }))
  return anchors
}

/** Enough to choose from; a template may have thousands of segments. */
const MOST_OF_TEMPLATE = 8

function anchorsOfPeer(pattern: PeerPattern): readonly Anchor[] {
  switch (pattern.kind) {
    case 'principal': {
      const { match } = pattern
      if (match.kind === 'nonEmpty') return [text('peer', { shape: 'any' })]
      const value = match.kind === 'suffix' ? match.value : SPIFFE_SCHEME + match.value
      return [text('peer', { shape: match.kind, text: value })]
    }
    case 'namespace': {
      const [head = ''] = pattern.parts
      return [behindNamespace(pattern.parts.length === 1 ? `${head}/` : head)]
    }
    case 'serviceAccount': {
      const { namespace, name } = pattern
      const account: Anchor = {
        kind: 'account',
        key: name.includes('/') ? { shape: 'any' } : { shape: 'exact', text: name },
      }
      return [account, behindNamespace(`${namespace}/`)]
    }
    case 'trustDomain': {
      const [head = '', tail] = pattern.parts ?? []
      const value = pattern.parts === null ? '' : tail === undefined ? `${head}/` : head
      return [text('peer', { shape: 'prefix', text: SPIFFE_SCHEME + value })]
    }
    default:
      return pattern satisfies never
  }
}

function behindNamespace(value: string): Anchor {
  return { kind: 'namespace', key: { shape: 'prefix', text: value } }
}
