import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseSource } from '../source/parse.ts'
import { delegationsFor } from './attach.ts'
import { loadMesh } from './load.ts'
import { validateMesh } from './validate.ts'

const CONFIG = `apiVersion: v1
kind: ConfigMap
metadata: { name: istio, namespace: istio-system }
data:
  mesh: |-
    extensionProviders:
    - name: opa
      envoyExtAuthzGrpc: { service: opa.foo.svc.cluster.local, port: 9191 }
    - name: risk
      envoyExtAuthzHttp:
        service: opa.foo.svc.cluster.local
        port: 8000
        includeRequestHeadersInCheck: [x-a, y-*]
        includeRequestBodyInCheck: { maxRequestBytes: 10 }
    - name: traces
      zipkin: { service: z, port: 1 }
---
apiVersion: v1
kind: Service
metadata: { name: opa, namespace: foo }
spec: { ports: [{ name: grpc, port: 9191 }, { name: http, port: 8000 }] }
---
apiVersion: v1
kind: Pod
metadata: { name: web, namespace: foo, labels: { app: web } }
spec: { containers: [{ name: main, ports: [{ containerPort: 80 }] }] }
---
`

function delegation(spec: string, name = 'web', namespace = 'foo', annotations = '{}'): string {
  return `apiVersion: sallyport.dev/v1alpha1
kind: Delegation
metadata: { name: ${name}, namespace: ${namespace}, annotations: ${annotations} }
spec:
${spec.replace(/^/gm, '  ')}
---
`
}

function load(text: string) {
  const { documents, diagnostics } = parseSource('mesh.yaml', text)
  assert.deepEqual(diagnostics, [])
  return loadMesh(documents, {})
}

/** Code and the text at its place, of whatever is wrong with a Delegation. */
function problems(text: string): string[] {
  const all = CONFIG + text
  const { mesh, diagnostics } = load(all)
  const lines = all.split('\n')
  return [...diagnostics, ...validateMesh(mesh)].map(({ code, line = 1, column = 1, help, message }) => {
    assert.ok(help, message)
    return `${code} ${(lines[line - 1] ?? '').slice(column - 1).trim()}`
  })
}

test('every field, and what stands for those that are absent', () => {
  const { mesh, diagnostics } = load(
    delegation(`selector: { matchLabels: { app: web } }
order: atOnce
rules:
- to: [{ operation: { paths: [/admin/*] } }]
  when: [{ key: "request.auth.claims[groups]", values: [admin] }]
providers:
- name: opa
  sees: { source: [principal], headers: [authorization, x-*, "*-id", "*"], queryParameters: [tenant], claims: [sub] }
  cache: { ttl: 5s }
- { name: risk, mode: shadow }`) + delegation('providers: [{ name: opa, sees: {} }]', 'all'),
  )
  assert.deepEqual(diagnostics, [])
  const [web, all] = mesh.delegations
  assert.ok(web !== undefined && all !== undefined)
  assert.deepEqual([web.attachment, web.order], [{ kind: 'selector', labels: { app: 'web' } }, 'atOnce'])
  assert.equal(web.trigger?.action, 'CUSTOM')
  assert.deepEqual(web.trigger.rules[0]?.to?.[0]?.paths.values, ['/admin/*'])
  assert.deepEqual(web.providers, [
    {
      name: 'opa',
      mode: 'enforce',
      sees: {
        source: ['principal'],
        headers: ['authorization', 'x-*', '*-id', '*'],
        queryParameters: ['tenant'],
        claims: ['sub'],
        body: false,
      },
      cache: { ttl: 5000, maxEntries: 10_000 },
    },
    { name: 'risk', mode: 'shadow', sees: null, cache: null },
  ])
  const { attachment, order, trigger, providers } = all
  assert.deepEqual([attachment, order, trigger], [{ kind: 'namespace' }, 'inOrder', null])
  const nothing = { source: [], headers: [], queryParameters: [], claims: [], body: false }
  assert.deepEqual(providers, [{ name: 'opa', mode: 'enforce', sees: nothing, cache: null }])
})

test('it attaches by namespace and labels, and from the root namespace everywhere; the oldest asks first', () => {
  const { mesh } = load(
    CONFIG +
      delegation('providers: [{ name: opa }]', 'z', 'istio-system') +
      delegation('selector: { matchLabels: { app: web } }\nproviders: [{ name: opa }]', 'b') +
      delegation('selector: { matchLabels: { app: api } }\nproviders: [{ name: opa }]', 'other') +
      delegation('providers: [{ name: opa }]', 'a') +
      delegation('providers: [{ name: opa }]', 'elsewhere', 'bar'),
  )
  const workload = mesh.workloads.get('foo/web') ?? assert.fail()
  assert.deepEqual(
    delegationsFor(mesh, workload).map(({ meta }) => meta.name),
    ['a', 'b', 'z'],
  )
})

