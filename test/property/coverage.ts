import type { AuthorizationPolicy } from '#src/mesh/authorization-policy.ts'
import { compile } from '#src/policy/compile.ts'
import type { Facts } from '#src/policy/facts.ts'
import { isJoinedHeader } from '#src/policy/header-lines.ts'
import { traceRule } from '#src/policy/interpret.ts'
import type { Condition, Match, PolicyIr, RuleIr } from '#src/policy/ir.ts'
import { lower } from '#src/policy/lower.ts'
import { conditions, operationFields, sourceFields } from './attributes.ts'
import { outcomes, type Protocol } from './engines.ts'
import { inputOf } from './policies.ts'
import { type Asked, factsOf } from './requests.ts'

interface Counts {
  hit: number
  miss: number
}

/** How often each thing that policies can say was met by a request, and how often not. */
export class Coverage {
  readonly #fields = new Map<string, Counts>()
  readonly #shapes = new Map<string, Counts>()
  readonly #outcomes = new Map<string, number>()
  readonly #rules: Counts = { hit: 0, miss: 0 }
  readonly #requests: Counts = { hit: 0, miss: 0 }

  observe(policies: readonly AuthorizationPolicy[], protocol: Protocol, all: readonly Asked[]): void {
    const ir = lower(inputOf(policies, protocol))
    const decider = compile(ir)
    const providers = new Set(policies.flatMap(({ action, provider }) => (action === 'CUSTOM' ? [provider] : [])))
    for (const asked of all) {
      const facts = factsOf(asked)
      const rules = rulesOf(ir)
      const matched = rules.filter((rule) => this.#observeRule(rule, facts))
      if (rules.length > 0) this.#requests[matched.length > 0 ? 'hit' : 'miss']++
      for (const [phase, outcome] of Object.entries(outcomes(decider, facts))) {
        this.#count(`${phase} ${protocol}: ${JSON.stringify(outcome)}`)
      }
      this.#count(`CUSTOM providers: ${Math.min(providers.size, 2)}`)
      for (const feature of featuresOf(asked)) this.#count(`request: ${feature}`)
    }
  }

  /** What was never met, or never missed. */
  gaps(): readonly string[] {
    const fields = [...Object.keys(sourceFields), ...Object.keys(operationFields), ...Object.keys(conditions)]
    const wanted = fields.flatMap((field) => [`${field}`, `not ${field}`])
    const gap = ([name, { hit, miss }]: readonly [string, Counts]) =>
      hit > 0 && miss > 0 ? [] : [`${name}: ${hit} hits, ${miss} misses`]
    return [
      ...wanted.flatMap((name) => gap([name, this.#fields.get(name) ?? { hit: 0, miss: 0 }])),
      ...[...this.#shapes].filter(([name]) => !alwaysThere.has(name)).flatMap(gap),
      ...expectedOutcomes.filter((outcome) => !this.#outcomes.has(outcome)).map((outcome) => `${outcome}: never`),
    ]
  }

  /** Of the requests that were held against any rule, the part that some rule matched. */
  matched(): number {
    return shareOf(this.#requests)
  }

  table(): string {
    const row = ([name, { hit, miss }]: readonly [string, Counts]) =>
      `  ${name.padEnd(44)} ${String(hit).padStart(9)} hits ${String(miss).padStart(9)} misses`
    const sorted = <T>(map: ReadonlyMap<string, T>) => [...map].sort(([a], [b]) => (a < b ? -1 : 1))
    return [
      'by field',
      ...sorted(this.#fields).map(row),
      'by kind of value',
      ...sorted(this.#shapes).map(row),
      'by outcome',
      ...sorted(this.#outcomes).map(([name, count]) => `  ${name.padEnd(60)} ${String(count).padStart(9)}`),
      `some rule matched ${percent(this.#requests)} requests, and ${percent(this.#rules)} tries of a rule matched`,
    ].join('\n')
  }

  #observeRule(rule: RuleIr, facts: Facts): boolean {
    const { matched } = traceRule(rule, facts)
    this.#rules[matched ? 'hit' : 'miss']++
    const seen = new Set<Condition>()
    for (const condition of [...rule.permissions, ...rule.principals].flat()) {
      if (seen.has(condition)) continue
      seen.add(condition)
      const { field, any, none } = condition
      if (any.length > 0) add(this.#fields, field, hits(any, facts))
      if (none.length > 0) add(this.#fields, `not ${field}`, hits(none, facts))
      for (const match of [...any, ...none]) add(this.#shapes, shapeOf(match), hits([match], facts))
    }
    return matched
  }

  #count(outcome: string): void {
    this.#outcomes.set(outcome, (this.#outcomes.get(outcome) ?? 0) + 1)
  }
}

function shareOf({ hit, miss }: Counts): number {
  return hit / (hit + miss)
}

function percent(counts: Counts): string {
  return `${(shareOf(counts) * 100).toFixed(0)}% of ${counts.hit + counts.miss}`
}

function add(map: Map<string, Counts>, name: string, hit: boolean): void {
  const counts = map.get(name) ?? { hit: 0, miss: 0 }
  map.set(name, counts)
  counts[hit ? 'hit' : 'miss']++
}

function rulesOf(ir: PolicyIr): readonly RuleIr[] {
  const { custom } = ir
  const ofCustom =
    custom.kind === 'ask' ? [custom.rules, custom.refused] : custom.kind === 'refuse' ? custom.rulesets : []
  return [...ofCustom, ir.audit, ir.deny, ir.allow, ir.shadowDeny, ir.shadowAllow].flatMap((rules) => rules ?? [])
}

function hits(any: readonly Match[], facts: Facts): boolean {
  const policy = {} as AuthorizationPolicy
  const condition: Condition = { field: 'values', any, none: [], at: [] }
  return traceRule({ id: '', policy, index: 0, permissions: [[condition]], principals: [[]] }, facts).matched
}

function shapeOf(match: Match): string {
  switch (match.kind) {
    case 'peer': {
      const { pattern } = match
      switch (pattern.kind) {
        case 'principal':
          return `principal ${pattern.match.kind}`
        case 'namespace':
          return `namespace of ${pattern.parts.length} parts`
        case 'trustDomain':
          return `trust domain of ${pattern.parts?.length ?? 0} parts`
        case 'serviceAccount':
          return 'service account'
        default:
          return pattern satisfies never
      }
    }
    case 'requestPrincipal':
      return `request principal ${match.issuer.kind}/${match.subject.kind}`
    case 'sourceIp':
    case 'remoteIp':
    case 'destinationIp':
      return `${match.kind} ${match.block.address.v6 ? 'v6' : 'v4'}`
    case 'port':
      return 'port'
    case 'pathTemplate':
      return `template ${match.template.text}`
    case 'header':
      return `header ${match.name} ${match.match.kind}`
    case 'metadata':
      return `metadata ${match.list ? 'list' : 'text'} ${match.match.kind}`
    case 'claim':
      return `claim ${match.path.join('.')} ${match.match.kind}`
    case 'sni':
    case 'host':
    case 'method':
    case 'path':
      return `${match.kind} ${match.match.kind}`
    default:
      return match satisfies never
  }
}

/** Each request has a method, a host, a target and a scheme. */
const alwaysThere: ReadonlySet<string> = new Set([
  'host present',
  'method present',
  ...[':authority', ':method', ':path', ':scheme'].map((name) => `header ${name} present`),
])

const expectedOutcomes: readonly string[] = [
  ...['http', 'tcp'].flatMap((protocol) => [
    ...['"pass"', '"ask"', '"deny"'].map((kind) => `custom ${protocol}: ${kind}`),
    ...['"allow"', '"deny"'].map((kind) => `decide ${protocol}: ${kind}`),
    ...['true', 'false'].map((kind) => `audit ${protocol}: ${kind}`),
    ...['{"deny":"denied"}', '{"allow":"allowed"}', '{"allow":"denied"}', 'null'].map(
      (kind) => `dryRun ${protocol}: ${kind}`,
    ),
  ]),
  ...[0, 1, 2].map((count) => `CUSTOM providers: ${count}`),
  ...[
    'no peer',
    'IPv6 source',
    'no token',
    'a claim that is a list',
    'a claim inside a claim',
    'a claim that is no text',
    'several lines of a header',
    'several lines of a joined header',
    'metadata that is a list',
    'no metadata',
  ].map((feature) => `request: ${feature}`),
]

function featuresOf({ peer, sourceIp, metadata, http }: Asked): readonly string[] {
  const features: string[] = []
  const note = (feature: string, is: boolean) => is && features.push(feature)
  note('no peer', peer === '')
  note('IPv6 source', sourceIp.includes(':'))
  note('no metadata', metadata === null)
  note('metadata that is a list', Array.isArray(metadata?.k))
  if (http === null) return features
  const claims = Object.values(http.claims ?? {})
  note('no token', http.claims === null)
  note('a claim that is a list', claims.some(Array.isArray))
  note(
    'a claim inside a claim',
    claims.some((claim) => typeof claim === 'object' && claim !== null && 'd' in claim),
  )
  note(
    'a claim that is no text',
    claims.some((claim) => typeof claim === 'number' || typeof claim === 'boolean'),
  )
  const names = http.headers.map(([name]) => name)
  const repeated = names.filter((name, i) => names.indexOf(name) !== i)
  note(
    'several lines of a header',
    repeated.some((name) => !isJoinedHeader(name)),
  )
  note('several lines of a joined header', repeated.some(isJoinedHeader))
  return features
}
