import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseSource } from '../source/parse.ts'
import { authorizationPoliciesFor, jwtRulesFor, mtlsModeFor, sidecarFor } from './attach.ts'
import { loadMesh } from './load.ts'
import type { TargetService } from './service.ts'
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

const GATEWAY_API = 'gateway.networking.k8s.io'
const gatewayTarget = { group: GATEWAY_API, kind: 'Gateway', name: 'g' }
const classTarget = { group: GATEWAY_API, kind: 'GatewayClass', name: 'istio-waypoint' }
const serviceTarget = { group: '', kind: 'Service', name: 's' }
const entryTarget = { group: 'networking.istio.io', kind: 'ServiceEntry', name: 's' }

/** Every way to attach, once as an AuthorizationPolicy and once as a RequestAuthentication. */
const attachments: readonly Omit<Item, 'kind'>[] = [
  { name: 'namespace', spec: {} },
  { name: 'selected', spec: { selector: { matchLabels: { app: 'web' } } } },
  { name: 'unselected', spec: { selector: { matchLabels: { app: 'web', version: 'v2' } } } },
  { name: 'everyone', spec: { selector: {} } },
  { name: 'elsewhere', namespace: 'bar', spec: {} },
  { name: 'elsewhere-selected', namespace: 'bar', spec: { selector: { matchLabels: { app: 'web' } } } },
  { name: 'root', namespace: 'istio-system', spec: {} },
  { name: 'root-selected', namespace: 'istio-system', spec: { selector: { matchLabels: { app: 'web' } } } },
  { name: 'root-unselected', namespace: 'istio-system', spec: { selector: { matchLabels: { app: 'x' } } } },
  { name: 'gateway', spec: { targetRefs: [gatewayTarget] } },
  { name: 'gateway-singular', spec: { targetRef: gatewayTarget } },
  { name: 'gateway-second', spec: { targetRefs: [{ ...gatewayTarget, name: 'h' }, gatewayTarget] } },
  { name: 'gateway-plural-wins', spec: { targetRef: gatewayTarget, targetRefs: [{ ...gatewayTarget, name: 'h' }] } },
  { name: 'gateway-and-selector', spec: { selector: { matchLabels: { no: 'one' } }, targetRefs: [gatewayTarget] } },
  { name: 'gateway-own-namespace', spec: { targetRefs: [{ ...gatewayTarget, namespace: 'foo' }] } },
  { name: 'gateway-other-namespace', spec: { targetRefs: [{ ...gatewayTarget, namespace: 'bar' }] } },
  { name: 'gateway-from-root', namespace: 'istio-system', spec: { targetRefs: [gatewayTarget] } },
  { name: 'gateway-from-bar', namespace: 'bar', spec: { targetRefs: [gatewayTarget] } },
  { name: 'gateway-of-istio', spec: { targetRefs: [{ ...gatewayTarget, group: 'networking.istio.io' }] } },
  { name: 'class', namespace: 'istio-system', spec: { targetRefs: [classTarget] } },
  { name: 'class-other', namespace: 'istio-system', spec: { targetRefs: [{ ...classTarget, name: 'istio' }] } },
  { name: 'class-from-foo', spec: { targetRefs: [classTarget] } },
  { name: 'service', spec: { targetRefs: [serviceTarget] } },
  { name: 'service-core', spec: { targetRefs: [{ ...serviceTarget, group: 'core' }] } },
  { name: 'service-other', spec: { targetRefs: [{ ...serviceTarget, name: 't' }] } },
  { name: 'service-from-root', namespace: 'istio-system', spec: { targetRefs: [serviceTarget] } },
  { name: 'service-from-bar', namespace: 'bar', spec: { targetRefs: [serviceTarget] } },
  { name: 'entry', spec: { targetRefs: [entryTarget] } },
  { name: 'entry-from-bar', namespace: 'bar', spec: { targetRefs: [entryTarget] } },
]

const policies = meshOf(
  attachments.flatMap(({ spec, ...item }) => [
    { ...item, kind: 'AuthorizationPolicy', spec },
    {
      ...item,
      kind: 'RequestAuthentication',
      spec: { ...(spec as object), jwtRules: [{ issuer: item.name, jwks: '{"keys":[]}' }] },
    },
  ]),
)

const bySelector = ['everyone', 'namespace', 'root', 'root-selected', 'selected']
const byGateway = ['gateway', 'gateway-and-selector', 'gateway-own-namespace', 'gateway-second', 'gateway-singular']
const at = (kind: TargetService['kind'], namespace: string): TargetService => ({ kind, namespace, name: 's' })

