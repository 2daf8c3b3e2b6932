import type { IpAddress, IpBlock } from '../match/ip.ts'
import type { StringMatch } from '../match/string-match.ts'
import type { Json } from '../source/document.ts'
import type { Claims, Facts } from './facts.ts'
import { isJoinedHeader, joinLines, type PseudoHeader } from './header-lines.ts'
import { compileBlocks } from './index/block-set.ts'
import { compilePeers } from './index/peer-set.ts'
import { compileTemplates } from './index/template-set.ts'
import { compileTexts, type TextTest } from './index/text-set.ts'
import type { Match } from './ir.ts'

export type Test = (facts: Facts) => boolean

/** More values than that of one field are looked up instead of tried one after the other. */
export const MANY = 8

/** Tests of which one holds when any of the matches hits: one for each attribute that they look at. */
export function compileMatches(matches: readonly Match[], many = MANY): readonly Test[] {
  const subjects = new Map<string, Match[]>()
  for (const match of matches) {
    const subject = subjectOf(match)
    const same = subjects.get(subject)
    if (same === undefined) subjects.set(subject, [match])
    else same.push(match)
  }
  return [...subjects.values()].flatMap((same) => compileSubject(same, many))
}

/** What a match looks at. */
function subjectOf(match: Match): string {
  switch (match.kind) {
    case 'header':
      return `header ${match.name}`
    case 'claim':
      return `claim ${JSON.stringify(match.path)}`
    case 'metadata':
      return `metadata ${JSON.stringify([match.filter, match.key, match.list])}`
    case 'peer':
      return `peer ${match.pattern.kind}`
    case 'requestPrincipal':
    case 'sourceIp':
    case 'remoteIp':
    case 'destinationIp':
    case 'port':
    case 'sni':
    case 'host':
    case 'method':
    case 'path':
    case 'pathTemplate':
      return match.kind
    default:
      return match satisfies never
  }
}

type Of<K extends Match['kind']> = Extract<Match, { readonly kind: K }>

/** All matches look at the same. */
function compileSubject(matches: readonly Match[], many: number): readonly Test[] {
  const [first] = matches
  if (first === undefined) return []
  switch (first.kind) {
    case 'peer':
      return compilePeers(
        (matches as readonly Of<'peer'>[]).map(({ pattern }) => pattern),
        many,
      ).map(ofPeer)
    case 'requestPrincipal':
      return [compileRequestPrincipals(matches as readonly Of<'requestPrincipal'>[], many)]
    case 'sourceIp':
      return [ofSourceIp(compileBlocks(blocksOf(matches), many))]
    case 'remoteIp':
      return [ofRemoteIp(compileBlocks(blocksOf(matches), many))]
    case 'destinationIp':
      return [ofDestinationIp(compileBlocks(blocksOf(matches), many))]
    case 'port':
      return [compilePorts((matches as readonly Of<'port'>[]).map(({ port }) => port))]
    case 'sni':
      return [ofSni(textsOf(matches, many))]
    case 'host':
      return [ofHost(textsOf(matches, many))]
    case 'method':
      return [compileMethods(matches as readonly Of<'method'>[], many)]
    case 'path':
      return [compilePaths(matches as readonly Of<'path'>[], many)]
    case 'pathTemplate':
      return compileTemplates(
        (matches as readonly Of<'pathTemplate'>[]).map(({ template }) => template),
        many,
      ).map(ofPath)
    case 'header':
      return [compileHeader(first.name, textsOf(matches, many))]
    case 'claim':
      return [compileClaim(first.path, textsOf(matches, many))]
    case 'metadata':
      return [compileMetadata(first, textsOf(matches, many))]
    default:
      return first satisfies never
  }
}

// Each test is made in a function of its own: closures of one scope would keep alive what any of them needs. The usual
// ones, of one exact value, are as small as can be, because the first look at each object is what they cost.

function ofPeer(test: TextTest): Test {
  return (facts) => test(facts.peer)
}

function ofPath(test: TextTest): Test {
  return (facts) => test(facts.urlPath)
}

function ofHost(test: TextTest): Test {
  return (facts) => test(facts.lowerHost)
}

function ofSni(test: TextTest): Test {
  return (facts) => test(facts.sni)
}

function ofSourceIp(test: (address: IpAddress) => boolean): Test {
  return (facts) => test(facts.sourceIp)
}

function ofRemoteIp(test: (address: IpAddress) => boolean): Test {
  return (facts) => test(facts.remoteIp)
}

function ofDestinationIp(test: (address: IpAddress) => boolean): Test {
  return (facts) => test(facts.destinationIp)
}

function compilePaths(matches: readonly Of<'path'>[], many: number): Test {
  const [only] = matches
  return only !== undefined && matches.length === 1 && only.match.kind === 'exact'
    ? isPath(only.match.value)
    : ofPath(textsOf(matches, many))
}

function isPath(value: string): Test {
  return (facts) => facts.urlPath === value
}

