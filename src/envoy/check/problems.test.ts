import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadMesh } from '../../mesh/load.ts'
import { parseSource } from '../../source/parse.ts'
import type { Placement } from '../translate/workload.ts'
import { envoyProblems } from './problems.ts'

const head = `apiVersion: apps/v1
kind: Deployment
metadata: { name: web, namespace: foo }
spec: { template: { metadata: { labels: { app: web } } } }
---
apiVersion: security.istio.io/v1
`

const anyPlace: Placement = { kind: 'redirected', listen: { host: '0.0.0.0', port: 15006 } }

/** `code at line:column` of each problem of a mesh with one more resource, which starts at line 7. */
function problems(text: string, placement = anyPlace, issuers: readonly string[] = []): string[] {
  const { mesh } = loadMesh(parseSource('m.yaml', head + text).documents)
  const workload = mesh.workloads.get('foo/web') ?? assert.fail()
  const jwks = { byIssuer: new Map(issuers.map((issuer) => [issuer, ''])), nobody: '', ca: '' }
  return envoyProblems(mesh, workload, { placement, jwks, service: null }).map(
    ({ code, line, column, message, help }) => {
      assert.ok(help, message)
      assert.match(message, /Envoy|socket/)
      return `${code} ${line}:${column}`
    },
  )
}

const policy = (rules: string, action = 'DENY') =>
  `kind: AuthorizationPolicy\nmetadata: { name: p, namespace: foo }\nspec:\n  action: ${action}\n  rules:\n${rules}`

test('names that Envoy refuses are reported at the key', () => {
  assert.deepEqual(problems(policy('  - when:\n    - key: request.headers[]\n      values: [a]')), ['SP601 13:7'])
  assert.deepEqual(problems(policy('  - when:\n    - key: request.auth.claims[a][]\n      values: [a]')), [
    'SP601 13:7',
  ])
  assert.deepEqual(problems(policy('  - when:\n    - key: "experimental.envoy.filters.a[]"\n      notValues: [a]')), [
    'SP601 13:7',
  ])
  assert.deepEqual(problems(policy('  - when:\n    - key: "request.headers[a\\rb]"\n      values: [a]')), [
    'SP601 13:7',
  ])
  assert.deepEqual(problems(policy('  - when:\n    - key: request.headers[a b]\n      values: [a]')), [])
})

test('values that are too long for Envoy are reported at their list, once', () => {
  const template = `/{*}/${'a'.repeat(252)}`
  assert.deepEqual(problems(policy(`  - to:\n    - operation:\n        notPaths: ["${template}"]`)), [])
  assert.deepEqual(problems(policy(`  - to:\n    - operation:\n        notPaths: ["${template}aa"]`)), ['SP602 14:9'])
  const long = 'a'.repeat(33_000)
  assert.deepEqual(problems(policy(`  - from:\n    - source:\n        principals: ["*${long}"]`)), ['SP602 14:9'])
  assert.deepEqual(problems(policy(`  - from:\n    - source:\n        principals: ["${long}*", "${long}"]`)), [])
  assert.deepEqual(
    problems(policy(`  - when:\n    - key: source.namespace\n      notValues: ["${long}", "${long}"]`)),
    ['SP602 14:7'],
  )
})

const jwt = (rule: string) =>
  `kind: RequestAuthentication\nmetadata: { name: r, namespace: foo }\nspec:\n  jwtRules:\n  - ${rule}`

test('keys and places of tokens that Envoy refuses are reported, and keys that it cannot get', () => {
  assert.deepEqual(problems(jwt(`{ issuer: i, jwks: '{"keys":[]}' }`)), ['SP603 11:18'])
  const oct = `jwks: '{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}'`
  assert.deepEqual(problems(jwt(`{ issuer: i, ${oct} }`)), [])
  assert.deepEqual(problems(jwt(`{ issuer: i, ${oct}, fromHeaders: [{ name: "" }] }`)).length, 1)
  assert.deepEqual(problems(jwt(`{ issuer: i, ${oct}, fromHeaders: [{ name: a, prefix: "a\\n" }] }`)).length, 1)
  assert.deepEqual(problems(jwt(`{ issuer: i, ${oct}, outputClaimToHeaders: [{ header: a, claim: "" }] }`)).length, 1)
  assert.deepEqual(problems(jwt('{ issuer: https://i }')), ['SP604 11:7'])
  assert.deepEqual(problems(jwt('{ issuer: https://i }'), anyPlace, ['https://i']), [])
})

test('a provider whose headers Envoy refuses is reported in the mesh configuration', () => {
  const text = `${policy('  - {}\n', 'CUSTOM')}  provider: { name: check }
---
apiVersion: v1
kind: Service
metadata: { name: authz, namespace: foo }
spec: { ports: [{ name: http, port: 8000 }] }
---
apiVersion: v1
kind: ConfigMap
metadata: { name: istio, namespace: istio-system }
data:
  mesh: |
    extensionProviders:
    - name: check
      envoyExtAuthzHttp:
        service: authz.foo.svc.cluster.local
        port: 8000
        includeAdditionalHeadersInCheck: { x-a: "a\\nb" }
`
  assert.equal(problems(text).length, 1)
  assert.deepEqual(problems(text.replace('a\\nb', 'ab')), [])
})

test('addresses that Envoy cannot use are reported', () => {
  const place = (host: string, path: string): Placement => ({
    kind: 'ports',
    ports: [{ port: 80, protocol: 'http', listen: { host, port: 80 }, application: { kind: 'unix', path } }],
  })
  assert.deepEqual(problems(policy('  - {}'), place('localhost', '/s')), ['SP606 undefined:undefined'])
  assert.deepEqual(problems(policy('  - {}'), place('::1', `/${'s'.repeat(107)}`)), ['SP606 undefined:undefined'])
  assert.deepEqual(problems(policy('  - {}'), place('', `/${'s'.repeat(106)}`)), [])
})

test('a Delegation that is in force stops the translation; one in shadow is left out, and that is said', () => {
  const delegation = (mode: string, namespace = 'foo') =>
    `kind: PeerAuthentication
metadata: { name: p, namespace: foo }
---
apiVersion: sallyport.dev/v1alpha1
kind: Delegation
metadata: { name: d, namespace: ${namespace} }
spec: { providers: [{ name: a, mode: shadow }, { name: b, mode: ${mode} }] }`
  assert.deepEqual(problems(delegation('enforce')), ['SP607 12:13'])
  assert.deepEqual(problems(delegation('shadow')), ['SP608 12:13'])
  assert.deepEqual(problems(delegation('enforce', 'istio-system')), ['SP607 12:13'])
  assert.deepEqual(problems(delegation('enforce', 'bar')), [])
})
