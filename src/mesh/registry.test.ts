import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseSource } from '../source/parse.ts'
import { loadMesh } from './load.ts'
import { usableProvider } from './providers.ts'
import type { FoundService } from './registry.ts'
import { findOutboundService, findService, serviceOfHost } from './registry.ts'

function load(text: string) {
  const { mesh, diagnostics } = loadMesh(parseSource('a.yaml', text).documents)
  assert.deepEqual(diagnostics, [])
  return mesh
}

const mesh = load(`apiVersion: v1
kind: Service
metadata: { name: web, namespace: foo }
spec:
  selector: { app: web }
  ports:
  - { name: http, port: 80, targetPort: main }
  - { name: grpc, port: 90, targetPort: 9090 }
---
apiVersion: v1
kind: Service
metadata: { name: alias, namespace: foo }
spec: { type: ExternalName, externalName: example.org, ports: [{ port: 443 }] }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: web, namespace: foo }
spec:
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec: { serviceAccountName: web, containers: [{ ports: [{ name: main, containerPort: 8080 }] }] }
---
apiVersion: v1
kind: Pod
metadata: { name: web-1, namespace: foo, labels: { app: web } }
spec: { serviceAccountName: web, containers: [{ ports: [{ name: main, containerPort: 8081 }] }] }
status: { podIP: 10.0.0.1 }
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: { name: vm, namespace: foo }
spec: { address: 127.0.0.2, labels: { app: web }, serviceAccount: vm, ports: { grpc: 19090 } }
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: static, namespace: foo }
spec:
  hosts: [static.local]
  resolution: STATIC
  ports: [{ name: grpc, number: 9191, protocol: GRPC, targetPort: 9292 }]
  endpoints: [{ address: 127.0.0.1 }, { address: 127.0.0.3, ports: { grpc: 1 } }, { address: "unix:///run/x" }]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: dns, namespace: foo }
spec: { hosts: [dns.local, other.local], resolution: DNS, ports: [{ name: http, number: 80, protocol: HTTP }] }
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: none, namespace: foo }
spec: { hosts: [none.local], ports: [{ name: http, number: 80, protocol: HTTP }] }
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: selecting, namespace: foo }
spec:
  hosts: [vm.local]
  resolution: STATIC
  ports: [{ name: http, number: 80, protocol: HTTP }]
  workloadSelector: { labels: { app: web } }
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: dns, namespace: bar }
spec: { hosts: [dns.local], resolution: DNS_ROUND_ROBIN, ports: [{ name: http, number: 80 }] }
`)

function endpoints(service: string, port: number): string[] {
  const found = findService(mesh, service, port)
  assert.equal(found.kind, 'found', service)
  return (found as FoundService).endpoints.map(({ address, port }) => `${address}:${port}`)
}

test('endpoints of Services', () => {
  assert.deepEqual(endpoints('web.foo.svc.cluster.local', 80), ['10.0.0.1:8081', '127.0.0.2:8080'])
  assert.deepEqual(endpoints('web.foo.svc.cluster.local', 90), ['10.0.0.1:9090', '127.0.0.2:19090'])
  assert.deepEqual(endpoints('foo/web.foo.svc.cluster.local', 90), ['10.0.0.1:9090', '127.0.0.2:19090'])
  assert.deepEqual(endpoints('web.foo.svc.cluster.local', 81), [])
  assert.deepEqual(endpoints('alias.foo.svc.cluster.local', 443), ['example.org:443'])
  const found = findService(mesh, 'web.foo.svc.cluster.local', 80) as FoundService
  assert.deepEqual(
    found.endpoints.map((e) => [e.workload?.name, e.serviceAccount]),
    [
      ['web', 'web'],
      ['web', 'vm'],
    ],
  )
})

test('endpoints of ServiceEntries', () => {
  assert.deepEqual(endpoints('static.local', 9191), ['127.0.0.1:9292', '127.0.0.3:1', 'unix:///run/x:0'])
  assert.deepEqual(endpoints('other.local', 80), ['other.local:80'])
  assert.deepEqual(endpoints('vm.local', 80), ['10.0.0.1:80', '127.0.0.2:80'])
  assert.deepEqual(endpoints('bar/dns.local', 80), ['dns.local:80'])
})

test('hosts that a provider cannot have', () => {
  const reason = (service: string) => {
    const found = findService(mesh, service, 80)
    assert.equal(found.kind, 'unknown')
    assert.ok(found.kind === 'unknown' && found.hosts.includes('static.local'))
    return found.reason
  }
  assert.equal(reason('web'), 'could not find service web in Istio service registry')
  assert.equal(reason('none.local'), 'could not find service none.local in Istio service registry')
  assert.equal(reason('bar/static.local'), 'could not find service bar/static.local in Istio service registry')
  assert.match(reason('dns.local'), /^found dns\.local in multiple namespaces \[foo bar\]/)
})

