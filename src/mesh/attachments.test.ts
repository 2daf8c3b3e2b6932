import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseSource } from '../source/parse.ts'
import { authorizationPoliciesFor } from './attach.ts'
import { Attachments } from './attachments.ts'
import { loadMesh } from './load.ts'

const labels = fc.dictionary(fc.constantFrom('app', 'tier', '__proto__'), fc.constantFrom('a', 'b'), { maxKeys: 2 })
const namespace = fc.constantFrom('foo', 'bar', 'istio-system')
const spec = fc.oneof(
  fc.constant({}),
  labels.map((matchLabels) => ({ selector: { matchLabels } })),
  fc.constantFrom('Service', 'Gateway', 'GatewayClass').map((kind) => ({
    targetRefs: [
      { kind, name: 'web', group: kind === 'Service' ? '' : 'gateway.networking.k8s.io' },
      { kind, name: 'istio-waypoint', group: 'gateway.networking.k8s.io' },
    ],
  })),
)
const policy = fc.record({ namespace, spec, year: fc.constantFrom(null, 2024, 2025) })
const workload = fc.record({ namespace, labels })

test('an index of attachments gives what looking at every policy gives, in its order', () => {
  fc.assert(
    fc.property(fc.array(policy, { maxLength: 8 }), fc.array(workload, { maxLength: 4 }), (policies, workloads) => {
      const documents = [
        ...policies.map(({ namespace, spec, year }, i) => ({
          apiVersion: 'security.istio.io/v1',
          kind: 'AuthorizationPolicy',
          metadata: {
            name: `p${(i * 7) % 10}`,
            namespace,
            ...(year === null ? {} : { creationTimestamp: `${year}-01-01T00:00:00Z` }),
          },
          spec,
        })),
        ...workloads.map(({ namespace, labels }, i) => ({
          apiVersion: 'apps/v1',
          kind: 'Deployment',
          metadata: { name: `w${i}`, namespace },
          spec: { template: { metadata: { labels } } },
        })),
        {
          apiVersion: 'gateway.networking.k8s.io/v1',
          kind: 'Gateway',
          metadata: { name: 'web', namespace: 'foo' },
          spec: { gatewayClassName: 'istio-waypoint', listeners: [] },
        },
      ]
      const { mesh } = loadMesh(parseSource('m', documents.map((one) => JSON.stringify(one)).join('\n---\n')).documents)
      const attachments = new Attachments(mesh)
      for (const one of mesh.workloads.values()) {
        for (const service of [null, { kind: 'Service', namespace: 'bar', name: 'web' } as const]) {
          const found = attachments.policiesFor(one, service)
          assert.deepEqual(found, authorizationPoliciesFor(mesh, one, service))
        }
      }
    }),
    { numRuns: 1000 },
  )
})
