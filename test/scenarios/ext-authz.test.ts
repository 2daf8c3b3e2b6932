import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync } from 'node:fs'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { createDevelopmentCa } from '#src/authn/certificate-authority.ts'
import { startBootstrap } from '../interop/envoy.ts'
import { peer } from '../interop/peers.ts'
import { type Answer, ask } from './exchange.ts'
import { root } from './program.ts'
import { freePorts, Stage } from './stage.ts'

/** Istio's sample authorizer and a login with cookies, run from the files of the examples, at our proxy and at Envoy. */
const envoy = peer('envoy')
const stage = new Stage()
after(() => stage.end())

const ca = createDevelopmentCa({ trustDomain: 'cluster.local', now: Date.now })
let app = 0
before(async () => {
  app = await stage.example('opa/app.mjs')
})

const place = (port: number) => [
  ...['--workload', 'foo/httpbin', '--listen', `80=127.0.0.1:${port}`, '--app', `127.0.0.1:${app}`],
  ...certificates,
]
const own = ca.issue({ namespace: 'foo', serviceAccount: 'httpbin' })
const certificates = ['cert', 'key', 'ca'].flatMap((name, i) => [
  `--${name}`,
  stage.write(`${name}.pem`, [own.chain, own.key, ca.root][i] as string),
])

/** The proxy, and the authorizer of the files with it. */
async function ours(folder: string): Promise<number> {
  const off = ['health-port', 'metrics-port', 'admin-port'].flatMap((name) => [`--${name}`, '0'])
  const up = stage.sallyport('up', '-f', stage.path(folder), ...place(0), '-o', 'json', ...off)
  await up.line('stderr', /^ready$/)
  return up.port('inbound foo/httpbin:80')
}