const rows: readonly [title: string, Workload['role'], TargetService | null, expected: readonly string[]][] = [
  ['a sidecar', { kind: 'sidecar' }, null, bySelector],
  ['a sidecar, whatever the service', { kind: 'sidecar' }, at('Service', 'bar'), bySelector],
  ['a classic gateway', { kind: 'gateway' }, null, bySelector],
  ['a Gateway API gateway', { kind: 'gatewayApi', gateway: 'g' }, null, [...bySelector, ...byGateway]],
  ['a gateway of another name', { kind: 'gatewayApi', gateway: 'x' }, null, bySelector],
  ['a gateway, whatever the service', { kind: 'gatewayApi', gateway: 'x' }, at('Service', 'foo'), bySelector],
  ['a waypoint', { kind: 'waypoint', gateway: 'g' }, null, ['class', ...byGateway]],
  ['a waypoint of another name', { kind: 'waypoint', gateway: 'x' }, null, ['class']],
  [
    'a waypoint for a Service',
    { kind: 'waypoint', gateway: 'x' },
    at('Service', 'foo'),
    ['class', 'service', 'service-core'],
  ],
  [
    'a waypoint for a Service of another namespace',
    { kind: 'waypoint', gateway: 'g' },
    at('Service', 'bar'),
    ['class', ...byGateway, 'service-from-bar'],
  ],
  [
    'a waypoint for a Service of the root namespace',
    { kind: 'waypoint', gateway: 'x' },
    at('Service', 'istio-system'),
    ['class', 'service-from-root'],
  ],
  ['a waypoint for a ServiceEntry', { kind: 'waypoint', gateway: 'x' }, at('ServiceEntry', 'foo'), ['class', 'entry']],
  [
    'a waypoint for a ServiceEntry of another namespace',
    { kind: 'waypoint', gateway: 'x' },
    at('ServiceEntry', 'bar'),
    ['class', 'entry-from-bar'],
  ],
]

for (const [title, role, service, expected] of rows) {
  test(`which policies attach to ${title}`, () => {
    const placed = { ...workload, role }
    const names = authorizationPoliciesFor(policies, placed, service).map(({ meta }) => meta.name)
    assert.deepEqual(names, [...expected].sort())
    const issuers = jwtRulesFor(policies, placed, service).map(({ issuer }) => issuer)
    assert.deepEqual(issuers, [...expected].sort())
  })
}

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

test('JWT rules of one issuer: the namespace before the root namespace before the service', () => {
  const rule = (jwksUri: string) => [{ issuer: 'i', jwksUri }]
  const mesh = meshOf([
    {
      kind: 'RequestAuthentication',
      name: 'a',
      namespace: 'bar',
      spec: { targetRefs: [serviceTarget], jwtRules: rule('https://service') },
    },
    {
      kind: 'RequestAuthentication',
      name: 'b',
      namespace: 'istio-system',
      spec: { targetRefs: [classTarget], jwtRules: rule('https://root') },
    },
    { kind: 'RequestAuthentication', name: 'c', spec: { targetRefs: [gatewayTarget], jwtRules: rule('https://own') } },
  ])
  const rules = jwtRulesFor(mesh, { ...workload, role: { kind: 'waypoint', gateway: 'g' } }, at('Service', 'bar'))
  assert.deepEqual(
    rules.map(({ keys }) => (keys.kind === 'uri' ? keys.uri : null)),
    ['https://own', 'https://root', 'https://service'],
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

test('STRICT asks nothing of the clients of a gateway', () => {
  const text = (labels: string) => `apiVersion: apps/v1
kind: Deployment
metadata: { name: gw, namespace: foo }
spec: { selector: { matchLabels: { app: gw } }, template: { metadata: { labels: { app: gw } } } }
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: g, namespace: foo }
spec: { selector: { app: ${labels} }, servers: [{ port: { number: 80, name: http, protocol: HTTP }, hosts: ["*"] }] }
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: default, namespace: foo }
spec: { mtls: { mode: STRICT } }
`
  const modeOf = (labels: string) => {
    const { mesh } = loadMesh(parseSource('mesh.yaml', text(labels)).documents)
    return mtlsModeFor(mesh, mesh.workloads.get('foo/gw') ?? assert.fail(), 80)
  }
  assert.deepEqual([modeOf('gw'), modeOf('other')], ['PERMISSIVE', 'STRICT'])
})
