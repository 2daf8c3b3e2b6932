import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseSource } from '../source/parse.ts'
import { authorizationPoliciesFor, jwtRulesFor, mtlsModeFor, sidecarFor } from './attach.ts'
import { loadMesh } from './load.ts'
import type { Workload } from './workload.ts'

interface Item {
  readonly kind: string
  readonly name: string
  readonly namespace?: string
  readonly created?: string
  readonly spec: unknown
}

function meshOf(items: readonly Item[]) {
  const groups: Record<string, string> = { Sidecar: 'networking.istio.io/v1' }
  const text = items
    .map(({ kind, name, namespace, created, spec }) => {
      const metadata = { name, namespace: namespace ?? 'foo', creationTimestamp: created ?? null }
      return JSON.stringify({ apiVersion: groups[kind] ?? 'security.istio.io/v1', kind, metadata, spec })
    })
    .join('\n---\n')
  const { mesh, diagnostics } = loadMesh(parseSource('a.yaml', text).documents)
  assert.deepEqual(diagnostics, [])
  return mesh
}

const workload: Workload = {
  kind: 'Deployment',
  namespace: 'foo',
  name: 'web',
  labels: { app: 'web', version: 'v1' },
  serviceAccount: 'web',
  role: { kind: 'sidecar' },
  ports: [],
  addresses: [],
  origin: null,
}

const gatewayTarget = { group: 'gateway.networking.k8s.io', kind: 'Gateway', name: 'g' }
const classTarget = { group: 'gateway.networking.k8s.io', kind: 'GatewayClass', name: 'istio-waypoint' }

const policies = meshOf([
  { kind: 'AuthorizationPolicy', name: 'namespace', spec: {} },
  { kind: 'AuthorizationPolicy', name: 'selected', spec: { selector: { matchLabels: { app: 'web' } } } },
  {
    kind: 'AuthorizationPolicy',
    name: 'unselected',
    spec: { selector: { matchLabels: { app: 'web', version: 'v2' } } },
  },
  { kind: 'AuthorizationPolicy', name: 'everyone', spec: { selector: {} } },
  { kind: 'AuthorizationPolicy', name: 'elsewhere', namespace: 'bar', spec: {} },
  {
    kind: 'AuthorizationPolicy',
    name: 'root',
    namespace: 'istio-system',
    spec: { selector: { matchLabels: { app: 'web' } } },
  },
  { kind: 'AuthorizationPolicy', name: 'target', spec: { targetRefs: [gatewayTarget] } },
  { kind: 'AuthorizationPolicy', name: 'class', namespace: 'istio-system', spec: { targetRefs: [classTarget] } },
  { kind: 'AuthorizationPolicy', name: 'class-foo', spec: { targetRefs: [classTarget] } },
])

test('which policies attach depends on what the workload is', () => {
  const names = (role: Workload['role']) =>
    authorizationPoliciesFor(policies, { ...workload, role }).map((policy) => policy.meta.name)
  const bySelector = ['everyone', 'namespace', 'root', 'selected']
  assert.deepEqual(names({ kind: 'sidecar' }), bySelector)
  assert.deepEqual(names({ kind: 'gateway' }), bySelector)
  assert.deepEqual(names({ kind: 'gatewayApi', gateway: 'g' }), [...bySelector, 'target'])
  assert.deepEqual(names({ kind: 'gatewayApi', gateway: 'h' }), bySelector)
  assert.deepEqual(names({ kind: 'waypoint', gateway: 'g' }), ['class', 'target'])
})

test('policies sort by creation time, then name, then namespace', () => {
  const mesh = meshOf([
    { kind: 'AuthorizationPolicy', name: 'b', created: '2026-01-01T00:00:00Z', spec: {} },
    { kind: 'AuthorizationPolicy', name: 'a', created: '2026-01-01T00:00:00Z', namespace: 'istio-system', spec: {} },
    { kind: 'AuthorizationPolicy', name: 'a', created: '2026-01-01T00:00:00Z', spec: {} },
    { kind: 'AuthorizationPolicy', name: 'z', created: '2025-01-01T00:00:00Z', spec: {} },
  ])
  assert.deepEqual(
    authorizationPoliciesFor(mesh, workload).map(({ meta }) => `${meta.namespace}/${meta.name}`),
    ['foo/z', 'foo/a', 'istio-system/a', 'foo/b'],
  )
})

