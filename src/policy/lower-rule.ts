import type { AuthorizationPolicy, Operation, Rule, Source, Values, When } from '../mesh/authorization-policy.ts'
import type { Path } from '../source/document.ts'
import { type Attribute, attributeOf } from './attribute.ts'
import { expressValue, type Place } from './express.ts'
import type { Condition, Conjunction, Match } from './ir.ts'
import { expandPrincipals, expandTrustDomains } from './trust-domain.ts'

/** What lowering a rule reads of the mesh. */
export interface RuleInput {
  /** The trust domain, then its aliases. */
  readonly trustDomains: readonly string[]
  readonly protocol: 'http' | 'tcp'
}

/**
 * The permissions and principals of one rule, or null when Istio drops it (pilot/pkg/security/authz/model/model.go).
 *
 * Values that cannot be expressed narrow or widen it (see `expressValue`). An unknown `when` key drops the rule
 * whatever the action.
 */
export function lowerRule(
  rule: Rule,
  index: number,
  policy: AuthorizationPolicy,
  input: RuleInput,
): { readonly permissions: readonly Conjunction[]; readonly principals: readonly Conjunction[] } | null {
  const { action, meta } = policy
  const scope: Scope = {
    place: { action, protocol: input.protocol, namespace: meta.namespace },
    trustDomains: input.trustDomains,
    dropped: false,
  }
  const root: Path = ['spec', 'rules', index]

  const whenPermissions: Condition[] = []
  const whenPrincipals: Condition[] = []
  for (const [i, when] of rule.when.entries()) {
    const attribute = attributeOf(when.key)
    if (attribute === null) return null
    const side = attribute.side === 'permission' ? whenPermissions : whenPrincipals
    side.push(...lowerField(scope, attribute, when.key, when, [...root, 'when', i]))
  }
  const principals = alternatives(rule.from).map((source, i) =>
    source === null
      ? exact(whenPrincipals)
      : exact([...lowerSource(scope, source, [...root, 'from', i, 'source']), ...whenPrincipals]),
  )
  const permissions = alternatives(rule.to).map((operation, i) =>
    operation === null
      ? exact(whenPermissions)
      : exact([...lowerOperation(scope, operation, [...root, 'to', i, 'operation']), ...whenPermissions]),
  )
  return scope.dropped ? null : { permissions, principals }
}

/** Absent and empty lists mean any, which is one alternative without conditions of its own. */
function alternatives<T>(list: readonly T[] | null): readonly (T | null)[] {
  return list === null || list.length === 0 ? [null] : list
}

/** Fields in the order in which Istio's compiler writes them. */
function lowerOperation(scope: Scope, operation: Operation, at: Path): Condition[] {
  return [
    ...lowerNamed(scope, 'hosts', 'hosts', operation.hosts, at),
    ...lowerNamed(scope, 'methods', 'methods', operation.methods, at),
    ...lowerNamed(scope, 'paths', 'paths', operation.paths, at),
    ...lowerNamed(scope, 'ports', 'destination.port', operation.ports, at),
  ]
}

function lowerSource(scope: Scope, source: Source, at: Path): Condition[] {
  return [
    ...lowerNamed(scope, 'principals', 'source.principal', source.principals, at),
    ...lowerNamed(scope, 'requestPrincipals', 'request.auth.principal', source.requestPrincipals, at),
    ...lowerNamed(scope, 'serviceAccounts', 'source.serviceAccount', source.serviceAccounts, at),
    ...lowerNamed(scope, 'trustDomains', 'source.trustDomain', source.trustDomains, at),
    ...lowerNamed(scope, 'namespaces', 'source.namespace', source.namespaces, at),
    ...lowerNamed(scope, 'remoteIpBlocks', 'remote.ip', source.remoteIpBlocks, at),
    ...lowerNamed(scope, 'ipBlocks', 'source.ip', source.ipBlocks, at),
  ]
}

interface Scope {
  readonly place: Place
  readonly trustDomains: readonly string[]
  dropped: boolean
}

function lowerNamed(scope: Scope, field: string, key: string, values: Values, at: Path): Condition[] {
  const attribute = attributeOf(key)
  if (attribute === null) throw new Error(`no attribute for the field ${field}`)
  return lowerField(scope, attribute, field, values, at)
}

/** No condition at all where neither list holds a value. */
function lowerField(scope: Scope, attribute: Attribute, field: string, values: Values | When, at: Path): Condition[] {
  if (values.values.length === 0 && values.notValues.length === 0) return []
  const any = lowerValues(scope, attribute, values.values)
  const none = lowerValues(scope, attribute, values.notValues)
  return [{ field, any, none, at }]
}

function lowerValues(scope: Scope, attribute: Attribute, values: readonly string[]): readonly Match[] {
  if (values.length === 0) return NONE
  const matches: Match[] = []
  for (const value of expand(attribute, values, scope.trustDomains)) {
    const expressed = expressValue(attribute, value, scope.place)
    if (expressed.kind === 'match') matches.push(expressed.match)
    else if (expressed.kind === 'narrow') scope.dropped = true
  }
  return exact(matches)
}

const NONE: readonly never[] = Object.freeze([])

/** Without the room that a list has to grow: rules live long, and there are many. */
function exact<T>(list: readonly T[]): readonly T[] {
  return list.length === 0 ? NONE : list.slice()
}

function expand(attribute: Attribute, values: readonly string[], trustDomains: readonly string[]): readonly string[] {
  switch (attribute.expansion) {
    case 'none':
      return values
    case 'principals':
      return expandPrincipals(values, trustDomains)
    case 'trustDomains':
      return expandTrustDomains(values, trustDomains)
    default:
      return attribute.expansion satisfies never
  }
}