/** Rules name few methods, and may share their tests. */
const usualMethods: ReadonlyMap<string, Test> = new Map(
  ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'].map((method) => [
    method,
    (facts) => facts.method === method,
  ]),
)

function compileMethods(matches: readonly Of<'method'>[], many: number): Test {
  const [only] = matches
  const usual = matches.length === 1 && only?.match.kind === 'exact' ? usualMethods.get(only.match.value) : undefined
  return usual ?? ofMethod(textsOf(matches, many))
}

function ofMethod(test: TextTest): Test {
  return (facts) => test(facts.method)
}

function compilePorts(ports: readonly number[]): Test {
  const [only] = ports
  return only !== undefined && ports.length === 1 ? isPort(only) : isPortIn(new Set(ports))
}

function isPort(port: number): Test {
  return (facts) => facts.destinationPort === port
}

function isPortIn(ports: ReadonlySet<number>): Test {
  return (facts) => ports.has(facts.destinationPort)
}

function compileClaim(path: readonly string[], test: TextTest): Test {
  return (facts) => facts.claims !== null && claimHolds(test, facts.claims, path)
}

function compileMetadata({ filter, key, list }: Of<'metadata'>, test: TextTest): Test {
  return (facts) => {
    const value = facts.metadata?.[filter]?.[key]
    return list ? Array.isArray(value) && someHolds(test, value) : typeof value === 'string' && test(value)
  }
}

type OfText = Of<'sni' | 'host' | 'method' | 'path' | 'header' | 'claim' | 'metadata'>

function textsOf(matches: readonly Match[], many: number): TextTest {
  return compileTexts(
    (matches as readonly OfText[]).map(({ match }) => match),
    many,
  )
}

function blocksOf(matches: readonly Match[]): readonly IpBlock[] {
  return (matches as readonly Of<'sourceIp' | 'remoteIp' | 'destinationIp'>[]).map(({ block }) => block)
}

/** Of one issuer many subjects may be named, or of many issuers some. */
function compileRequestPrincipals(matches: readonly Of<'requestPrincipal'>[], many: number): Test {
  const subjectsOf = new Map<string, { readonly issuer: StringMatch; readonly subjects: StringMatch[] }>()
  for (const { issuer, subject } of matches) {
    const name = JSON.stringify(issuer)
    const entry = subjectsOf.get(name) ?? { issuer, subjects: [] }
    subjectsOf.set(name, entry)
    entry.subjects.push(subject)
  }
  const exact = new Map<string, TextTest>()
  const tried: { readonly issuer: TextTest; readonly subject: TextTest }[] = []
  for (const { issuer, subjects } of subjectsOf.values()) {
    const subject = compileTexts(subjects, many)
    if (issuer.kind === 'exact') exact.set(issuer.value, subject)
    else tried.push({ issuer: compileTexts([issuer], many), subject })
  }
  return ({ claims }) => {
    if (claims === null) return false
    const iss = own(claims, 'iss')
    const sub = own(claims, 'sub')
    if (typeof iss !== 'string' || typeof sub !== 'string') return false
    if (exact.get(iss)?.(sub) === true) return true
    for (let i = 0; i < tried.length; i++) {
      const { issuer, subject } = tried[i] as (typeof tried)[number]
      if (issuer(iss) && subject(sub)) return true
    }
    return false
  }
}

const pseudo: Readonly<Record<PseudoHeader, (facts: Facts) => string>> = {
  ':authority': (facts) => facts.host,
  ':method': (facts) => facts.method,
  ':path': (facts) => facts.path,
  ':scheme': (facts) => facts.scheme,
}

function compileHeader(name: string, test: TextTest): Test {
  if (Object.hasOwn(pseudo, name)) {
    const value = pseudo[name as PseudoHeader]
    return (facts) => facts.headers !== null && test(value(facts))
  }
  const joined = isJoinedHeader(name)
  return ({ headers }) => {
    if (headers === null) return false
    let i = headers.indexOf(name)
    if (joined && i !== -1 && headers.indexOf(name, i + 1) !== -1) return test(joinLines(headers.all(name)))
    for (; i !== -1; i = headers.indexOf(name, i + 1)) if (test(headers.valueAt(i))) return true
    return false
  }
}

/** A text at the end of `path`, or one text of a list there. */
function claimHolds(test: TextTest, claims: Claims, path: readonly string[]): boolean {
  let value: Json | undefined = claims
  for (let i = 0; i < path.length; i++) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
    value = own(value as Claims, path[i] as string)
  }
  return Array.isArray(value) ? someHolds(test, value) : typeof value === 'string' && test(value)
}

function someHolds(test: TextTest, values: readonly Json[]): boolean {
  for (let i = 0; i < values.length; i++) {
    const value = values[i]
    if (typeof value === 'string' && test(value)) return true
  }
  return false
}

/** Claims come from tokens: a claim named like a built-in property is not there unless the token has it. */
function own(object: Claims, key: string): Json | undefined {
  return Object.hasOwn(object, key) ? object[key] : undefined
}
