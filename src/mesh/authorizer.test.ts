import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseSource } from '../source/parse.ts'
import { loadMesh } from './load.ts'

function load(text: string) {
  const parsed = parseSource('dir/a.yaml', text)
  assert.deepEqual(parsed.diagnostics, [])
  return loadMesh(parsed.documents, {})
}

function mesh(text: string) {
  const { mesh, diagnostics } = load(text)
  assert.deepEqual(diagnostics, [])
  return mesh
}

/** `code line:column message | help`. */
function problems(text: string): string[] {
  return load(text).diagnostics.map(
    (d) => `${d.code} ${d.line}:${d.column} ${d.message}${d.help === undefined ? '' : ` | ${d.help}`}`,
  )
}

test('an Authorizer and its engines', () => {
  const text = (spec: string) =>
    `apiVersion: sallyport.dev/v1alpha1\nkind: Authorizer\nmetadata: { name: a }\nspec:\n${spec}`
  const [decoded] = mesh(
    text('  grpc: { listen: 127.0.0.1:9191 }\n  timeout: 100ms\n  engine: { module: { path: ./a.ts } }\n'),
  ).authorizers
  assert.deepEqual(decoded?.grpc, {
    listen: '127.0.0.1:9191',
    mode: null,
    tls: null,
    maxConnectionAge: null,
    maxConnectionAgeGrace: null,
    keepalive: { time: 7_200_000, timeout: 20_000 },
    reflection: true,
  })
  assert.equal(decoded?.http, null)
  assert.equal(decoded?.timeout, 100)
  assert.deepEqual(decoded?.engine, { kind: 'module', path: 'dir/a.ts' })
  const engineOf = (engine: string) =>
    mesh(text(`  http: { listen: "[::1]:80" }\n  engine: ${engine}\n`)).authorizers[0]?.engine
  const istio = { kind: 'istio', paths: ['dir/p/', '/q'], namespace: 'default' }
  const only = { kind: 'only' }
  assert.deepEqual(engineOf('{ istio: { paths: [p/, /q] } }'), { ...istio, workload: only })
  assert.deepEqual(engineOf('{ istio: { paths: [p/, /q], workload: a/b, labels: { app: b } } }'), {
    ...istio,
    workload: { kind: 'named', name: 'a/b', labels: { app: 'b' } },
  })
  assert.deepEqual(engineOf('{ istio: { paths: [p/, /q], workloadFrom: { contextExtension: w } } }'), {
    ...istio,
    workload: { kind: 'contextExtension', key: 'w' },
  })
  const query = 'data.envoy.authz.allow'
  assert.deepEqual(engineOf('{ rego: { path: p.rego } }'), { kind: 'rego', path: 'dir/p.rego', query })
  assert.deepEqual(engineOf('{ opa: { url: "http://x", query: data.a } }'), {
    kind: 'opa',
    url: 'http://x',
    query: 'data.a',
    ca: null,
    token: null,
  })
  assert.deepEqual(engineOf('{ opa: { url: "https://x", ca: ca.pem, token: /t } }'), {
    kind: 'opa',
    url: 'https://x',
    query,
    ca: 'dir/ca.pem',
    token: '/t',
  })
  assert.deepEqual(engineOf('{ cel: { path: p.cel, tokens: [t.yaml] } }'), {
    kind: 'cel',
    path: 'dir/p.cel',
    tokens: ['dir/t.yaml'],
  })
  assert.deepEqual(engineOf('{ cedar: { policies: p.cedar } }'), {
    kind: 'cedar',
    policies: 'dir/p.cedar',
    entities: null,
    schema: null,
    tokens: [],
    principal: 'source',
  })
  const cedar = engineOf('{ cedar: { policies: p/, schema: s, tokens: [t.yaml] } }')
  assert.deepEqual(cedar?.kind === 'cedar' ? [cedar.schema, cedar.tokens, cedar.principal] : [], [
    'dir/s',
    ['dir/t.yaml'],
    'token',
  ])
  const one = (spec: string) => problems(text(spec))[0]
  assert.match(one('  grpc: { listen: x:1 }\n  engine: { rego: {} }\n') ?? '', /^SP105 6:13 `path` is required/)
  assert.match(
    one('  grpc: { listen: x:1 }\n  engine: { rego: { path: a }, cel: { path: b } }\n') ?? '',
    /^SP106 6:32 an Authorizer has one engine/,
  )
  for (const time of ['0s', '2h']) assert.match(one(`  timeout: ${time}\n`) ?? '', /^SP106 5:3 a check has more/)
  const wrong = (engine: string) => one(`  grpc: { listen: x:1 }\n  engine: ${engine}\n`) ?? ''
  assert.match(wrong('{ istio: { paths: [] } }'), /^SP105 6:13 the engine needs files/)
  assert.match(wrong('{ istio: { paths: [a], labels: { a: b } } }'), /^SP105 6:34 `labels` need a workload/)
  assert.match(wrong('{ istio: { paths: [a], workload: a b } }'), /^SP106 6:34 `a b` is not the name of a workload/)
  assert.match(
    wrong('{ istio: { paths: [a], workload: b, workloadFrom: { contextExtension: c } } }'),
    /^SP106 6:47 a workload is named once/,
  )
  assert.match(wrong('{ cedar: { policies: a, principal: token } }'), /^SP105 6:35 a principal of tokens needs/)
  assert.match(wrong('{ cedar: { policies: a, principal: me } }'), /^SP106 6:35 `me` is not one of `source`, `token`/)
  assert.match(one('  grpc: { listen: x:1 }\n  engine: {}\n') ?? '', /^SP105 6:3 an engine is required/)
  assert.match(one('  engine: { module: { path: a } }\n') ?? '', /^SP105 4:1 an authorizer needs an address/)
  assert.match(
    one('  grpc: { listen: "9191" }\n  engine: { module: { path: a } }\n') ?? '',
    /^SP106 5:11 `9191` is not an address/,
  )
})
