import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { customFilters } from '../interop/custom-filters.ts'
import { cluster, type Line, type RunningEnvoy, send, startEnvoy } from '../interop/envoy.ts'
import { type RunningOpa, startOpa } from '../interop/opa-server.ts'
import { peer } from '../interop/peers.ts'
import { type Asking, ask } from './exchange.ts'
import type { Sallyport } from './sallyport.ts'
import { examplePath, freePorts, Stage } from './stage.ts'
import { type Claims, secretToken } from './token.ts'

const opaPeer = peer('opa')
const envoyPeer = peer('envoy')
const opa = 'path' in opaPeer ? opaPeer.path : ''
const skip = 'skip' in opaPeer ? opaPeer.skip : false
process.env.SALLYPORT_OPA = opa

const now = Math.floor(Date.now() / 1000)
const claims: Claims = { path: Buffer.from('/headers').toString('base64'), nbf: 1_500_000_000, exp: 1_900_000_000 }
const token = (change: Claims = {}, secret = 'secret') => secretToken({ ...claims, ...change }, secret)
const valid = token()

/** The table of the scenario, and what its policy says of other tokens. */
const table: readonly (readonly [what: string, path: string, token: string | null, status: number])[] = [
  ['/headers without a token', '/headers', null, 403],
  ['/get with the token', '/get', valid, 403],
  ['/headers with the token', '/headers', valid, 200],
  ['/ip without a token', '/ip', null, 200],
  ['below the path, with a query', '/headers?a=%20b&c', valid, 200],
  ['a token that is over', '/headers', token({ exp: now - 10 }), 403],
  ['a token of the future', '/headers', token({ nbf: now + 60 }), 403],
  ['another secret', '/headers', token({}, 'another'), 403],
  ['half a token', '/headers', valid.slice(0, -5), 403],
  ['the text of no token', '/headers', 'a.b.c', 403],
]
const expected = table.map(([what, , , status]) => [what, status])

const engines = ['rego', 'opa'] as const

