import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseSource } from '../source/parse.ts'
import { type EndpointTls, endpointTls, type MutualTls } from './endpoint-tls.ts'
import { loadMesh } from './load.ts'
import { findService } from './registry.ts'

interface Setup {
  /** Of the WorkloadEntry. */
  readonly labels?: string
  readonly mesh?: string
  readonly more?: readonly string[]
  readonly host?: string
}

const HOST = 'authz.shop.svc.cluster.local'
const sidecar = `apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: { name: authz, namespace: shop }
spec: { workloadSelector: { labels: { app: authz } } }
`
const peers = (name: string, mode: string, selector = '') => `apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: ${name}, namespace: shop }
spec: { ${selector} mtls: { mode: ${mode} } }
`
const rule = (tls: string) => `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: authz, namespace: shop }
spec: { host: "*", trafficPolicy: { tls: ${tls} } }
`
const entry = (spec: string) => `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: outside, namespace: shop }
spec: { hosts: [authz.example], ports: [{ number: 9191, name: grpc }], ${spec} }
`

function tlsOf({ labels = 'app: authz', mesh: config = '{}', more = [], host = HOST }: Setup): EndpointTls {
  const text = [
    `apiVersion: v1
kind: ConfigMap
metadata: { name: istio, namespace: istio-system }
data: { mesh: '${config}' }
`,
    `apiVersion: v1
kind: Service
metadata: { name: authz, namespace: shop }
spec: { selector: { app: authz }, ports: [{ name: grpc, port: 9191 }] }
`,
    `apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: { name: authz, namespace: shop }
spec: { address: 10.0.0.1, labels: { ${labels} }, serviceAccount: authz }
`,
    ...more,
  ]
  const { mesh, diagnostics } = loadMesh(parseSource('a.yaml', text.join('---\n')).documents)
  assert.deepEqual(diagnostics, [])
  const found = findService(mesh, host, 9191)
  assert.ok(found.kind === 'found' && found.endpoints.length === 1)
  return endpointTls(mesh, { namespace: 'web', labels: {} }, found, 9191, found.endpoints[0] as never)
}

const mutual: MutualTls = {
  kind: 'istioMutual',
  serverName: `outbound_.9191_._.${HOST}`,
  expectedIds: ['spiffe://cluster.local/ns/shop/sa/authz'],
  subjectAltNames: [],
}
const plaintext: EndpointTls = { kind: 'plaintext' }

test('mutual TLS goes where the other side takes it, and nowhere else', () => {
  const istio = 'app: authz, security.istio.io/tlsMode: istio'
  const table: [what: string, setup: Setup, expected: EndpointTls][] = [
    ['nothing says that it does', {}, plaintext],
    ['a Sidecar', { more: [sidecar] }, mutual],
    ["Istio's label", { labels: istio }, mutual],
    [
      'another label, whatever the Sidecar says',
      { labels: 'app: authz, security.istio.io/tlsMode: disabled', more: [sidecar] },
      plaintext,
    ],
    ['a Sidecar, PERMISSIVE', { more: [sidecar, peers('p', 'PERMISSIVE')] }, mutual],
    ['a Sidecar, DISABLE', { more: [sidecar, peers('p', 'DISABLE')] }, plaintext],
    ['the label, DISABLE', { labels: istio, more: [peers('p', 'DISABLE')] }, plaintext],
    ['STRICT for the namespace', { more: [peers('p', 'STRICT')] }, mutual],
    ['STRICT for the workload', { more: [peers('p', 'STRICT', 'selector: { matchLabels: { app: authz } },')] }, mutual],
    ['STRICT for another', { more: [peers('p', 'STRICT', 'selector: { matchLabels: { app: other } },')] }, plaintext],
    [
      'STRICT, but no proxy',
      { labels: 'app: authz, sidecar.istio.io/inject: "false"', more: [peers('p', 'STRICT')] },
      plaintext,
    ],
    ['no auto mTLS', { mesh: 'enableAutoMtls: false', more: [sidecar, peers('p', 'STRICT')] }, plaintext],
    [
      'aliases of the trust domain',
      { mesh: 'trustDomainAliases: [old.local]', more: [sidecar] },
      { ...mutual, expectedIds: [...mutual.expectedIds, 'spiffe://old.local/ns/shop/sa/authz'] },
    ],
  ]
  for (const [what, setup, expected] of table) assert.deepEqual(tlsOf(setup), expected, what)
})

test('what is outside of the mesh gets none without a DestinationRule; its names are then expected', () => {
  const host = 'authz.example'
  const names = 'subjectAltNames: ["spiffe://partner/ns/a/sa/b"]'
  const selecting = 'resolution: STATIC, workloadSelector: { labels: { app: authz } }'
  const serverName = 'outbound_.9191_._.authz.example'
  assert.deepEqual(tlsOf({ host, more: [sidecar, entry(selecting)] }), plaintext)
  const inside = tlsOf({ host, more: [sidecar, entry(`${selecting}, location: MESH_INTERNAL`)] })
  assert.deepEqual(inside, { ...mutual, serverName })
  const external = `resolution: DNS, ${names}`
  assert.deepEqual(tlsOf({ host, more: [entry(external), rule('{ mode: ISTIO_MUTUAL }')] }), {
    ...mutual,
    serverName,
    expectedIds: ['spiffe://partner/ns/a/sa/b'],
  })
})

test('a DestinationRule decides alone', () => {
  const more = (tls: string) => [sidecar, peers('p', 'STRICT'), rule(tls)]
  assert.deepEqual(tlsOf({ more: more('{ mode: DISABLE }') }), plaintext)
  assert.deepEqual(tlsOf({ more: [rule('{ mode: ISTIO_MUTUAL }')] }), mutual)
  assert.deepEqual(tlsOf({ more: [rule('{ mode: ISTIO_MUTUAL, sni: a, subjectAltNames: [b] }')] }), {
    ...{ kind: 'istioMutual', serverName: 'a', expectedIds: [], subjectAltNames: ['b'] },
  })
  const simple: EndpointTls = {
    ...{ kind: 'originated', serverName: HOST, subjectAltNames: [HOST], caCertificates: '', caCrl: '', client: null },
    insecureSkipVerify: false,
  }
  assert.deepEqual(tlsOf({ more: [rule('{ mode: SIMPLE }')] }), simple)
  assert.deepEqual(tlsOf({ more: [rule('{ mode: SIMPLE, sni: a }')] }), {
    ...{ ...simple, serverName: 'a', subjectAltNames: ['a'] },
  })
  assert.deepEqual(tlsOf({ more: [rule('{ mode: SIMPLE, insecureSkipVerify: true }')] }), {
    ...{ ...simple, subjectAltNames: [], insecureSkipVerify: true },
  })
  const files = 'clientCertificate: /c, privateKey: /k, caCertificates: /a'
  assert.deepEqual(tlsOf({ more: [rule(`{ mode: MUTUAL, ${files} }`)] }), {
    ...{ ...simple, caCertificates: '/a', client: { certificate: '/c', key: '/k' } },
  })
  for (const tls of ['{ mode: SIMPLE, credentialName: x }', '{ mode: MUTUAL, clientCertificate: /c }']) {
    assert.equal(tlsOf({ more: [rule(tls)] }).kind, 'unusable', tls)
  }
})
