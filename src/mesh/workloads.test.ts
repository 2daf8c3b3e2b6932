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
    [['SP111', 19, 19, 'the WorkloadEntry `foo/web` and the Deployment of that name (a.yaml:1) are two workloads']],
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