test('JWT rules of all policies sort by issuer', () => {
  const rules = (...issuers: string[]) => ({ jwtRules: issuers.map((issuer) => ({ issuer, jwks: '{"keys":[]}' })) })
  const mesh = meshOf([
    { kind: 'RequestAuthentication', name: 'root', namespace: 'istio-system', spec: rules('b', 'a') },
    {
      kind: 'RequestAuthentication',
      name: 'own',
      spec: { jwtRules: [{ issuer: 'b', jwksUri: 'https://own' }, { jwksUri: 'https://any' }] },
    },
    { kind: 'RequestAuthentication', name: 'other', namespace: 'bar', spec: rules('c') },
  ])
  assert.deepEqual(
    jwtRulesFor(mesh, workload).map(({ issuer, keys }) => [issuer, keys.kind]),
    [
      [null, 'uri'],
      ['a', 'inline'],
      ['b', 'uri'],
      ['b', 'inline'],
    ],
  )
})

test('the mTLS mode comes from the nearest level that sets one', () => {
  const selector = { matchLabels: { app: 'web' } }
  const mode = (items: Item[], port = 80) => mtlsModeFor(meshOf(items), workload, port)
  const own = (name: string, spec: object, created?: string): Item => ({
    kind: 'PeerAuthentication',
    name,
    spec: { selector, ...spec },
    ...(created === undefined ? {} : { created }),
  })
  const root: Item = {
    kind: 'PeerAuthentication',
    name: 'root',
    namespace: 'istio-system',
    spec: { mtls: { mode: 'STRICT' } },
  }
  const namespace: Item = { kind: 'PeerAuthentication', name: 'ns', spec: { mtls: { mode: 'DISABLE' } } }
  assert.equal(mode([]), 'PERMISSIVE')
  assert.equal(mode([root]), 'STRICT')
  assert.equal(mode([root, namespace]), 'DISABLE')
  assert.equal(mode([root, { ...namespace, spec: {} }]), 'STRICT')
  assert.equal(mode([root, namespace, own('w', { mtls: { mode: 'PERMISSIVE' } })]), 'PERMISSIVE')
  const ports = own('w', {
    mtls: { mode: 'STRICT' },
    portLevelMtls: { 80: { mode: 'DISABLE' }, 81: { mode: 'UNSET' } },
  })
  assert.equal(mode([ports]), 'DISABLE')
  assert.equal(mode([ports], 81), 'STRICT')
  assert.equal(mode([ports], 82), 'STRICT')
  assert.equal(mode([{ ...root, spec: { selector, mtls: { mode: 'STRICT' } } }]), 'PERMISSIVE')
  assert.equal(
    mode([
      own('a', { mtls: { mode: 'STRICT' } }, '2026-01-02T00:00:00Z'),
      own('b', { mtls: { mode: 'DISABLE' } }, '2026-01-01T00:00:00Z'),
    ]),
    'DISABLE',
  )
})

test('the Sidecar that selects the workload wins', () => {
  const root: Item = { kind: 'Sidecar', name: 'root', namespace: 'istio-system', spec: {} }
  const namespace: Item = { kind: 'Sidecar', name: 'ns', spec: {} }
  const own: Item = { kind: 'Sidecar', name: 'own', spec: { workloadSelector: { labels: { app: 'web' } } } }
  const other: Item = { kind: 'Sidecar', name: 'other', spec: { workloadSelector: { labels: { app: 'x' } } } }
  const name = (...items: Item[]) => sidecarFor(meshOf(items), workload)?.meta.name ?? null
  assert.equal(name(root, namespace, other, own), 'own')
  assert.equal(name(root, other, namespace), 'ns')
  assert.equal(name(root, other), 'root')
  assert.equal(name(other), null)
})
