import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { bootstrap, envoyProblems, type TranslateOptions, translateWorkload } from '#src/envoy/index.ts'
import { loadMesh } from '#src/mesh/load.ts'
import { parseSource } from '#src/source/parse.ts'
import { peer } from './peers.ts'

/** What is reported as refused by Envoy must be, and what is not must not. */
const envoy = peer('envoy')
const skip = 'skip' in envoy ? envoy.skip : false
const folder = mkdtempSync(join(tmpdir(), 'envoy-'))
after(() => rmSync(folder, { recursive: true, force: true }))

const head = `apiVersion: apps/v1
kind: Deployment
metadata: { name: web, namespace: foo }
spec: { template: { metadata: { labels: { app: web } } } }
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: p, namespace: foo }
spec: { mtls: { mode: DISABLE } }
---
apiVersion: v1
kind: Service
metadata: { name: authz, namespace: foo }
spec: { ports: [{ name: http, port: 8000 }] }
---
`
const policy = (rule: string, more = 'action: DENY') =>
  `apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: { name: p, namespace: foo }\nspec: { ${more}, rules: [${rule}] }\n`
const when = (key: string) => policy(`{ when: [{ key: "${key}", values: [a] }] }`)
const jwt = (rule: string) =>
  `apiVersion: security.istio.io/v1\nkind: RequestAuthentication\nmetadata: { name: r, namespace: foo }\nspec: { jwtRules: [{ issuer: i, ${rule} }] }\n`
const provider = (header: string, value: string) => `${policy('{}', 'action: CUSTOM, provider: { name: check }')}---
apiVersion: v1
kind: ConfigMap
metadata: { name: istio, namespace: istio-system }
data:
  mesh: |
    extensionProviders:
    - name: check
      envoyExtAuthzHttp: { service: authz.foo.svc.cluster.local, port: 8000, includeAdditionalHeadersInCheck: { "${header}": "${value}" } }
`
const path = (text: string) => policy(`{ to: [{ operation: { paths: ["${text}"] } }] }`)
const namespace = (text: string) => policy(`{ from: [{ source: { namespaces: ["${text}"] } }] }`)
const keys = `jwks: '{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}'`
const letters = (count: number) => 'a'.repeat(count)

for (const [name, good, bad] of [
  ['the name of a header', when('request.headers[a b]'), when('request.headers[]')],
  ['a control character in it', when('request.headers[é]'), when('request.headers[a\\0]')],
  ['the name of a claim', when('request.auth.claims[a b]'), when('request.auth.claims[a][]')],
  ['a key of metadata', when('experimental.envoy.filters.a[ ]'), when('experimental.envoy.filters.a[]')],
  ['the length of a path template', path(`/{*}/${letters(253)}`), path(`/{*}/${letters(254)}`)],
  ['the length of a pattern', namespace(letters(32_720)), namespace(letters(32_800))],
  ['keys', jwt(keys), jwt(`jwks: '{"keys":[]}'`)],
  ['the header of a token', jwt(`${keys}, fromHeaders: [{ name: a b }]`), jwt(`${keys}, fromHeaders: [{ name: "" }]`)],
  [
    'a claim that goes to a header',
    jwt(`${keys}, outputClaimToHeaders: [{ header: a, claim: b }]`),
    jwt(`${keys}, outputClaimToHeaders: [{ header: a, claim: "" }]`),
  ],
  ['a header for a provider', provider('x-a', 'b c'), provider('x-a', 'b\\nc')],
] as const) {
  test(`${name}: what Envoy refuses is reported, and no more`, { skip }, () => {
    assert.deepEqual(judge(good), { reported: false, refused: false })
    assert.deepEqual(judge(bad), { reported: true, refused: true })
  })
}

function judge(text: string): { readonly reported: boolean; readonly refused: boolean } {
  const { mesh } = loadMesh(parseSource('m.yaml', head + text).documents)
  const workload = mesh.workloads.get('foo/web') ?? assert.fail()
  const options: TranslateOptions = {
    placement: {
      kind: 'ports',
      ports: [
        {
          ...{ port: 8080, protocol: 'http', listen: { host: '127.0.0.1', port: 0 } },
          application: { kind: 'tcp', host: '127.0.0.1', port: 9 },
        },
      ],
    },
    ...{ rbac: { kind: 'rules' }, accessLog: [], prefix: '', service: null },
    jwks: { byIssuer: new Map(), nobody: '{}', ca: '' },
    certificates: () => assert.fail('no certificate is needed'),
  }
  const reported = envoyProblems(mesh, workload, options).some(({ severity }) => severity === 'error')
  const file = join(folder, 'bootstrap.json')
  const config = bootstrap([translateWorkload(mesh, workload, options)], { id: 'x', cluster: 'y', admin: null })
  writeFileSync(file, JSON.stringify(config))
  const flags = ['--mode', 'validate', '--config-path', file, '--log-level', 'error']
  const { status } = spawnSync('path' in envoy ? envoy.path : '', flags, { stdio: 'ignore' })
  return { reported, refused: status !== 0 }
}
