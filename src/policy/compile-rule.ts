import { blockContains } from '../match/ip.ts'
import { matchesPathTemplate } from '../match/path-template.ts'
import { matchesPeer } from '../match/spiffe.ts'
import { matchesString, type StringMatch } from '../match/string-match.ts'
import type { Json } from '../source/document.ts'
import type { Facts } from './facts.ts'
import { isJoinedHeader, joinLines, type PseudoHeader } from './header-lines.ts'
import type { Condition, Conjunction, Match, PresenceMatch, RuleIr } from './ir.ts'

export type Test = (facts: Facts) => boolean

const always: Test = () => true

/** One rule as a test: some permission and some principal. */
export function compileRule(rule: RuleIr): Test {
  const permission = anyOf(rule.permissions.map(compileConjunction))
  const principal = anyOf(rule.principals.map(compileConjunction))
  if (permission === always) return principal
  if (principal === always) return permission
  return (facts) => permission(facts) && principal(facts)
}

function compileConjunction(conditions: Conjunction): Test {
  return allOf(conditions.map(compileCondition))
}

function compileCondition(condition: Condition): Test {
  const any = condition.any.length === 0 ? always : anyOf(compileMatches(condition.any))
  if (condition.none.length === 0) return any
  const none = anyOf(compileMatches(condition.none))
  return any === always ? (facts) => !none(facts) : (facts) => any(facts) && !none(facts)
}

/** Exact values of one plain attribute become one set; the rest are tested one by one. */
function compileMatches(matches: readonly Match[]): readonly Test[] {
  const paths = exactValues(matches, 'path')
  const methods = exactValues(matches, 'method')
  const hosts = exactValues(matches, 'host')
  const tests: Test[] = []
  if (paths.size > 0) tests.push((facts) => paths.has(facts.urlPath))
  if (methods.size > 0) tests.push((facts) => methods.has(facts.method))
  if (hosts.size > 0) tests.push((facts) => hosts.has(facts.lowerHost))
  for (const match of matches) if (!isExact(match)) tests.push(compileMatch(match))
  return tests
}

function exactValues(matches: readonly Match[], kind: 'path' | 'method' | 'host'): ReadonlySet<string> {
  return new Set(
    matches.flatMap((match) => (match.kind === kind && match.match.kind === 'exact' ? [match.match.value] : [])),
  )
}

function isExact(match: Match): boolean {
  return (match.kind === 'path' || match.kind === 'method' || match.kind === 'host') && match.match.kind === 'exact'
}

function compileMatch(match: Match): Test {
  switch (match.kind) {
    case 'peer': {
      const { pattern } = match
      return (facts) => matchesPeer(pattern, facts.peer)
    }
    case 'requestPrincipal': {
      const { issuer, subject } = match
      return (facts) =>
        facts.claims !== null &&
        matchesClaim(issuer, own(facts.claims, 'iss')) &&
        matchesClaim(subject, own(facts.claims, 'sub'))
    }
    case 'sourceIp': {
      const { block } = match
      return (facts) => blockContains(block, facts.sourceIp)
    }
    case 'remoteIp': {
      const { block } = match
      return (facts) => blockContains(block, facts.remoteIp)
    }
    case 'destinationIp': {
      const { block } = match
      return (facts) => blockContains(block, facts.destinationIp)
    }
    case 'port': {
      const { port } = match
      return (facts) => facts.destinationPort === port
    }
    case 'sni': {
      const string = match.match
      return (facts) => matchesString(string, facts.sni)
    }
    case 'host': {
      const presence = match.match
      return (facts) => matchesPresence(presence, facts.lowerHost)
    }
    case 'method': {
      const presence = match.match
      return (facts) => matchesPresence(presence, facts.method)
    }
    case 'path': {
      const string = match.match
      return (facts) => matchesString(string, facts.urlPath)
    }
    case 'pathTemplate': {
      const { template } = match
      return (facts) => matchesPathTemplate(template, facts.urlPath)
    }
    case 'header':
      return compileHeader(match.name, match.match)
    case 'claim': {
      const { path } = match
      const string = match.match
      return (facts) => facts.claims !== null && matchesClaimAt(string, facts.claims, path)
    }
    case 'metadata': {
      const { filter, key, list } = match
      const string = match.match
      return (facts) => {
        const value = facts.metadata?.[filter]?.[key]
        return list ? Array.isArray(value) && matchesSome(string, value) : matchesClaim(string, value)
      }
    }
    default:
      return match satisfies never
  }
}

const pseudo: Readonly<Record<PseudoHeader, (facts: Facts) => string>> = {
  ':authority': (facts) => facts.host,
  ':method': (facts) => facts.method,
  ':path': (facts) => facts.path,
  ':scheme': (facts) => facts.scheme,
}

function compileHeader(name: string, match: PresenceMatch): Test {
  if (Object.hasOwn(pseudo, name)) {
    const value = pseudo[name as PseudoHeader]
    return (facts) => facts.headers !== null && matchesPresence(match, value(facts))
  }
  const joined = isJoinedHeader(name)
  return (facts) => {
    const { headers } = facts
    if (headers === null) return false
    let i = headers.indexOf(name)
    if (joined && i !== -1 && headers.indexOf(name, i + 1) !== -1) {
      return matchesPresence(match, joinLines(headers.all(name)))
    }
    for (; i !== -1; i = headers.indexOf(name, i + 1)) if (matchesPresence(match, headers.valueAt(i))) return true
    return false
  }
}

function matchesPresence(match: PresenceMatch, text: string): boolean {
  return match.kind === 'present' || matchesString(match, text)
}

function matchesClaim(match: StringMatch, value: Json | undefined): boolean {
  return typeof value === 'string' && matchesString(match, value)
}

function matchesClaimAt(match: StringMatch, claims: Readonly<Record<string, Json>>, path: readonly string[]): boolean {
  let value: Json | undefined = claims
  for (let i = 0; i < path.length; i++) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
    value = own(value as Readonly<Record<string, Json>>, path[i] as string)
  }
  return Array.isArray(value) ? matchesSome(match, value) : matchesClaim(match, value)
}

function matchesSome(match: StringMatch, values: readonly Json[]): boolean {
  for (let i = 0; i < values.length; i++) if (matchesClaim(match, values[i])) return true
  return false
}

/** Claims come from tokens: a claim named like a built-in property is not there unless the token has it. */
function own(object: Readonly<Record<string, Json>>, key: string): Json | undefined {
  return Object.hasOwn(object, key) ? object[key] : undefined
}

function allOf(tests: readonly Test[]): Test {
  const some = tests.filter((test) => test !== always)
  const [first, second, third] = some
  if (first === undefined) return always
  if (second === undefined) return first
  if (third === undefined) return (facts) => first(facts) && second(facts)
  return (facts) => {
    for (let i = 0; i < some.length; i++) if (!(some[i] as Test)(facts)) return false
    return true
  }
}

/** No test at all never holds. */
function anyOf(tests: readonly Test[]): Test {
  if (tests.includes(always)) return always
  const [first, second] = tests
  if (first === undefined) return () => false
  if (second === undefined) return first
  return (facts) => {
    for (let i = 0; i < tests.length; i++) if ((tests[i] as Test)(facts)) return true
    return false
  }
}