/** Real Envoy, which asks the same authorizer. */
async function theirs(folder: string): Promise<number> {
  const words = [join(root, 'dist/cli/main.js'), 'envoy', '-f', stage.path(folder), ...place(0), '-o', 'json']
  const printed = execFileSync(process.execPath, [...words, '--admin', '127.0.0.1:0'], {
    ...{ encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'], cwd: root },
  })
  const work = mkdtempSync(join(tmpdir(), 'envoy-'))
  const binary = 'path' in envoy ? envoy.path : ''
  const running = await startBootstrap(binary, JSON.parse(printed), join(work, 'admin'), work)
  stage.ending(() => running.stop())
  return running.ports.get('127.0.0.1_80') ?? assert.fail(`no listener in ${[...running.ports.keys()]}`)
}

const callers = [
  ['our proxy', ours, false],
  ['real Envoy', theirs, 'skip' in envoy ? envoy.skip : false],
] as const

const header = (answer: Answer, name: string): string | undefined =>
  JSON.parse(answer.body).headers[`x-ext-authz-${name}`]

for (const provider of ['grpc', 'http'] as const) {
  describe(`Istio's sample authorizer, asked over ${provider}`, () => {
    const folder = `sample-${provider}`
    let mine = 0

    before(async () => {
      const ports = await freePorts('grpc', 'http')
      const moved = [
        ['9000', ports.grpc],
        ['8000', ports.http],
      ] as const
      stage.copy('ext-authz/mesh.yaml', `${folder}/mesh.yaml`, ...moved)
      stage.copy('ext-authz/authorizer.yaml', `${folder}/authorizer.yaml`, ...moved)
      stage.copy('ext-authz/authorizer.ts', `${folder}/authorizer.ts`)
      stage.copy('ext-authz/sidecar.yaml', `${folder}/sidecar.yaml`)
      stage.copy('ext-authz/policy.yaml', `${folder}/policy.yaml`, [
        'sample-ext-authz-grpc',
        `sample-ext-authz-${provider}`,
      ])
      mine = await ours(folder)
    })

    for (const [who, start, skip] of callers) {
      test(`by ${who}`, { skip }, async () => {
        const port = start === ours ? mine : await start(folder)
        const forged = { 'x-ext-authz-additional-header-override': 'forged' }
        const override = `${provider}-additional-header-override-value`
        const allowed = await ask(port, '/headers', { headers: { host: 'httpbin', 'x-ext-authz': 'allow', ...forged } })
        assert.equal(allowed.status, 200)
        assert.equal(header(allowed, 'check-result'), 'allowed')
        assert.equal(header(allowed, 'additional-header-override'), override)
        const { method, path, host } = JSON.parse(header(allowed, 'check-received') ?? '')
        assert.deepEqual([method, path, host], ['GET', '/headers', 'httpbin'])

        for (const value of [{ 'x-ext-authz': 'deny' }, {}]) {
          const denied = await ask(port, '/headers', { headers: { host: 'httpbin', ...value } })
          assert.deepEqual(
            [denied.status, denied.body],
            [403, 'denied by ext_authz for not found header `x-ext-authz: allow` in the request'],
          )
          assert.equal(denied.headers['x-ext-authz-check-result'], 'denied')
          assert.equal(denied.headers['x-ext-authz-additional-header-override'], override)
        }
        assert.equal((await ask(port, '/ip')).status, 200, 'not asked')
      })

      test(`by ${who}: the service account a needs no header, where the provider is told of it`, { skip }, async () => {
        const port = start === ours ? mine : await start(folder)
        assert.equal(await byAccount(port, 'a'), provider === 'grpc' ? 200 : 403)
        assert.equal(await byAccount(port, 'b'), 403)
      })
    }
  })
}

function byAccount(port: number, serviceAccount: string): Promise<number | undefined> {
  const { chain, key } = ca.issue({ namespace: 'foo', serviceAccount })
  const options = { cert: chain, key, rejectUnauthorized: false, ALPNProtocols: ['istio'], agent: false } as const
  return new Promise((resolve, reject) => {
    const message = request({ host: '127.0.0.1', port, path: '/headers', ...options }, (response) => {
      response.resume().once('end', () => resolve(response.statusCode))
    })
    message.once('error', reject).end()
  })
}

describe('a login over HTTP', () => {
  const folder = 'login'
  let mine = 0

  before(async () => {
    const { login } = await freePorts('login')
    stage.copy('login/mesh.yaml', `${folder}/mesh.yaml`, ['4180', login])
    stage.copy('login/authorizer.yaml', `${folder}/authorizer.yaml`, ['4180', login])
    stage.copy('login/login.ts', `${folder}/login.ts`)
    stage.copy('login/sidecar.yaml', `${folder}/sidecar.yaml`)
    mine = await ours(folder)
  })

  /** What a browser sends back of an answer's cookies. */
  const kept = (answer: Answer) =>
    (answer.headers['set-cookie'] ?? []).map((line) => line.slice(0, line.indexOf(';'))).join('; ')

  for (const [who, start, skip] of callers) {
    test(`by ${who}`, { skip }, async () => {
      const port = start === ours ? mine : await start(folder)
      const sent = await ask(port, '/headers?from=a')
      assert.equal(sent.status, 302)
      assert.equal(sent.headers['set-cookie']?.length, 2)
      assert.ok(sent.headers['set-cookie']?.every((line) => line.includes('; HttpOnly; Secure; SameSite=Lax')))
      const location = new URL(sent.headers.location ?? '')
      assert.equal(location.origin + location.pathname, 'https://login.example/authorize')
      const state = location.searchParams.get('state')

      const callback = (code: string, cookie: string) =>
        ask(port, `/oauth2/callback?code=${code}&state=${state}`, { headers: { cookie } })
      assert.equal((await callback('code-of-alice', '')).status, 403, 'the state is of another browser')
      assert.equal((await callback('code-of-nobody', kept(sent))).status, 403)
      const back = await callback('code-of-alice', kept(sent))
      assert.deepEqual([back.status, back.headers.location], [302, '/headers?from=a'])
      assert.equal(back.headers['set-cookie']?.length, 2)

      const cookie = kept(back)
      const forged = { 'x-auth-request-user': 'mallory' }
      const page = await ask(port, '/headers?from=a', { headers: { cookie, ...forged } })
      assert.equal(page.status, 200)
      assert.equal(JSON.parse(page.body).headers['x-auth-request-user'], 'alice')
      assert.match(page.headers['set-cookie']?.[0] ?? '', /^_session=/, 'renewed on the way back')
      const changed = cookie.replace(/^(_session=.)./, '$1-')
      assert.equal((await ask(port, '/headers', { headers: { cookie: changed } })).status, 302)
      assert.equal((await ask(port, '/ip')).status, 200)
    })
  }
})
