import type { AuthorizationPolicy, Operation, Rule, Source, Values, When } from '../authorization-policy.ts'
import { labelOf } from '../labels.ts'
import type { Meta, Origin } from '../resource.ts'
import { attachment, attachmentFields } from './attachment.ts'
import { list, map, oneOf, string, strings } from './decoder.ts'
import type { RawResource } from './meta.ts'
import { customResource } from './meta.ts'
import { optional, record } from './record.ts'

const values = optional(strings, [])

const source = map(
  record({
    principals: values,
    notPrincipals: values,
    requestPrincipals: values,
    notRequestPrincipals: values,
    namespaces: values,
    notNamespaces: values,
    serviceAccounts: values,
    notServiceAccounts: values,
    trustDomains: values,
    notTrustDomains: values,
    ipBlocks: values,
    notIpBlocks: values,
    remoteIpBlocks: values,
    notRemoteIpBlocks: values,
  }),
  (s): Source => ({
    principals: pair(s.principals, s.notPrincipals),
    requestPrincipals: pair(s.requestPrincipals, s.notRequestPrincipals),
    namespaces: pair(s.namespaces, s.notNamespaces),
    serviceAccounts: pair(s.serviceAccounts, s.notServiceAccounts),
    trustDomains: pair(s.trustDomains, s.notTrustDomains),
    ipBlocks: pair(s.ipBlocks, s.notIpBlocks),
    remoteIpBlocks: pair(s.remoteIpBlocks, s.notRemoteIpBlocks),
  }),
)

const operation = map(
  record({
    hosts: values,
    notHosts: values,
    ports: values,
    notPorts: values,
    methods: values,
    notMethods: values,
    paths: values,
    notPaths: values,
  }),
  (o): Operation => ({
    hosts: pair(o.hosts, o.notHosts),
    ports: pair(o.ports, o.notPorts),
    methods: pair(o.methods, o.notMethods),
    paths: pair(o.paths, o.notPaths),
  }),
)

const when = map(
  record({ key: optional(string, ''), values, notValues: values }),
  (w): When => ({ key: w.key, values: w.values, notValues: w.notValues }),
)

// An absent source or operation is refused by Istio's validation; until then it has no condition.
const emptySource: Source = decodeEmptySource()
const emptyOperation: Operation = {
  hosts: pair([], []),
  ports: pair([], []),
  methods: pair([], []),
  paths: pair([], []),
}

const from = map(record({ source: optional(source, emptySource) }), (f) => f.source)
const to = map(record({ operation: optional(operation, emptyOperation) }), (t) => t.operation)

const rule = map(
  record(
    { from: optional(list(from), []), to: optional(list(to), []), when: optional(list(when), []) },
    { hint: delegationHint },
  ),
  // An empty list is an absent one, as in Protobuf.
  (r): Rule => ({ from: r.from.length === 0 ? null : r.from, to: r.to.length === 0 ? null : r.to, when: r.when }),
)

/** As they stand under `spec.rules`. */
export const rules = list(rule)

const spec = record({
  ...attachmentFields,
  action: optional(oneOf('ALLOW', 'DENY', 'AUDIT', 'CUSTOM'), 'ALLOW'),
  provider: optional(record({ name: optional(string, '') }), null),
  rules: optional(rules, []),
})

type Spec = NonNullable<ReturnType<typeof spec.decode>>

const EMPTY: Spec = {
  selector: null,
  targetRef: null,
  targetRefs: [],
  action: 'ALLOW',
  provider: null,
  rules: [],
}

export const authorizationPolicy = customResource(optional(spec, EMPTY))

export function toAuthorizationPolicy(raw: RawResource<Spec>, meta: Meta, origin: Origin): AuthorizationPolicy {
  const { spec } = raw
  return {
    kind: 'AuthorizationPolicy',
    meta,
    origin,
    attachment: attachment(spec),
    action: spec.action,
    provider: spec.action === 'CUSTOM' && spec.provider !== null ? spec.provider.name : null,
    dryRun: parseBool(labelOf(meta.annotations, DRY_RUN)) === true,
    rules: spec.rules,
  }
}

export const DRY_RUN = 'istio.io/dry-run'

/** Go's strconv.ParseBool; null for text that is none, or no text. */
export function parseBool(text: string | null): boolean | null {
  if (text === null) return null
  if (['1', 't', 'T', 'true', 'TRUE', 'True'].includes(text)) return true
  return ['0', 'f', 'F', 'false', 'FALSE', 'False'].includes(text) ? false : null
}

function pair(values: readonly string[], notValues: readonly string[]): Values {
  return { values, notValues }
}

function decodeEmptySource(): Source {
  const none = pair([], [])
  return {
    principals: none,
    requestPrincipals: none,
    namespaces: none,
    serviceAccounts: none,
    trustDomains: none,
    ipBlocks: none,
    remoteIpBlocks: none,
  }
}

/** Tutorials put calls to an authorization service into a rule; Istio asks one only for a CUSTOM policy. */
function delegationHint(name: string): string | null {
  if (!/check|ext.?authz|extern|delegat|provider|authorize/i.test(name)) return null
  return (
    'a rule has only `from`, `to` and `when`, and an ALLOW rule does not delegate: to ask an external authorization ' +
    'service, write a policy with `action: CUSTOM` and `provider: { name: NAME }`, where NAME is declared under ' +
    '`extensionProviders` of the mesh configuration'
  )
}
