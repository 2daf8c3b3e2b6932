import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseSource } from '../source/parse.ts'
import { loadMesh } from './load.ts'

function load(text: string) {
  const parsed = parseSource('dir/a.yaml', text)
  assert.deepEqual(parsed.diagnostics, [])
  return loadMesh(parsed.documents)
}

/** `code line:column message | help`. */
function problems(text: string): string[] {
  return load(text).diagnostics.map(
    (d) => `${d.code} ${d.line}:${d.column} ${d.message}${d.help === undefined ? '' : ` | ${d.help}`}`,
  )
}

test('listeners of an Authorizer', () => {
  const text = (grpc: string, form = 'grpc') =>
    `apiVersion: sallyport.dev/v1alpha1\nkind: Authorizer\nmetadata: { name: a }\nspec:\n  ${form}: ${grpc}\n  engine: { module: { path: a } }\n`
  const listener = (grpc: string) => load(text(grpc)).mesh.authorizers[0]?.grpc
  const tls = '{ certificate: ./t.crt, key: /k/t.key, clientCa: ca.crt, allow: ["spiffe://td/ns/a/sa/*"] }'
  assert.deepEqual(listener(`{ listen: 127.0.0.1:1, tls: ${tls} }`)?.tls, {
    certificate: 'dir/t.crt',
    key: '/k/t.key',
    clientCa: 'dir/ca.crt',
    allow: ['spiffe://td/ns/a/sa/*'],
  })
  const unix = listener('{ listen: "unix:/run/a.sock", mode: 0660, maxConnectionAge: 30m, keepalive: { time: 1m } }')
  assert.deepEqual(
    [unix?.listen, unix?.mode, unix?.maxConnectionAge, unix?.keepalive],
    ['unix:/run/a.sock', 0o660, 1_800_000, { time: 60_000, timeout: 20_000 }],
  )
  assert.equal(listener('{ listen: "unix:///run/a.sock", mode: "660" }')?.mode, 0o660)
  const rows: [grpc: string, problem: RegExp][] = [
    ['{ listen: "unix:a.sock" }', /^SP106 5:11 `unix:a.sock` is not an address.*write the whole path/],
    [`{ listen: "unix:/${'a'.repeat(100)}" }`, /^SP106 5:11 .*at most 90 bytes/],
    ['{ listen: x:1, mode: 0660 }', /^SP106 5:24 `mode` is for unix sockets/],
    ['{ listen: "unix:/a", mode: 0999 }', /^SP106 5:30 .*no permissions.*three octal digits/],
    ['{ listen: x:1, tls: { key: k } }', /^SP105 5:24 `certificate` is required/],
    ['{ listen: x:1, tls: { certificat: c, key: k } }', /^SP103 5:31 .*`certificat` is unknown.*write `certificate`/],
    [
      '{ listen: x:1, tls: { certificate: c, key: k, allow: ["spiffe://a/b"] } }',
      /^SP105 5:55 `allow` needs `clientCa`/,
    ],
    ['{ listen: x:1, tls: { certificate: c, key: k, clientCa: a, allow: [] } }', /^SP106 5:68 nobody is allowed/],
    [
      '{ listen: x:1, tls: { certificate: c, key: k, clientCa: a, allow: ["spiffe://*"] } }',
      /^SP106 5:76 `spiffe:\/\/\*` cannot be allowed: it has no whole trust domain.*write a whole SPIFFE id/,
    ],
    ['{ listen: x:1, maxConnectionAge: 10ms }', /^SP106 5:24 `10ms` is below a second/],
    ['{ listen: x:1, keepalive: { time: 0s } }', /^SP106 5:37 `0s` is below a second/],
  ]
  for (const [grpc, problem] of rows) assert.match(problems(text(grpc))[0] ?? '', problem)
  assert.match(
    problems(text('{ listen: x:1, maxConnectionAge: 1m }', 'http'))[0] ?? '',
    /^SP103 5:24 .*maxConnectionAge/,
  )
})