test('what would make it ask less than was meant is refused when it is read', () => {
  const opa = 'providers: [{ name: opa }]'
  const table: readonly (readonly [spec: string, expected: string])[] = [
    ['providers: []', 'SP106 providers: []'],
    ['order: inOrder', 'SP105 spec:'],
    [`selector: {}\n${opa}`, 'SP106 selector: {}'],
    [`selector: { matchLabels: {} }\n${opa}`, 'SP106 selector: { matchLabels: {} }'],
    [`rules: []\n${opa}`, 'SP106 rules: []'],
    [`order: parallel\n${opa}`, 'SP106 order: parallel'],
    [`action: CUSTOM\n${opa}`, 'SP103 action: CUSTOM'],
    ['providers:\n- name: opa\n- name: opa', 'SP106 name: opa'],
    ['providers:\n- name: ""', 'SP105 name: ""'],
    ['providers:\n- mode: shadow', 'SP105 mode: shadow'],
    ['providers:\n- name: opa\n  mode: dry', 'SP106 mode: dry'],
    ['providers:\n- name: opa\n  cache: { ttl: 5s }', 'SP106 cache: { ttl: 5s }'],
    ['providers:\n- name: opa\n  sees: {}\n  cache:\n    ttl: 0s', 'SP106 ttl: 0s'],
    ['providers:\n- name: opa\n  sees: {}\n  cache:\n    ttl: 61m', 'SP106 ttl: 61m'],
    ['providers:\n- name: opa\n  sees: {}\n  cache:\n    ttl: -1s', 'SP106 ttl: -1s'],
    ['providers:\n- name: opa\n  sees: {}\n  cache:\n    ttl: 5', 'SP104 ttl: 5'],
    ['providers:\n- name: opa\n  sees: {}\n  cache:\n    maxEntries: 5', 'SP105 cache:'],
    ['providers:\n- name: opa\n  sees: {}\n  cache:\n    ttl: 5s\n    maxEntries: 0', 'SP106 maxEntries: 0'],
    ['providers:\n- name: opa\n  sees: {}\n  cache:\n    ttl: 5s\n    maxEntries: 50001', 'SP106 maxEntries: 50001'],
    ['providers:\n- name: opa\n  sees:\n    headers:\n    - x-*-y', 'SP106 x-*-y'],
    ['providers:\n- name: opa\n  sees:\n    headers:\n    - ":path"', 'SP106 ":path"'],
    ['providers:\n- name: opa\n  sees:\n    headers:\n    - ""', 'SP106 ""'],
    ['providers:\n- name: opa\n  sees:\n    headers: x-a', 'SP104 headers: x-a'],
    ['providers:\n- name: opa\n  sees:\n    claims:\n    - a*b', 'SP106 a*b'],
    ['providers:\n- name: opa\n  sees:\n    query: [a]', 'SP103 query: [a]'],
    ['providers:\n- name: opa\n  sees:\n    source:\n    - port', 'SP106 port'],
    ['providers:\n- name: risk\n  mode: shadow\n  sees:\n    body: true', 'SP106 body: true'],
  ]
  for (const [spec, expected] of table) {
    const [first = ''] = problems(delegation(spec))
    const at = expected.slice(6)
    assert.ok(first === expected || (at === 'spec:' && first.startsWith('SP105')), `${spec}: ${first}`)
    assert.deepEqual(
      load(CONFIG + delegation(spec)).diagnostics.filter(({ severity }) => severity !== 'error'),
      [],
    )
  }
  const many = Array.from({ length: 17 }, (_, i) => `- name: p${i}`).join('\n')
  assert.deepEqual(problems(delegation(`providers:\n${many}`)), ['SP106 providers:'])
})

test('what does not fit into the mesh', () => {
  const table: readonly (readonly [text: string, expected: readonly string[]])[] = [
    [delegation('providers:\n- name: opaa'), ['SP304 name: opaa']],
    [delegation('providers:\n- name: traces'), ['SP304 name: traces']],
    [delegation('providers:\n- name: opa\n  sees:\n    body: true'), ['SP305 body: true']],
    [delegation('providers:\n- name: risk\n  mode: shadow'), ['SP305 mode: shadow']],
    [
      delegation('providers:\n- name: risk\n  sees:\n    headers:\n    - X-A\n    - y-b\n    - z\n    - "*"'),
      ['SP305 z'],
    ],
    [delegation('selector:\n  matchLabels: { app: wbe }\nproviders: [{ name: opa }]'), ['SP302 selector:']],
    [
      delegation('selector:\n  matchLabels:\n    app: w*\nproviders: [{ name: opa }]'),
      ['SP302 selector:', 'SP202 app: w*'],
    ],
    [
      delegation('providers: [{ name: opa }]', 'web', 'foo', '{ istio.io/dry-run: "true" }'),
      ['SP216 istio.io/dry-run: "true" } }'],
    ],
    [
      delegation('rules:\n- from:\n  - source:\n      ipBlocks:\n      - 1.2.3\nproviders: [{ name: opa }]'),
      ['SP211 1.2.3'],
    ],
    [
      delegation('rules:\n- when:\n  - key: request.claims\n    values: [a]\nproviders: [{ name: opa }]'),
      ['SP215 key: request.claims'],
    ],
    [delegation('rules:\n- to:\n  - operation: {}\nproviders: [{ name: opa }]'), ['SP207 operation: {}']],
    // What CUSTOM policies cannot look at is what Delegations are for.
    [
      delegation(`rules:
- from: [{ source: { principals: ["*"], requestPrincipals: ["*"] } }]
  when: [{ key: "request.auth.claims[a]", values: ["*"] }]
providers: [{ name: opa }, { name: risk, sees: { headers: [x-a], body: true } }]`),
      [],
    ],
  ]
  for (const [text, expected] of table) assert.deepEqual(problems(text).sort(), [...expected].sort(), text)
})
