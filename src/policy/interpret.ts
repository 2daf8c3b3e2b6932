import type { PeerPattern } from '../match/spiffe.ts'
import type { StringMatch } from '../match/string-match.ts'
import type { CustomVerdict, Decider, DryRun, Verdict } from './decider.ts'
import type { Facts } from './facts.ts'
import { isJoinedHeader, isPseudoHeader, joinLines } from './header-lines.ts'
import type { Condition, Conjunction, Match, PolicyIr, PresenceMatch, RuleIr, Ruleset } from './ir.ts'
import { madeOf, type Piece } from './pieces.ts'
import { actualOf, type MatchAttempt, type RuleTrace } from './trace.ts'

/**
 * The slow and obvious engine: it reads the IR as it stands, takes every pattern apart each time, and can tell why. It
 * judges the compiled engine and explains decisions; it shares no matching code with it.
 *
 * What both engines take from elsewhere, something else confirms: the IR that lowering makes of values, the parts of a
 * request that `Facts` derives (the path without its query, the host in lower case), and which headers are joined
 * (`header-lines.ts`) are held against real Envoy by the corpus.
 */
export function createInterpreter(ir: PolicyIr): Decider {
  return {
    custom: (facts) => interpretCustom(ir, facts),
    decide: (facts) => interpretDecision(ir, facts),
    audit: (facts) => ir.audit !== null && firstMatch(ir.audit, facts) !== null,
    dryRun: (facts) => interpretDryRun(ir, facts),
  }
}

/** How one rule fared: whether it matched and, if not, what failed in each alternative. */
export function traceRule(rule: RuleIr, facts: Facts): RuleTrace {
  const from = attempts(rule.principals, facts)
  const to = attempts(rule.permissions, facts)
  const matched = from.some((attempt) => attempt === null) && to.some((attempt) => attempt === null)
  const failures = [from, to].flatMap((side) => (side.some((attempt) => attempt === null) ? [] : side))
  return { id: rule.id, matched, failed: matched ? [] : failures.filter((attempt) => attempt !== null) }
}

function interpretCustom(ir: PolicyIr, facts: Facts): CustomVerdict {
  const { custom } = ir
  switch (custom.kind) {
    case 'none':
      return { kind: 'pass' }
    case 'refuse': {
      for (const rules of custom.rulesets) {
        const rule = firstMatch(rules, facts)
        if (rule !== null) return { kind: 'deny', policy: rule.id }
      }
      return { kind: 'pass' }
    }
    case 'ask': {
      const refused = firstMatch(custom.refused, facts)
      if (refused !== null) return { kind: 'deny', policy: refused.id }
      const rule = firstMatch(custom.rules, facts)
      return rule === null ? { kind: 'pass' } : { kind: 'ask', provider: custom.provider, policy: rule.id }
    }
    default:
      return custom satisfies never
  }
}

function interpretDecision(ir: PolicyIr, facts: Facts): Verdict {
  const denied = ir.deny === null ? null : firstMatch(ir.deny, facts)
  if (denied !== null) return { kind: 'deny', phase: 'deny', policy: denied.id }
  if (ir.allow === null) return { kind: 'allow', policy: null }
  const allowed = firstMatch(ir.allow, facts)
  return allowed === null ? { kind: 'deny', phase: 'allow', policy: 'none' } : { kind: 'allow', policy: allowed.id }
}

/** Shadow rules stand in the DENY and ALLOW filters: a request that DENY refuses never reaches the second. */
function interpretDryRun(ir: PolicyIr, facts: Facts): DryRun | null {
  const deny = ir.shadowDeny === null ? undefined : shadow(ir.shadowDeny, facts, 'denied', 'allowed')
  const reached = ir.deny === null || firstMatch(ir.deny, facts) === null
  const allow = ir.shadowAllow === null || !reached ? undefined : shadow(ir.shadowAllow, facts, 'allowed', 'denied')
  if (deny === undefined && allow === undefined) return null
  return { ...(allow === undefined ? {} : { allow }), ...(deny === undefined ? {} : { deny }) }
}

function shadow(rules: Ruleset, facts: Facts, hit: 'allowed' | 'denied', miss: 'allowed' | 'denied') {
  const rule = firstMatch(rules, facts)
  return { result: rule === null ? miss : hit, policy: rule?.id ?? null }
}

function firstMatch(rules: Ruleset, facts: Facts): RuleIr | null {
  return rules.find((rule) => traceRule(rule, facts).matched) ?? null
}

/** For each alternative: null when all its conditions hold, else the first that does not. */
function attempts(alternatives: readonly Conjunction[], facts: Facts): readonly (MatchAttempt | null)[] {
  return alternatives.map((conjunction) => {
    for (const condition of conjunction) {
      const failure = fails(condition, facts)
      if (failure !== null) return failure
    }
    return null
  })
}

function fails(condition: Condition, facts: Facts): MatchAttempt | null {
  const { any, none, field, at } = condition
  if (any.length > 0 && !any.some((match) => hits(match, facts))) {
    const expected = any.map((match) => match.written)
    return { field, at, expected: { anyOf: expected }, actual: actualOf(any[0] as Match, facts) }
  }
  if (none.some((match) => hits(match, facts))) {
    const expected = none.map((match) => match.written)
    return { field: notName(field), at, expected: { noneOf: expected }, actual: actualOf(none[0] as Match, facts) }
  }
  return null
}

/** `when` entries keep their key; fields have a twin. */
function notName(field: string): string {
  return field.includes('.') ? field : `not${field.charAt(0).toUpperCase()}${field.slice(1)}`
}

