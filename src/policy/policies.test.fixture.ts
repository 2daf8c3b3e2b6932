import assert from 'node:assert/strict'
import type { AuthorizationPolicy } from '../mesh/authorization-policy.ts'
import { loadMesh } from '../mesh/load.ts'
import type { Provider } from '../mesh/provider.ts'
import { parseSource } from '../source/parse.ts'
import type { PolicyIr } from './ir.ts'
import { type LowerInput, lower } from './lower.ts'

/** A policy's spec as YAML flow text, by `NAMESPACE/NAME` or NAME in the namespace `foo`; `!` marks a dry run. */
export type Specs = Readonly<Record<string, string>>

export function policiesOf(specs: Specs): readonly AuthorizationPolicy[] {
  const text = Object.entries(specs).map(([key, spec]) => {
    const full = key.replace(/^!/, '')
    const [namespace, name] = full.includes('/') ? full.split('/') : ['foo', full]
    const annotations = key.startsWith('!') ? ', annotations: { istio.io/dry-run: "true" }' : ''
    return `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: ${name}, namespace: ${namespace}${annotations} }
spec: ${spec}
`
  })
  const parsed = parseSource('policies.yaml', text.join('---\n'))
  const { mesh, diagnostics } = loadMesh(parsed.documents)
  assert.deepEqual([...parsed.diagnostics, ...diagnostics], [])
  return mesh.authorizationPolicies
}

const common = {
  service: 'authz.foo.svc.cluster.local',
  port: 9000,
  timeout: 1000,
  failOpen: false,
  statusOnError: 403,
  includeRequestBody: null,
}

const providers: ReadonlyMap<string, Provider> = new Map<string, Provider>([
  ['grpc', { kind: 'grpc', name: 'grpc', ...common }],
  [
    'http',
    {
      kind: 'http',
      name: 'http',
      ...common,
      pathPrefix: '',
      includeRequestHeaders: [],
      includeAdditionalHeaders: [],
      headersToUpstreamOnAllow: [],
      headersToDownstreamOnAllow: [],
      headersToDownstreamOnDeny: [],
    },
  ],
])

/** The providers `grpc` and `http` can be asked, no other can. */
export const providerOf: LowerInput['provider'] = (name) => {
  const found = providers.get(name)
  return found === undefined ? { kind: 'unusable', reason: 'not there' } : { kind: 'usable', provider: found }
}

export interface LowerOptions {
  readonly protocol?: LowerInput['protocol']
  readonly trustDomains?: readonly string[]
}

export function lowerSpecs(
  specs: Specs,
  { protocol = 'http', trustDomains = ['cluster.local'] }: LowerOptions = {},
): PolicyIr {
  return lower({ policies: policiesOf(specs), trustDomains, protocol, provider: providerOf })
}
