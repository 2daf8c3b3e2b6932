import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadMesh } from '../../mesh/load.ts'
import { parseSource } from '../../source/parse.ts'
import { analyze } from './analyze.ts'

/** What is found in a mesh with two providers and a workload with a port of HTTP and one of TCP. */
function found(text: string) {
  const all = `extensionProviders:
- name: grpc
  envoyExtAuthzGrpc: { service: a.test, port: 1 }
- name: http
  envoyExtAuthzHttp: { service: a.test, port: 1 }
- name: open
  envoyExtAuthzHttp: { service: a.test, port: 1, failOpen: true }
---
apiVersion: v1
kind: Service
metadata: { name: web, namespace: foo }
spec: { selector: { app: web }, ports: [{ name: http, port: 80 }, { name: tcp, port: 3306 }] }
---
apiVersion: v1
kind: Pod
metadata: { name: web, namespace: foo, labels: { app: web } }
spec: { containers: [{ name: main, ports: [{ containerPort: 80 }, { containerPort: 3306 }] }] }
---
${text}`
  const { documents, diagnostics } = parseSource('mesh.yaml', all)
  const loaded = loadMesh(documents, {})
  assert.deepEqual([...diagnostics, ...loaded.diagnostics], [])
  const lines = all.split('\n')
  return analyze(loaded.mesh).map(({ code, line = 1, column = 1, message, help }) => {
    assert.ok(help, message)
    return { code, at: (lines[line - 1] ?? '').slice(column - 1).trim(), message }
  })
}

function delegation(spec: string, namespace = 'foo'): string {
  return `apiVersion: sallyport.dev/v1alpha1
kind: Delegation
metadata:
  name: web
  namespace: ${namespace}
spec:
${spec.replace(/^/gm, '  ')}
---
`
}

const TOKENS = `apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: { name: t, namespace: foo }
spec: { jwtRules: [{ issuer: a }] }
---
`

test('a Delegation is not portable, and what Istio would do is said', () => {
  const [one, ...others] = found(delegation('providers: [{ name: grpc }]'))
  assert.deepEqual([one?.code, one?.at, others], ['SP410', 'name: web', []])
  assert.match(one?.message ?? '', /^Istio ignores .*`foo\/web`: a request that only `grpc` would refuse passes there$/)
  const [shadow] = found(delegation('providers: [{ name: grpc, mode: shadow }]'))
  assert.match(shadow?.message ?? '', /only look on, so that the same requests pass there/)
})

test('tokens that nobody verifies: a rule that never matches, and claims that are never there', () => {
  const spec = `rules:
- to: [{ operation: { ports: ["80"] } }]
  when:
  - key: request.auth.claims[a]
    values: [b]
providers:
- name: grpc
  sees:
    claims: [sub]`
  const codes = (text: string) => found(text).map(({ code, at }) => `${code} ${at}`)
  assert.deepEqual(codes(delegation(spec)).sort(), [
    'SP403 claims: [sub]',
    'SP403 key: request.auth.claims[a]',
    'SP410 name: web',
  ])
  assert.deepEqual(codes(delegation(spec) + TOKENS), ['SP410 name: web'])
  // Also where the workload is in no file.
  assert.equal(codes(delegation(spec, 'bar') + TOKENS).length, 3)
})

test('what is found in rules of policies is found in its rules', () => {
  const spec = `rules:
- to:
  - operation:
      paths:
      - /a/*/b
      ports:
      - "81"
providers: [{ name: grpc }]`
  assert.deepEqual(
    found(delegation(spec))
      .map(({ code, at }) => `${code} ${at}`)
      .sort(),
    ['SP404 - /a/*/b', 'SP406 - "81"', 'SP410 name: web'].map((text) => text.replace('- ', '')),
  )
})

test('a rule on HTTP attributes asks about every connection of a TCP port', () => {
  const spec = 'rules:\n- to:\n  - operation: { paths: [/a] }\nproviders: [{ name: grpc }]'
  const tcp = found(delegation(spec)).filter(({ code }) => code === 'SP409')
  assert.deepEqual(
    tcp.map(({ at }) => at),
    ['to:'],
  )
  assert.match(tcp[0]?.message ?? '', /cannot look at `paths`: the authorizer is asked about every connection/)
})

test('an HTTP provider that cannot be asked at a TCP port refuses there', () => {
  const spec = 'providers:\n- name: grpc\n- name: http\n- name: open'
  const tcp = found(delegation(spec)).filter(({ code }) => code === 'SP411')
  assert.deepEqual(
    tcp.map(({ at }) => at),
    ['name: http'],
  )
  assert.match(tcp[0]?.message ?? '', /cannot be asked at the TCP port 3306 of `foo\/web`/)
})