function hits(match: Match, facts: Facts): boolean {
  switch (match.kind) {
    case 'peer':
      return facts.peer !== '' && peerPieces(match.pattern).some((pieces) => madeOf(facts.peer, pieces))
    case 'requestPrincipal':
      return claimHits(match.issuer, facts.claims?.iss) && claimHits(match.subject, facts.claims?.sub)
    case 'sourceIp':
      return inBlock(facts.sourceIp, match.block)
    case 'remoteIp':
      return inBlock(facts.remoteIp, match.block)
    case 'destinationIp':
      return inBlock(facts.destinationIp, match.block)
    case 'port':
      return facts.destinationPort === match.port
    case 'sni':
      return madeOf(facts.sni, stringPieces(match.match))
    case 'host':
      return presenceHits(match.match, facts.lowerHost)
    case 'method':
      return presenceHits(match.match, facts.method)
    case 'path':
      return madeOf(facts.urlPath, stringPieces(match.match))
    case 'pathTemplate':
      return madeOf(facts.urlPath, templatePieces(match.template.text))
    case 'header':
      return headerValues(match.name, facts).some((value) => presenceHits(match.match, value))
    case 'claim': {
      const claim = match.path.reduce<unknown>(member, facts.claims)
      return [claim, ...(Array.isArray(claim) ? claim : [])].some((value) => claimHits(match.match, value))
    }
    case 'metadata': {
      const value = facts.metadata?.[match.filter]?.[match.key]
      return match.list
        ? Array.isArray(value) && value.some((item) => claimHits(match.match, item))
        : claimHits(match.match, value)
    }
    default:
      return match satisfies never
  }
}

function member(value: unknown, key: string): unknown {
  const object = typeof value === 'object' && value !== null && !Array.isArray(value) && Object.hasOwn(value, key)
  return object ? (value as Record<string, unknown>)[key] : undefined
}

function claimHits(match: StringMatch, value: unknown): boolean {
  return typeof value === 'string' && madeOf(value, stringPieces(match))
}

function presenceHits(match: PresenceMatch, value: string): boolean {
  return match.kind === 'present' || madeOf(value, stringPieces(match))
}

function headerValues(name: string, facts: Facts): readonly string[] {
  if (isPseudoHeader(name)) {
    const values = { ':authority': facts.host, ':method': facts.method, ':path': facts.path, ':scheme': facts.scheme }
    return [values[name]]
  }
  const lines = facts.headers?.all(name) ?? []
  return isJoinedHeader(name) && lines.length > 1 ? [joinLines(lines)] : lines
}

const ANY: Piece = { of: () => true, least: 0 }
/** RE2's dot matches anything but a line feed. */
const dot = (character: string) => character !== '\n'
const DOTS: Piece = { of: dot, least: 0 }
const SOME_DOTS: Piece = { of: dot, least: 1 }
const SEGMENT: Piece = { of: (character) => character !== '/', least: 0 }

function stringPieces(match: StringMatch): readonly Piece[] {
  switch (match.kind) {
    case 'exact':
      return [match.value]
    case 'prefix':
      return [match.value, ANY]
    case 'suffix':
      return [ANY, match.value]
    case 'nonEmpty':
      return [SOME_DOTS]
    default:
      return match satisfies never
  }
}

const inSegment = (character: string) => /[a-zA-Z0-9\-._~%!$&'()*+,;:@=]/.test(character)
const ONE_SEGMENT: Piece = { of: inSegment, least: 1 }
const ANY_SEGMENTS: Piece = { of: (character) => character === '/' || inSegment(character), least: 0 }

function templatePieces(template: string): readonly Piece[] {
  return template
    .split('/')
    .flatMap((part, i) => [i === 0 ? '' : '/', part === '{*}' ? ONE_SEGMENT : part === '{**}' ? ANY_SEGMENTS : part])
}

/** The alternatives of the regular expression that Istio writes (pilot/pkg/security/authz/model/generator.go). */
function peerPieces(pattern: PeerPattern): readonly (readonly Piece[])[] {
  const scheme = 'spiffe://'
  switch (pattern.kind) {
    case 'principal':
      return [principalPieces(pattern.match, scheme)]
    case 'namespace':
      return [[DOTS, '/ns/', ...pattern.parts.flatMap((part, i) => (i === 0 ? [part] : [DOTS, part])), '/', DOTS]]
    case 'serviceAccount': {
      const before = [[], [SOME_DOTS, '/']]
      const after = [[], ['/', SOME_DOTS]]
      const start = [scheme, SOME_DOTS, `/ns/${pattern.namespace}/`]
      return before.flatMap((one) => after.map((other) => [...start, ...one, `sa/${pattern.name}`, ...other]))
    }
    case 'trustDomain': {
      const parts = pattern.parts?.flatMap((part, i) => (i === 0 ? [part] : [SEGMENT, part]))
      return [parts === undefined ? [scheme, DOTS] : [scheme, ...parts, '/', DOTS]]
    }
    default:
      return pattern satisfies never
  }
}

function principalPieces(match: StringMatch, scheme: string): readonly Piece[] {
  switch (match.kind) {
    case 'exact':
      return [scheme + match.value]
    case 'prefix':
      return [scheme + match.value, DOTS]
    case 'suffix':
      return [scheme, DOTS, match.value]
    case 'nonEmpty':
      return [SOME_DOTS]
    default:
      return match satisfies never
  }
}

function inBlock(
  ip: Facts['sourceIp'],
  block: { readonly address: Facts['sourceIp']; readonly bits: number },
): boolean {
  return ip.v6 === block.address.v6 && bits(ip).slice(0, block.bits) === bits(block.address).slice(0, block.bits)
}

function bits(ip: Facts['sourceIp']): string {
  const words = ip.v6 ? [ip.a, ip.b, ip.c, ip.d] : [ip.a]
  return words.map((word) => word.toString(2).padStart(32, '0')).join('')
}
