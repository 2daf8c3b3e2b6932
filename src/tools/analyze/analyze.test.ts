import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadMesh } from '../../mesh/load.ts'
import { parseSource } from '../../source/parse.ts'
import { analyze } from './analyze.ts'

/** Code and the text at its place, for each finding. */
function found(text: string): string[] {
  const { documents, diagnostics } = parseSource('mesh.yaml', text)
  assert.deepEqual(diagnostics, [])
  const loaded = loadMesh(documents, {})
  assert.deepEqual(loaded.diagnostics, [])
  const lines = text.split('\n')
  return analyze(loaded.mesh).map(({ code, line, column }) => {
    assert.ok(line !== undefined && column !== undefined)
    return `${code} ${(lines[line - 1] ?? '').slice(column - 1)}`
  })
}

function policy(name: string, spec: string, namespace = 'foo', annotations = '{}'): string {
  return `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata:
  name: ${name}
  namespace: ${namespace}
  annotations: ${annotations}
spec:
${spec.replace(/^/gm, '  ')}
---
`
}

function workload(name: string, namespace = 'foo'): string {
  return `apiVersion: v1
kind: Pod
metadata: { name: ${name}, namespace: ${namespace}, labels: { app: ${name} } }
spec: { containers: [{ name: main, ports: [{ containerPort: 80 }] }] }
---
`
}

const DENY_ALL = 'action: DENY\nrules: [{}]'
const ALLOW_GET = 'action: ALLOW\nrules: [{ to: [{ operation: { methods: [GET] } }] }]'
const select = (app: string) => `selector: { matchLabels: { app: ${app} } }\n`

test('an ALLOW policy behind a DENY rule that matches everything', () => {
  assert.deepEqual(found(policy('deny', DENY_ALL) + policy('allow', ALLOW_GET)), ['SP401 name: allow'])
  // From the root namespace, and for each workload that the ALLOW policy has.
  assert.deepEqual(found(policy('deny', DENY_ALL, 'istio-system') + policy('allow', ALLOW_GET)), ['SP401 name: allow'])
  const both = workload('a') + workload('b')
  assert.deepEqual(found(both + policy('deny', select('a') + DENY_ALL) + policy('allow', select('a') + ALLOW_GET)), [
    'SP401 name: allow',
  ])
})

test('an ALLOW policy that takes effect somewhere, or is meant to do nothing, is none', () => {
  const both = workload('a') + workload('b')
  const quiet = [
    both + policy('deny', select('a') + DENY_ALL) + policy('allow', ALLOW_GET),
    policy('deny', DENY_ALL, 'bar') + policy('allow', ALLOW_GET),
    policy('deny', DENY_ALL, 'foo', '{ istio.io/dry-run: "true" }') + policy('allow', ALLOW_GET),
    policy('deny', DENY_ALL) + policy('allow', ALLOW_GET, 'foo', '{ istio.io/dry-run: "true" }'),
    policy('deny', DENY_ALL) + policy('nothing', 'action: ALLOW'),
    policy('deny', 'action: DENY\nrules: [{ to: [{ operation: { notPaths: [/ip] } }] }]') + policy('allow', ALLOW_GET),
    policy('audit', 'action: AUDIT\nrules: [{}]') + policy('allow', ALLOW_GET),
    policy('deny', 'action: DENY\nrules: [{ from: [{ source: { notPrincipals: ["*"] } }] }]') +
      policy('allow', ALLOW_GET),
  ]
  for (const text of quiet) assert.deepEqual(found(text), [], text)
})

test('several providers on one workload', () => {
  const custom = (name: string, provider: string, more = '') =>
    policy(name, `${more}action: CUSTOM\nprovider:\n  name: ${provider}\nrules: [{}]`)
  assert.deepEqual(found(custom('one', 'a') + custom('two', 'b')), ['SP402 name: a', 'SP402 name: b'])
  assert.deepEqual(found(custom('one', 'a') + custom('two', 'a')), [])
  const apart = workload('c') + workload('d') + custom('one', 'a', select('c')) + custom('two', 'b', select('d'))
  assert.deepEqual(found(apart), [])
})

const JWT = (spec: string, namespace = 'foo') =>
  policy('jwt', spec, namespace).replace('AuthorizationPolicy', 'RequestAuthentication')

test('a condition on tokens where none is verified', () => {
  const principal = policy('need', 'action: ALLOW\nrules:\n- from:\n  - source:\n      requestPrincipals: ["*"]')
  const claim = policy('claim', 'action: ALLOW\nrules:\n- when:\n  - key: request.auth.claims[iss]\n    values: [i]')
  assert.deepEqual(found(principal), ['SP403 requestPrincipals: ["*"]'])
  assert.deepEqual(found(claim), ['SP403 key: request.auth.claims[iss]'])
  const rules = 'jwtRules: [{ issuer: i, jwksUri: "https://i/keys" }]'
  assert.deepEqual(found(principal + claim + JWT(rules)), [])
  assert.deepEqual(found(principal + JWT(rules, 'istio-system')), [])
  assert.deepEqual(found(principal + JWT(rules, 'bar')), ['SP403 requestPrincipals: ["*"]'])
  // It matches where there is no token, which is what it is for.
  assert.deepEqual(
    found(policy('anonymous', 'action: DENY\nrules: [{ from: [{ source: { notRequestPrincipals: ["*"] } }] }]')),
    [],
  )
})

test('a star that is no wildcard', () => {
  const rule = (operation: string) => policy('p', `action: ALLOW\nrules:\n- to:\n  - operation:\n      ${operation}`)
  const cases: readonly (readonly [string, readonly string[]])[] = [
    ['paths: [/a/*/b]', ['SP404 /a/*/b]']],
    ['paths: [/ok, "/a*b"]', ['SP404 "/a*b"]']],
    ['notPaths: [/a/*/b]', ['SP404 /a/*/b]']],
    ['hosts: ["*.a.*"]', ['SP404 "*.a.*"]']],
    ['methods: ["G*T"]', ['SP404 "G*T"]']],
    ['paths: ["*", /a*, "*b", "/{*}/x/{**}"]', []],
    ['hosts: ["*.example.com", "web.*"]', []],
  ]
  for (const [operation, expected] of cases) assert.deepEqual(found(rule(operation)), expected, operation)
  const header = policy('h', 'action: ALLOW\nrules: [{ when: [{ key: "request.headers[x]", values: [a*b] }] }]')
  assert.deepEqual(found(header), ['SP404 a*b] }] }]'])
})
