import { type IpBlock, printIp } from '../../match/ip.ts'
import type { PathTemplate } from '../../match/path-template.ts'
import { SPIFFE_SCHEME } from '../../match/spiffe.ts'
import { isPseudoHeader } from '../header-lines.ts'
import type { Condition, Conjunction, Match, PresenceMatch, RuleIr } from '../ir.ts'

/** What a text must look like; `any` only says that it is there. */
export type TextKey =
  | { readonly shape: 'exact' | 'prefix' | 'suffix'; readonly text: string }
  | { readonly shape: 'any' }

/**
 * Something that a request must have for a rule to match: necessary, not sufficient, so that what is found by it is
 * still tested whole.
 */
export type Anchor =
  | { readonly kind: 'path' | 'host' | 'method' | 'sni' | 'peer'; readonly key: TextKey }
  /** The segment of that number, counted from 0, is this text. */
  | { readonly kind: 'segment'; readonly index: number; readonly text: string }
  /** The whole segment behind some `/ns/` of the peer's id. */
  | { readonly kind: 'namespace'; readonly text: string }
  /** The whole segment behind some `/sa/` of the peer's id. */
  | { readonly kind: 'account'; readonly text: string }
  | { readonly kind: 'header'; readonly name: string; readonly key: TextKey }
  | { readonly kind: 'claim'; readonly path: readonly string[]; readonly key: TextKey }
  | { readonly kind: 'port'; readonly port: number }
  | { readonly kind: 'sourceIp' | 'remoteIp' | 'destinationIp'; readonly block: IpBlock }

/** A name for counting how many rules share an anchor. Kinds and shapes hold no NUL, so no two anchors share one. */
export function anchorName(anchor: Anchor): string {
  switch (anchor.kind) {
    case 'path':
    case 'host':
    case 'method':
    case 'sni':
    case 'peer':
      return `${anchor.kind}\0${keyName(anchor.key)}`
    case 'segment':
      return `segment\0${anchor.index}\0${anchor.text}`
    case 'namespace':
    case 'account':
      return `${anchor.kind}\0${anchor.text}`
    case 'header':
      return `header\0${anchor.name}\0${keyName(anchor.key)}`
    case 'claim':
      return `claim\0${JSON.stringify(anchor.path)}\0${keyName(anchor.key)}`
    case 'port':
      return `port\0${anchor.port}`
    case 'sourceIp':
    case 'remoteIp':
    case 'destinationIp':
      return `${anchor.kind}\0${printIp(anchor.block.address)}/${anchor.block.bits}`
    default:
      return anchor satisfies never
  }
}

function keyName(key: TextKey): string {
  return key.shape === 'any' ? 'any' : `${key.shape}\0${key.text}`
}

/**
 * For each rule the anchors under which it is to be found, or null when it must be tested every time. `rarity` tells how
 * many rules share an anchor: of a rule's conditions, those shared least are taken.
 */
export function anchorsOf(rule: RuleIr, shared: (anchor: Anchor) => number): readonly Anchor[] | null {
  const options = [rule.permissions, rule.principals]
    .map((alternatives) => anchorAlternatives(alternatives, shared))
    .filter((option) => option !== null)
  options.sort((a, b) => a.cost - b.cost)
  return options[0]?.anchors ?? null
}

/** Every anchor that could be chosen, for counting. */
export function candidateAnchors(rule: RuleIr): Anchor[] {
  return [rule.permissions, rule.principals].flatMap((alternatives) =>
    alternatives.flatMap((conjunction) => conjunction.flatMap((condition) => anchorCondition(condition) ?? [])),
  )
}

interface Option {
  readonly anchors: readonly Anchor[]
  readonly cost: number
}

/** One condition of every alternative; a rule without alternatives is found under nothing, as it never matches. */
function anchorAlternatives(alternatives: readonly Conjunction[], shared: (anchor: Anchor) => number): Option | null {
  const anchors: Anchor[] = []
  let cost = 0
  for (const conjunction of alternatives) {
    const best = cheapest(conjunction, shared)
    if (best === null) return null
    for (const anchor of best.anchors) anchors.push(anchor)
    cost = Math.max(cost, best.cost)
  }
  return { anchors, cost }
}

function cheapest(conjunction: Conjunction, shared: (anchor: Anchor) => number): Option | null {
  let best: Option | null = null
  for (const condition of conjunction) {
    const anchors = anchorCondition(condition)
    if (anchors === null) continue
    const cost = Math.max(...anchors.map((anchor) => shared(anchor) * breadth(anchor)))
    if (best === null || cost < best.cost) best = { anchors, cost }
  }
  return best
}

