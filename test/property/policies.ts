import fc from 'fast-check'
import type {
  Action,
  AuthorizationPolicy,
  Operation,
  Rule,
  Source,
  Values,
  When,
} from '#src/mesh/authorization-policy.ts'
import type { Provider } from '#src/mesh/provider.ts'
import type { LowerInput } from '#src/policy/lower.ts'
import type { SourceDocument } from '#src/source/document.ts'
import { type Attribute, conditions, invalidConditions, operationFields, sourceFields } from './attributes.ts'

const document: SourceDocument = {
  file: 'random.yaml',
  linesBefore: 0,
  value: null,
  locate: () => ({ line: 1, column: 1 }),
}

/** What random policies may hold: with `invalid`, also values that cannot be expressed, and unknown keys. */
export interface PolicyKind {
  readonly invalid: boolean
  readonly providers: readonly string[]
}

export const anything: PolicyKind = { invalid: true, providers: ['opa', 'opa', 'opa', 'web', 'missing'] }
export const validOnly: PolicyKind = { ...anything, invalid: false }

/** In one of `none` cases of ten, no values; a long list now and then. */
function list({ valid, invalid }: Attribute, kind: PolicyKind, none: number): fc.Arbitrary<readonly string[]> {
  const value =
    kind.invalid && invalid.length > 0
      ? fc.oneof(
          { weight: 9, arbitrary: fc.constantFrom(...valid) },
          { weight: 1, arbitrary: fc.constantFrom(...invalid) },
        )
      : fc.constantFrom(...valid)
  return fc.oneof(
    { weight: none * 10, arbitrary: fc.constant<string[]>([]) },
    { weight: 98 - none * 10, arbitrary: fc.array(value, { minLength: 1, maxLength: 3 }) },
    { weight: 2, arbitrary: fc.array(value, { minLength: 9, maxLength: 12 }) },
  )
}

function values(attribute: Attribute, kind: PolicyKind, none: number, noneOfNot: number): fc.Arbitrary<Values> {
  return fc.record({ values: list(attribute, kind, none), notValues: list(attribute, kind, noneOfNot) })
}

function fields<K extends string>(
  of: Readonly<Record<K, Attribute>>,
  kind: PolicyKind,
  none: number,
): fc.Arbitrary<Readonly<Record<K, Values>>> {
  const arbitraries = Object.entries<Attribute>(of).map(([name, attribute]) => [name, values(attribute, kind, none, 9)])
  return fc.record(Object.fromEntries(arbitraries)) as fc.Arbitrary<Readonly<Record<K, Values>>>
}

function whenOf(kind: PolicyKind): fc.Arbitrary<When> {
  const one = (of: Readonly<Record<string, Attribute>>) =>
    fc
      .constantFrom(...Object.entries(of))
      .chain(([key, attribute]) => values(attribute, kind, 2, 6).map((both) => ({ key, ...both })))
  const valid = one(conditions)
  if (!kind.invalid) return valid
  return fc.oneof({ weight: 12, arbitrary: valid }, { weight: 1, arbitrary: one(invalidConditions) })
}

export function ruleOf(kind: PolicyKind): fc.Arbitrary<Rule> {
  const source: fc.Arbitrary<Source> = fields(sourceFields, kind, 8)
  const operation: fc.Arbitrary<Operation> = fields(operationFields, kind, 7)
  return fc.record({
    from: fc.option(fc.array(source, { maxLength: 2 }), { nil: null }),
    to: fc.option(fc.array(operation, { maxLength: 2 }), { nil: null }),
    when: fc.oneof(
      { weight: 2, arbitrary: fc.constant<When[]>([]) },
      { weight: 3, arbitrary: fc.array(whenOf(kind), { minLength: 1, maxLength: 2 }) },
    ),
  })
}

export function policyOf(
  name: string,
  action: Action,
  rules: readonly Rule[],
  extra: { readonly dryRun?: boolean; readonly provider?: string; readonly namespace?: string } = {},
): AuthorizationPolicy {
  return {
    kind: 'AuthorizationPolicy',
    meta: { name, namespace: extra.namespace ?? 'a', labels: {}, annotations: {}, createdAt: 0 },
    origin: { document, path: [] },
    attachment: { kind: 'namespace' },
    action,
    provider: action === 'CUSTOM' ? (extra.provider ?? 'opa') : null,
    dryRun: extra.dryRun ?? false,
    rules,
  }
}

/** A policy but for its name. */
export type Unnamed = (name: string) => AuthorizationPolicy

export function unnamedOf(kind: PolicyKind): fc.Arbitrary<Unnamed> {
  return fc
    .record({
      action: fc.constantFrom<Action>('ALLOW', 'DENY', 'ALLOW', 'DENY', 'AUDIT', 'CUSTOM'),
      rules: fc.array(ruleOf(kind), { maxLength: 3 }),
      dryRun: fc.oneof({ weight: 3, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
      provider: fc.constantFrom(...kind.providers),
      namespace: fc.constantFrom('a', 'a', 'a', 'istio-system'),
    })
    .map(
      ({ action, rules, ...extra }): Unnamed =>
        (name) =>
          policyOf(name, action, rules, extra),
    )
}

/** Policies of different names, up to `most`. */
export function policiesOf(kind: PolicyKind, most = 4): fc.Arbitrary<readonly AuthorizationPolicy[]> {
  return fc.array(unnamedOf(kind), { maxLength: most }).map((list) => list.map((unnamed, i) => unnamed(`p${i}`)))
}

const common = {
  service: 'opa.local',
  port: 9191,
  timeout: 1000,
  failOpen: false,
  statusOnError: 403,
  includeRequestBody: null,
}

const providers: Readonly<Record<string, Provider>> = {
  opa: { kind: 'grpc', name: 'opa', ...common },
  web: {
    kind: 'http',
    name: 'web',
    ...common,
    pathPrefix: '',
    includeRequestHeaders: [],
    includeAdditionalHeaders: [],
    headersToUpstreamOnAllow: [],
    headersToDownstreamOnAllow: [],
    headersToDownstreamOnDeny: [],
  },
}

export const TRUST_DOMAINS: readonly string[] = ['td1', 'old']

export function inputOf(policies: readonly AuthorizationPolicy[], protocol: 'http' | 'tcp'): LowerInput {
  return {
    policies,
    trustDomains: TRUST_DOMAINS,
    protocol,
    provider: (name) => {
      const provider = Object.hasOwn(providers, name) ? providers[name] : undefined
      return provider === undefined ? { kind: 'unusable', reason: `no provider ${name}` } : { kind: 'usable', provider }
    },
  }
}
