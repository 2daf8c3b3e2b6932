import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseSource } from '../source/parse.ts'
import { loadMesh } from './load.ts'

function load(text: string) {
  return loadMesh(parseSource('a.yaml', text).documents)
}

const deployment = `apiVersion: apps/v1
kind: Deployment
metadata: { name: web, namespace: foo }
spec:
  replicas: 2
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web, version: v1 } }
    spec:
      serviceAccountName: web
      containers:
      - image: x
        ports: [{ containerPort: 8080, name: main }, { containerPort: 9090, name: grpc-admin }]
      - image: y
        ports: [{ containerPort: 53, protocol: UDP }]
`

test('a Deployment with its Services, Pods and entries', () => {
  const { mesh, diagnostics } = load(`${deployment}---
apiVersion: v1
kind: Service
metadata: { name: web, namespace: foo }
spec:
  selector: { app: web }
  ports:
  - { name: http, port: 80, targetPort: main }
  - { name: tcp-x, port: 7000 }
---
apiVersion: v1
kind: Service
metadata: { name: none, namespace: foo }
spec:
  ports: [{ port: 1 }]
---
apiVersion: v1
kind: Pod
metadata: { name: web-1, namespace: foo, labels: { app: web, version: v1, hash: x } }
spec: { containers: [] }
status: { podIP: 10.0.0.1, podIPs: [{ ip: 10.0.0.1 }, { ip: "fd00::1" }] }
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: { name: web-vm, namespace: foo }
spec: { address: 127.0.0.2, labels: { app: web }, serviceAccount: web, ports: { http: 8888 } }
`)
  assert.deepEqual(diagnostics, [])
  assert.deepEqual([...mesh.workloads.keys()], ['foo/web'])
  const { origin: _, ...web } = mesh.workloads.get('foo/web') ?? assert.fail()
  assert.deepEqual(web, {
    kind: 'Deployment',
    namespace: 'foo',
    name: 'web',
    labels: { app: 'web', version: 'v1' },
    serviceAccount: 'web',
    role: { kind: 'sidecar' },
    ports: [
      { number: 53, name: '', protocol: 'udp' },
      { number: 7000, name: 'tcp-x', protocol: 'tcp' },
      { number: 8080, name: 'http', protocol: 'http' },
      { number: 9090, name: 'grpc-admin', protocol: 'grpc' },
    ],
    addresses: ['10.0.0.1', 'fd00::1', '127.0.0.2'],
  })
  assert.deepEqual(mesh.instances.at(-1), {
    namespace: 'foo',
    workload: 'foo/web',
    address: '127.0.0.2',
    labels: { app: 'web' },
    serviceAccount: 'web',
    ports: new Map([['http', 8888]]),
    containerPorts: new Map([
      ['main', 8080],
      ['grpc-admin', 9090],
    ]),
  })
})

test('Pods, groups and entries that belong to nothing else are workloads', () => {
  const { mesh, diagnostics } = load(`apiVersion: v1
kind: Pod
metadata: { name: p, labels: { app: p } }
spec: { containers: [{ ports: [{ containerPort: 80 }] }] }
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: { name: e }
spec: { address: 10.1.1.1, labels: { app: e }, ports: { http: 8080 } }
---
apiVersion: networking.istio.io/v1
kind: WorkloadGroup
metadata: { name: g }
spec:
  metadata: { labels: { app: g } }
  template: { serviceAccount: g, ports: { tcp: 9 } }
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: { name: g-1 }
spec: { address: 10.1.1.2, labels: { app: g }, serviceAccount: g }
`)
  assert.deepEqual(diagnostics, [])
  const seen = [...mesh.workloads.values()].map((w) => [w.kind, w.name, w.serviceAccount, w.ports, w.addresses])
  assert.deepEqual(seen, [
    ['Pod', 'p', 'default', [{ number: 80, name: '', protocol: 'auto' }], []],
    ['WorkloadEntry', 'e', 'default', [{ number: 8080, name: 'http', protocol: 'http' }], ['10.1.1.1']],
    ['WorkloadGroup', 'g', 'g', [{ number: 9, name: 'tcp', protocol: 'tcp' }], ['10.1.1.2']],
  ])
})

test('two unrelated workloads of one name are an error that names both', () => {
  const { diagnostics } = load(`${deployment}---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: { name: web, namespace: foo }
spec: { address: 127.0.0.2, labels: { app: other } }
`)
  assert.deepEqual(
    diagnostics.map((d) => [d.code, d.line, d.column, d.message]),
    [['SP111', 19, 13, 'the WorkloadEntry `foo/web` and the Deployment of that name (a.yaml:1) are two workloads']],
  )
})

test('gateways and waypoints are told by what Istio puts on them', () => {
  const role = (labels: string, annotations = '{}') =>
    load(
      deployment.replace('labels: { app: web, version: v1 }', `labels: ${labels}, annotations: ${annotations}`),
    ).mesh.workloads.get('foo/web')?.role
  assert.deepEqual(role('{ gateway.networking.k8s.io/gateway-name: g }'), { kind: 'gatewayApi', gateway: 'g' })
  assert.deepEqual(
    role('{ gateway.networking.k8s.io/gateway-name: w, gateway.istio.io/managed: istio.io-mesh-controller }'),
    { kind: 'waypoint', gateway: 'w' },
  )
  assert.deepEqual(role('{}', '{ inject.istio.io/templates: gateway }'), { kind: 'gateway' })
})