for (const engine of engines) {
  describe(`the policy of the scenario in the engine ${engine}`, { skip }, () => {
    const stage = new Stage()
    let server: RunningOpa | null = null
    let authorizer: Sallyport
    let ports: Record<'authorizer' | 'opa', number>

    before(async () => {
      ports = await freePorts('authorizer', 'opa')
      stage.copy(`engines/${engine}/authorizer.yaml`, 'own/authorizer.yaml', ['9191', ports.authorizer])
      if (engine === 'rego') stage.copy('engines/rego/policy.rego', 'own/policy.rego')
      else {
        stage.copy(
          'engines/opa/authorizer.yaml',
          'own/authorizer.yaml',
          ['9191', ports.authorizer],
          ['8181', ports.opa],
        )
        server = await startOpa(opa, ports.opa, examplePath('engines/rego/policy.rego'))
      }
      authorizer = stage.sallyport('authorizer', '-f', stage.path('own/authorizer.yaml'))
      await authorizer.line('stderr', /^ready$/)
    })
    after(async () => {
      await stage.end()
      await server?.stop()
    })

    test('our proxy asks it', async () => {
      const app = await stage.example('opa/app.mjs')
      stage.copy('opa/mesh.yaml', 'proxy/mesh.yaml', ['9191', ports.authorizer])
      stage.copy('opa/sidecar.yaml', 'proxy/sidecar.yaml')
      const where = [
        '--workload',
        'default/httpbin-with-opa',
        '--listen',
        '80=127.0.0.1:0',
        '--app',
        `127.0.0.1:${app}`,
      ]
      const sidecar = await stage.up('-f', stage.path('proxy'), ...where)
      const port = sidecar.port('inbound default/httpbin-with-opa:80')
      const answers: unknown[] = []
      for (const [what, path, bearer] of table) answers.push([what, (await ask(port, path, asking(bearer))).status])
      assert.deepEqual(answers, expected)
    })

    const ofRego = engine === 'rego' ? test : () => {}
    ofRego('a changed policy takes effect, a broken one does not', async () => {
      const app = await stage.application((_, response) => response.end('app'))
      stage.copy('opa/mesh.yaml', 'reload/mesh.yaml', ['9191', ports.authorizer])
      stage.copy('opa/sidecar.yaml', 'reload/sidecar.yaml')
      const where = [
        '--workload',
        'default/httpbin-with-opa',
        '--listen',
        '80=127.0.0.1:0',
        '--app',
        `127.0.0.1:${app}`,
      ]
      const sidecar = await stage.up('-f', stage.path('reload'), ...where)
      const port = sidecar.port('inbound default/httpbin-with-opa:80')
      const statuses = async () => [
        (await ask(port, '/headers')).status,
        (await ask(port, '/headers', asking(valid))).status,
      ]
      const change = (...replacement: readonly [string, string]) =>
        authorizer.reload(() => stage.copy('engines/rego/policy.rego', 'own/policy.rego', replacement))
      assert.deepEqual(await statuses(), [403, 200])
      const broken = await change('allow if {', 'allow if { nothing(1)')
      assert.equal(broken.kind, 'kept')
      assert.match(
        broken.lines.join('\n'),
        /authorizer\.yaml:\d+:\d+: .*policy\.rego:9: rego_type_error: undefined function nothing/,
      )
      assert.deepEqual(await statuses(), [403, 200])
      assert.equal((await change('default allow := false', 'default allow := true')).kind, 'applied')
      assert.deepEqual(await statuses(), [200, 200])
      assert.equal((await change('default allow', 'default allow')).kind, 'applied')
      assert.deepEqual(await statuses(), [403, 200])
    })

    const ofOpa = engine === 'opa' ? test : () => {}
    ofOpa('without its server there is no decision, which the proxy refuses', async () => {
      const app = await stage.application((_, response) => response.end('app'))
      const alone = await freePorts('authorizer', 'opa')
      const moved = [
        ['9191', alone.authorizer],
        ['8181', alone.opa],
      ] as const
      stage.copy('engines/opa/authorizer.yaml', 'alone/authorizer.yaml', ...moved)
      stage.copy('opa/mesh.yaml', 'alone/mesh.yaml', ['9191', alone.authorizer])
      stage.copy('opa/sidecar.yaml', 'alone/sidecar.yaml')
      const where = [
        '--workload',
        'default/httpbin-with-opa',
        '--listen',
        '80=127.0.0.1:0',
        '--app',
        `127.0.0.1:${app}`,
      ]
      const sidecar = await stage.up('-f', stage.path('alone'), ...where)
      const port = sidecar.port('inbound default/httpbin-with-opa:80')
      const refused = await ask(port, '/headers', asking(valid))
      assert.equal(refused.status, 403)
      const { decision, details } = await sidecar.decision(refused.id)
      assert.deepEqual([decision, details], ['deny', 'ext_authz_error'])
      const late = await startOpa(opa, alone.opa, examplePath('engines/rego/policy.rego'))
      stage.ending(() => late.stop())
      assert.equal((await ask(port, '/headers', asking(valid))).status, 200)
    })

    test('real Envoy asks it', { skip: 'skip' in envoyPeer ? envoyPeer.skip : false }, async () => {
      const app = await stage.application((_, response) => response.end('app'))
      const envoy: RunningEnvoy = await startEnvoy('path' in envoyPeer ? envoyPeer.path : '', customFilters, [
        cluster('app', app),
        cluster('authz', ports.authorizer, true),
      ])
      stage.ending(() => envoy.stop())
      const answers: unknown[] = []
      for (const [what, path, bearer] of table) {
        const lines: Line[] = bearer === null ? [] : [['authorization', `Bearer ${bearer}`]]
        answers.push([what, (await send(envoy.port, path, [['host', 'httpbin:8000'], ...lines], 'GET', '')).status])
      }
      assert.deepEqual(answers, expected)
    })
  })
}

function asking(bearer: string | null): Asking {
  const host = 'httpbin-with-opa:8000'
  return { headers: bearer === null ? { host } : { host, authorization: `Bearer ${bearer}` } }
}