/** What only says that something is there, or is one of few values, is found by nearly every request. */
function breadth(anchor: Anchor): number {
  switch (anchor.kind) {
    case 'method':
    case 'port':
      return 4
    case 'path':
    case 'host':
    case 'sni':
    case 'peer':
    case 'header':
    case 'claim':
      return anchor.key.shape === 'any' ? 16 : anchor.key.text === '' || anchor.key.text === '/' ? 8 : 1
    case 'segment':
    case 'namespace':
    case 'account':
    case 'sourceIp':
    case 'remoteIp':
    case 'destinationIp':
      return 1
    default:
      return anchor satisfies never
  }
}

/** Null unless every value of `any` has an anchor. */
function anchorCondition(condition: Condition): Anchor[] | null {
  if (condition.any.length === 0) return null
  const anchors: Anchor[] = []
  for (const match of condition.any) {
    const anchor = anchorMatch(match)
    if (anchor === null) return null
    anchors.push(anchor)
  }
  return anchors
}

function anchorMatch(match: Match): Anchor | null {
  switch (match.kind) {
    case 'path':
    case 'host':
    case 'method':
    case 'sni':
      return { kind: match.kind, key: textKey(match.match) }
    case 'pathTemplate':
      return anchorTemplate(match.template)
    case 'header':
      return isPseudoHeader(match.name) ? null : { kind: 'header', name: match.name, key: textKey(match.match) }
    case 'claim':
      return { kind: 'claim', path: match.path, key: textKey(match.match) }
    case 'requestPrincipal': {
      const { subject, issuer } = match
      return subject.kind === 'exact'
        ? { kind: 'claim', path: ['sub'], key: textKey(subject) }
        : { kind: 'claim', path: ['iss'], key: textKey(issuer) }
    }
    case 'port':
      return { kind: 'port', port: match.port }
    case 'sourceIp':
    case 'remoteIp':
    case 'destinationIp':
      return { kind: match.kind, block: match.block }
    case 'peer':
      return anchorPeer(match.pattern)
    case 'metadata':
      return null
    default:
      return match satisfies never
  }
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

/** The literal text before the first operator, behind the last, or else a literal segment between. */
function anchorTemplate({ segments }: PathTemplate): Anchor {
  const first = segments.findIndex((segment) => segment.kind !== 'literal')
  const last = segments.findLastIndex((segment) => segment.kind !== 'literal')
  const literal = (from: number, to: number) =>
    segments.slice(from, to).map((segment) => (segment.kind === 'literal' ? segment.value : ''))
  const head = `/${literal(0, first)
    .map((text) => `${text}/`)
    .join('')}`
  const tail = literal(last + 1, segments.length)
    .map((text) => `/${text}`)
    .join('')
  if (head.length > tail.length && head !== '/') return { kind: 'path', key: { shape: 'prefix', text: head } }
  if (tail !== '') return { kind: 'path', key: { shape: 'suffix', text: tail } }
  const rest = segments.findIndex((segment) => segment.kind === 'rest')
  for (const [index, segment] of segments.slice(0, rest === -1 ? segments.length : rest).entries()) {
    if (segment.kind === 'literal') return { kind: 'segment', index, text: segment.value }
  }
  return { kind: 'path', key: { shape: 'prefix', text: head } }
}

function anchorPeer(pattern: Extract<Match, { kind: 'peer' }>['pattern']): Anchor {
  switch (pattern.kind) {
    case 'principal': {
      const { match } = pattern
      if (match.kind === 'nonEmpty') return { kind: 'peer', key: { shape: 'any' } }
      const text = match.kind === 'suffix' ? match.value : SPIFFE_SCHEME + match.value
      return { kind: 'peer', key: { shape: match.kind, text } }
    }
    case 'namespace': {
      const [text = ''] = pattern.parts
      const whole = pattern.parts.length === 1 && !text.includes('/')
      return whole ? { kind: 'namespace', text } : { kind: 'peer', key: { shape: 'any' } }
    }
    case 'serviceAccount':
      return pattern.name.includes('/')
        ? { kind: 'peer', key: { shape: 'any' } }
        : { kind: 'account', text: pattern.name }
    case 'trustDomain': {
      const [head = '', tail] = pattern.parts ?? []
      const text = SPIFFE_SCHEME + (pattern.parts === null ? '' : tail === undefined ? `${head}/` : head)
      return { kind: 'peer', key: { shape: 'prefix', text } }
    }
    default:
      return pattern satisfies never
  }
}