test('a Pod belongs to the workload whose selector asks for most', () => {
  const canary = deployment
    .replace('name: web,', 'name: canary,')
    .replace('matchLabels: { app: web }', 'matchLabels: { app: web, version: v2 }')
    .replace('version: v1', 'version: v2')
  const pod =
    'apiVersion: v1\nkind: Pod\nmetadata: { name: x, namespace: foo, labels: { app: web, version: v2 } }\nstatus: { podIP: 10.0.0.9 }\n'
  const { mesh, diagnostics } = load(`${deployment}---\n${canary}---\n${pod}`)
  assert.deepEqual(diagnostics, [])
  assert.deepEqual(mesh.workloads.get('foo/canary')?.addresses, ['10.0.0.9'])
  assert.deepEqual(mesh.workloads.get('foo/web')?.addresses, [])
})

const kubernetesGateway = (name: string, className: string, more = '') => `apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: { name: ${name}, namespace: foo, labels: { team: net, gateway.networking.k8s.io/own: x }${more} }
spec:
  gatewayClassName: ${className}
  listeners: [{ name: web, port: 80, protocol: HTTP, hostname: "*.example.com" }, { name: tls, port: 443, protocol: HTTPS }]
`

const roles = (...texts: string[]) => {
  const { mesh, diagnostics } = load(texts.join('---\n'))
  assert.deepEqual(diagnostics, [])
  return Object.fromEntries([...mesh.workloads].map(([key, { role }]) => [key, role]))
}

test('a Gateway API gateway is a workload by its own name', () => {
  const { mesh, diagnostics } = load(kubernetesGateway('edge', 'istio'))
  assert.deepEqual(diagnostics, [])
  const { origin: _, ...edge } = mesh.workloads.get('foo/edge') ?? assert.fail()
  assert.deepEqual(edge, {
    kind: 'Gateway',
    namespace: 'foo',
    name: 'edge',
    labels: {
      team: 'net',
      'gateway.networking.k8s.io/gateway-name': 'edge',
      'gateway.networking.k8s.io/gateway-class-name': 'istio',
      'gateway.istio.io/managed': 'istio.io-gateway-controller',
    },
    serviceAccount: 'edge-istio',
    role: { kind: 'gatewayApi', gateway: 'edge' },
    ports: [
      { number: 80, name: 'web', protocol: 'http' },
      { number: 443, name: 'tls', protocol: 'https' },
    ],
    addresses: [],
  })
})

test('a Gateway of the class istio-waypoint is a waypoint', () => {
  const { mesh } = load(kubernetesGateway('way', 'istio-waypoint'))
  const way = mesh.workloads.get('foo/way')
  assert.deepEqual(way?.role, { kind: 'waypoint', gateway: 'way' })
  assert.equal(way?.serviceAccount, 'way')
})

test('annotations of a Gateway name its service account', () => {
  const account = (annotations: string) =>
    load(kubernetesGateway('edge', 'istio', `, annotations: { ${annotations} }`)).mesh.workloads.get('foo/edge')
      ?.serviceAccount
  assert.equal(account('gateway.istio.io/service-account: sa'), 'sa')
  assert.equal(account('gateway.istio.io/name-override: other'), 'other')
})

const labelled = (name: string, label: string) =>
  deployment.replace('name: web,', `name: ${name},`).replace('version: v1 }', `${label} }`)

test('the Deployment that Istio made of a Gateway is a gateway too, and takes its place under one name', () => {
  const label = (name: string) => `gateway.networking.k8s.io/gateway-name: ${name}`
  const edge = { kind: 'gatewayApi', gateway: 'edge' }
  const way = { kind: 'waypoint', gateway: 'way' }
  assert.deepEqual(roles(labelled('edge-istio', label('edge')), kubernetesGateway('edge', 'istio')), {
    'foo/edge-istio': edge,
    'foo/edge': edge,
  })
  assert.deepEqual(roles(kubernetesGateway('way', 'istio-waypoint'), labelled('way', label('way'))), {
    'foo/way': way,
  })
  const managed = `${label('way')}, gateway.istio.io/managed: istio.io-mesh-controller`
  assert.deepEqual(roles(labelled('way', managed)), { 'foo/way': way })
  assert.deepEqual(roles(labelled('edge-istio', label('edge'))), { 'foo/edge-istio': edge })
})

const classic = (namespace: string, selector: string) => `apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: classic, namespace: ${namespace} }
spec:
  selector: ${selector}
  servers:
  - { port: { number: 443, name: https, protocol: HTTPS }, hosts: ["*"], tls: { mode: SIMPLE } }
  - { port: { number: 15443, name: tls, protocol: TLS }, hosts: ["bar/*.example.com"] }
`

test('what a Gateway selects, in any namespace, is a classic gateway', () => {
  assert.deepEqual(roles(deployment, classic('bar', '{ app: web }')), { 'foo/web': { kind: 'gateway' } })
  assert.deepEqual(roles(deployment, classic('foo', '{ app: x }')), { 'foo/web': { kind: 'sidecar' } })
  assert.deepEqual(roles(deployment, classic('foo', '{}')), { 'foo/web': { kind: 'sidecar' } })
})

test('a classic gateway listens where the Service of a server leads, or on the port itself', () => {
  const service = `apiVersion: v1
kind: Service
metadata: { name: web, namespace: foo }
spec: { selector: { app: web }, ports: [{ name: https, port: 443, targetPort: 8443 }] }
`
  const ports = load([deployment, service, classic('foo', '{ app: web }')].join('---\n')).mesh.workloads.get(
    'foo/web',
  )?.ports
  assert.deepEqual(
    ports?.map(({ number, protocol }) => [number, protocol]),
    [
      [53, 'udp'],
      [8080, 'auto'],
      [8443, 'https'],
      [9090, 'grpc'],
      [15443, 'tls'],
    ],
  )
})