test('short names lead out of a workload', () => {
  const host = (name: string, namespace = 'foo') => findOutboundService(mesh, namespace, name, 80)?.host ?? null
  const full = 'web.foo.svc.cluster.local'
  assert.equal(host('web'), full)
  assert.equal(host('web', 'bar'), null)
  assert.equal(host('web.foo', 'bar'), full)
  assert.equal(host('Web.foo.svc'), full)
  assert.equal(host(full), full)
  assert.equal(host('other.local'), 'other.local')
  assert.equal(host('example.org'), null)
  assert.equal(findOutboundService(mesh, 'bar', 'dns.local', 80)?.namespace, 'bar')
})

test('which providers can be used', () => {
  const providers = (text: string) =>
    load(`extensionProviders:\n${text}---\napiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: s }
spec: { hosts: [a.local], resolution: STATIC, ports: [{ name: g, number: 9 }], endpoints: [{ address: 127.0.0.1 }] }
`)
  const reason = (fields: string, kind = 'envoyExtAuthzHttp', name = 'p') => {
    const use = usableProvider(providers(`- name: ${name}\n  ${kind}: { ${fields} }\n`), name)
    return use.kind === 'usable' ? null : use.reason
  }
  assert.equal(reason('service: a.local, port: 9', 'envoyExtAuthzGrpc', 'opa.local'), null)
  assert.equal(
    reason('service: b.local, port: 9'),
    'found errors in provider p: could not find service b.local in Istio service registry',
  )
  assert.match(reason('port: 9') ?? '', /service must not be empty/)
  assert.match(reason('service: "*.local", port: 9') ?? '', /invalid service fmt/)
  assert.match(reason('service: a.local') ?? '', /port must be in the range \[1, 65535\], found: 0/)
  assert.match(reason('service: a.local, port: 9, statusOnError: "999"') ?? '', /unsupported statusOnError value 999/)
  assert.match(reason('service: a.local, port: 9, pathPrefix: check') ?? '', /pathPrefix should begin with `\/`/)
  assert.match(reason('service: a.local, port: 9, headersToUpstreamOnAllow: [a, "*"]') ?? '', /a single wildcard/)
  assert.match(reason('service: a.local, port: 9, includeRequestBodyInCheck: {}') ?? '', /maxRequestBytes/)
  assert.match(reason('service: a.local, port: 9', 'envoyExtAuthzGrpc', 'P') ?? '', /invalid provider name/)
  const mesh = providers('- name: a\n  envoyExtAuthzGrpc: {}\n- name: b\n  prometheus: {}\n')
  assert.deepEqual(usableProvider(mesh, 'x'), { kind: 'unusable', reason: 'available providers are [a] but found "x"' })
  assert.deepEqual(usableProvider(mesh, 'b'), { kind: 'unusable', reason: 'available providers are [a] but found "b"' })
})

test('the host of a request at a waypoint', () => {
  const entry = (name: string, namespace: string, host: string) => `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: ${name}, namespace: ${namespace} }
spec: { hosts: ["${host}"], resolution: NONE, ports: [{ number: 80, protocol: HTTP }] }
`
  const service = (name: string, namespace: string) => `apiVersion: v1
kind: Service
metadata: { name: ${name}, namespace: ${namespace} }
spec: { ports: [{ port: 80 }] }
`
  const services = load(
    [
      service('web', 'foo'),
      service('web', 'bar'),
      entry('exact', 'bar', 'Api.example.com'),
      entry('one', 'bar', '*.example.com'),
      entry('two', 'bar', '*.eu.example.com'),
      entry('theirs', 'bar', 'both.com'),
      entry('ours', 'foo', 'both.com'),
    ].join('---\n'),
  )
  const of = (host: string) => {
    const found = serviceOfHost(services, 'foo', host)
    return found === null ? null : `${found.kind} ${found.namespace}/${found.name}`
  }
  assert.equal(of('web'), 'Service foo/web')
  assert.equal(of('WEB:8080'), 'Service foo/web')
  assert.equal(of('web.bar'), 'Service bar/web')
  assert.equal(of('web.bar.svc:80'), 'Service bar/web')
  assert.equal(of('web.bar.svc.cluster.local'), 'Service bar/web')
  assert.equal(of('web.bar.svc.cluster.local.:80'), 'Service bar/web')
  assert.equal(of('web.baz'), null)
  assert.equal(of('api.example.com'), 'ServiceEntry bar/exact')
  assert.equal(of('x.example.com'), 'ServiceEntry bar/one')
  assert.equal(of('y.x.example.com'), 'ServiceEntry bar/one')
  assert.equal(of('x.eu.example.com:443'), 'ServiceEntry bar/two')
  assert.equal(of('example.com'), null)
  assert.equal(of('both.com'), 'ServiceEntry foo/ours')
  assert.equal(of('[::1]:80'), null)
  assert.equal(of(''), null)
})
