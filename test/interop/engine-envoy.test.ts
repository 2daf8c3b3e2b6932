import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { type AuthorizerEngine, createAuthorizer, createEngine } from '#src/extauthz/index.ts'
import type { Logger } from '#src/observe/log.ts'
import { cluster, type Line, send, startApp, startEnvoy } from './envoy.ts'
import { peer } from './peers.ts'

const found = peer('envoy')
const nothing = () => {}
const logger: Logger = { level: 'error', debug: nothing, info: nothing, warn: nothing, error: nothing }

/** Asks through a real Envoy whose filter and connection manager have these fields besides. */
async function through(
  files: Readonly<Record<string, string>>,
  engineOf: (folder: string) => AuthorizerEngine,
  filter: object,
  manager: object,
  use: (get: (path: string, lines?: Line[]) => Promise<number>) => Promise<void>,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-engine-'))
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
  const engine = createEngine(engineOf(folder), { logger })
  const loading = await engine.load()
  if (loading.kind === 'failed') assert.fail(loading.message)
  const authorizer = createAuthorizer({ ...loading.checks, logger })
  const upstream = await startApp((_, response) => response.end('reached'))
  const { grpc } = await authorizer.listen({ grpc: '127.0.0.1:0' })
  const asking = {
    name: 'envoy.filters.http.ext_authz',
    typed_config: {
      '@type': 'type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz',
      transport_api_version: 'V3',
      grpc_service: { envoy_grpc: { cluster_name: 'authz' }, timeout: '2s' },
      ...filter,
    },
  }
  const clusters = [cluster('app', upstream.port), cluster('authz', grpc?.port ?? 0, true)]
  const envoy = await startEnvoy('path' in found ? found.path : '', [asking], clusters, manager)
  try {
    await use(async (path, lines = []) => (await send(envoy.port, path, [['host', 'web'], ...lines])).status)
  } finally {
    await envoy.stop()
    await authorizer.close()
    upstream.server.closeAllConnections()
    upstream.server.close()
    engine.close()
    rmSync(folder, { recursive: true })
  }
}

const policy = (spec: string) => `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: p, namespace: default }
spec: ${spec}
`

const istio = (folder: string): AuthorizerEngine => ({
  ...{ kind: 'istio', paths: [join(folder, 'policies.yaml')], namespace: 'default' },
  workload: { kind: 'named', name: 'default/web', labels: { app: 'web' } },
})

describe('real Envoy asks an engine', { skip: 'skip' in found ? found.skip : false }, () => {
  const denyA = policy('{ action: DENY, rules: [{ when: [{ key: "request.headers[x-a]", values: [a] }] }] }')
  const two: Line[] = [
    ['x-a', 'b'],
    ['x-a', 'a'],
  ]

  test('lines of a header that Envoy joins are refused when one of them would be', async () => {
    await through({ 'policies.yaml': denyA }, istio, {}, {}, async (get) => {
      assert.deepEqual(
        [await get('/', two), await get('/', [['x-a', 'b,a']]), await get('/', [['x-a', 'b']])],
        [403, 403, 200],
      )
    })
  })

  test('lines that Envoy keeps apart are judged as Istio judges them', async () => {
    await through({ 'policies.yaml': denyA }, istio, { encode_raw_headers: true }, {}, async (get) => {
      assert.deepEqual(
        [await get('/', two), await get('/', [['x-a', 'b,a']]), await get('/', [['x-a', 'b']])],
        [403, 200, 200],
      )
    })
  })

  const engines: readonly (readonly [name: string, files: Record<string, string>, engine: typeof istio])[] = [
    ['istio', { 'policies.yaml': policy('{ rules: [{ to: [{ operation: { paths: ["/public*"] } }] }] }') }, istio],
    [
      'cel',
      { 'policy.cel': "request.path.startsWith('/public')" },
      (folder) => ({ kind: 'cel', path: join(folder, 'policy.cel'), tokens: [] }),
    ],
    [
      'cedar',
      { 'policy.cedar': 'permit (principal, action, resource in Resource::"/public");' },
      (folder) => ({
        ...{ kind: 'cedar', policies: join(folder, 'policy.cedar'), entities: null, schema: null },
        ...{ tokens: [], principal: 'source' },
      }),
    ],
  ]
  for (const [name, files, engine] of engines) {
    test(`an Envoy that does not normalize paths widens nothing: ${name}`, async () => {
      await through(files, engine, {}, { normalize_path: false }, async (get) => {
        const paths = ['/public', '/public/a', '/public/../admin', '/public/%2e%2e/admin', '/admin']
        const statuses: number[] = []
        for (const path of paths) statuses.push(await get(path))
        assert.deepEqual(statuses, [200, 200, 403, 403, 403])
      })
    })
  }
})
