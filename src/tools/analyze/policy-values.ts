import type { AuthorizationPolicy, Values } from '../../mesh/authorization-policy.ts'
import type { Mesh } from '../../mesh/mesh.ts'
import type { Path } from '../../source/document.ts'

/** One list of values of a policy. */
export interface PolicyValues {
  /** The `when` key that the values are of, or `hosts`, `methods`, `paths`, which have none. */
  readonly attribute: string
  readonly negated: boolean
  readonly values: readonly string[]
  /** From the document's root to the list. */
  readonly path: Path
  /** The rule's place among the policy's. */
  readonly rule: number
}

const sourceAttributes = {
  principals: 'source.principal',
  requestPrincipals: 'request.auth.principal',
  namespaces: 'source.namespace',
  serviceAccounts: 'source.serviceAccount',
  trustDomains: 'source.trustDomain',
  ipBlocks: 'source.ip',
  remoteIpBlocks: 'remote.ip',
} as const

const operationAttributes = {
  hosts: 'hosts',
  ports: 'destination.port',
  methods: 'methods',
  paths: 'paths',
} as const

/** All that has rules: policies, and what Delegations ask about, in the form of one. */
export function rulesOfMesh({ authorizationPolicies, delegations }: Mesh): readonly AuthorizationPolicy[] {
  return [...authorizationPolicies, ...delegations.flatMap(({ trigger }) => trigger ?? [])]
}

/** Every list of a policy that holds values, in the order of the fields here. */
export function* valuesOf(policy: AuthorizationPolicy): Generator<PolicyValues> {
  for (const [r, rule] of policy.rules.entries()) {
    const at = [...policy.origin.path, 'spec', 'rules', r]
    for (const [i, source] of (rule.from ?? []).entries()) {
      yield* fieldsOf(sourceAttributes, source, [...at, 'from', i, 'source'], r)
    }
    for (const [i, operation] of (rule.to ?? []).entries()) {
      yield* fieldsOf(operationAttributes, operation, [...at, 'to', i, 'operation'], r)
    }
    for (const [i, when] of rule.when.entries()) {
      yield* twins(when.key, when, [...at, 'when', i], 'values', r)
    }
  }
}

function* fieldsOf<F extends string>(
  attributes: Readonly<Record<F, string>>,
  fields: Readonly<Record<F, Values>>,
  at: Path,
  rule: number,
): Generator<PolicyValues> {
  for (const field of Object.keys(attributes) as F[]) yield* twins(attributes[field], fields[field], at, field, rule)
}

function* twins(attribute: string, { values, notValues }: Values, at: Path, key: string, rule: number) {
  const twin = `not${key.charAt(0).toUpperCase()}${key.slice(1)}`
  if (values.length > 0) yield { attribute, negated: false, values, path: [...at, key], rule }
  if (notValues.length > 0) yield { attribute, negated: true, values: notValues, path: [...at, twin], rule }
}
