import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadMesh } from '../../mesh/load.ts'
import { parseSource } from '../../source/parse.ts'
import { providerSettings } from './provider-settings.ts'

/** What a traffic policy makes of the settings of a provider. */
function settings(policy: string) {
  const text = `
extensionProviders: [{ name: x, envoyExtAuthzGrpc: { service: authz.foo.svc.cluster.local, port: 9000 } }]
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: web, namespace: foo }
spec: { template: { metadata: { labels: { app: web } } } }
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: authz, namespace: foo }
spec: { host: authz.foo.svc.cluster.local, trafficPolicy: ${policy} }
`
  const { mesh } = loadMesh(parseSource('mesh.yaml', text).documents)
  const [provider] = mesh.config.providers
  const workload = mesh.workloads.get('foo/web')
  assert.ok(provider !== undefined && workload !== undefined)
  return providerSettings(mesh, workload, provider, null)
}

test('limits of the connection pool are the limits of checks; 0 is none', () => {
  const pool =
    '{ connectionPool: { tcp: { maxConnections: 3 }, http: { http2MaxRequests: 50, http1MaxPendingRequests: 7 } } }'
  assert.deepEqual(settings(pool), { maxChecks: 50, maxPending: 7, maxConnections: 3 })
  assert.deepEqual(settings('{ connectionPool: { http: { http2MaxRequests: 0 } } }'), {})
  assert.deepEqual(settings('{}'), {})
})

test('outlier detection has the defaults of Envoy for what a rule leaves out, and can be turned off', () => {
  const defaults = {
    consecutiveFailures: 5,
    baseEjectionTime: 30_000,
    maxEjectionTime: 300_000,
    maxEjectionPercent: 10,
  }
  assert.deepEqual(settings('{ outlierDetection: {} }'), { outlier: defaults })
  assert.deepEqual(
    settings('{ outlierDetection: { consecutive5xxErrors: 2, baseEjectionTime: 1s, maxEjectionPercent: 100 } }'),
    { outlier: { ...defaults, consecutiveFailures: 2, baseEjectionTime: 1000, maxEjectionPercent: 100 } },
  )
  assert.deepEqual(settings('{ outlierDetection: { consecutive5xxErrors: 0 } }'), { outlier: null })
  const gateway = settings('{ outlierDetection: { consecutive5xxErrors: 0, consecutiveGatewayErrors: 3 } }')
  assert.equal(gateway.outlier?.consecutiveFailures, 3)
})
