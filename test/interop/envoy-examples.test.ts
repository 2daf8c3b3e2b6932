import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync } from 'node:fs'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { createDevelopmentCa } from '#src/authn/certificate-authority.ts'
import {
  type Answer,
  type Authorizer,
  type AuthorizerRequest,
  allow,
  createAuthorizer,
  deny,
} from '#src/extauthz/index.ts'
import { ask, echo, seen } from '../scenarios/exchange.ts'
import { createTestAuthority, foreignKey, type Issuer, startIssuer } from '../scenarios/issuer.ts'
import { root } from '../scenarios/program.ts'
import type { Sallyport } from '../scenarios/sallyport.ts'
import { freePorts, Stage } from '../scenarios/stage.ts'
import { secretToken, signedToken } from '../scenarios/token.ts'
import { type RunningBootstrap, startBootstrap } from './envoy.ts'
import { peer } from './peers.ts'

const envoy = peer('envoy')
const skip = 'skip' in envoy ? envoy.skip : false
const binary = 'path' in envoy ? envoy.path : ''
const forms = ['rules', 'matcher'] as const

const stage = new Stage()
after(() => stage.end())

const ca = createDevelopmentCa({ trustDomain: 'cluster.local', now: Date.now })
const own = ca.issue({ namespace: 'default', serviceAccount: 'backend' })
const certificate = ['cert', 'key', 'ca'].flatMap((name, i) => [
  `--${name}`,
  stage.write(`${name}.pem`, [own.chain, own.key, ca.root][i] as string),
])

/** What `sallyport envoy` prints. */
function bootstrapOf(args: readonly string[], ...form: readonly string[]): string {
  const words = [join(root, 'dist/cli/main.js'), 'envoy', ...args, ...certificate, '--admin', '127.0.0.1:0', ...form]
  return execFileSync(process.execPath, words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'], cwd: root })
}

/** Real Envoy with it. */
async function run(args: readonly string[], form: string): Promise<RunningBootstrap> {
  const config = JSON.parse(bootstrapOf(args, '-o', 'json', '--rbac', form))
  const folder = mkdtempSync(join(tmpdir(), 'envoy-'))
  const running = await startBootstrap(binary, config, join(folder, 'admin'), folder)
  stage.ending(() => running.stop())
  return running
}

test('Envoy accepts what is printed for every workload of the examples', { skip }, () => {
  const workloads = {
    opa: ['httpbin-with-opa'],
    'frontend-backend': ['frontend', 'backend'],
    delegated: ['user-service'],
  }
  for (const [folder, names] of Object.entries(workloads)) {
    for (const name of names) {
      for (const form of [...forms.map((one) => ['--rbac', one]), ['-o', 'json']]) {
        const text = bootstrapOf(['-f', join('examples', folder), '--workload', `default/${name}`], ...form)
        const file = stage.write('printed.yaml', text)
        const output = execFileSync(binary, ['--mode', 'validate', '--config-path', file, '--log-level', 'error'], {
          encoding: 'utf8',
        })
        assert.match(output, /OK/, `${folder} ${name} ${form}`)
      }
    }
  }
})

for (const form of forms) {
  describe(`the example opa on Envoy, ${form}`, { skip }, () => {
    const token = secretToken(
      { path: Buffer.from('/headers').toString('base64'), nbf: 1_500_000_000, exp: 1_900_000_000 },
      'secret',
    )
    let authorizer: Sallyport
    let port = 0
    let openPort = 0

    before(async () => {
      const app = await stage.example('opa/app.mjs')
      const ports = await freePorts('authorizer')
      const [closed, open] = [`opa-${form}`, `opa-open-${form}`]
      const moved = ['9191', ports.authorizer] as const
      for (const name of ['mesh.yaml', 'authorizer.yaml']) stage.copy(`opa/${name}`, `${closed}/${name}`, moved)
      stage.copy('opa/authorizer.ts', `${closed}/authorizer.ts`)
      stage.copy('opa/mesh.yaml', `${open}/mesh.yaml`, ['port: "9191"', 'port: "9191"\n        failOpen: true'], moved)
      authorizer = stage.sallyport('authorizer', '-f', stage.path(closed))
      await authorizer.line('stderr', /^ready$/)
      const listen = ['--workload', 'default/httpbin-with-opa', '--listen', '80=127.0.0.1:0']
      const place = [...listen, '--app', `127.0.0.1:${app}`]
      port = (await run(['-f', stage.path(closed), ...place], form)).ports.get('127.0.0.1_80') as number
      openPort = (await run(['-f', stage.path(open), ...place], form)).ports.get('127.0.0.1_80') as number
    })

    async function fourAnswers(port: number) {
      const bearer = { headers: { authorization: `Bearer ${token}` } }
      const answers = [
        await ask(port, '/headers'),
        await ask(port, '/get', bearer),
        await ask(port, '/headers', bearer),
        await ask(port, '/ip'),
      ]
      return answers.map(({ status, body }) => [status, status === 403 ? body : ''])
    }

    test('the four requests have the answers that sallyport up gives', async () => {
      for (const one of [port, openPort]) {
        assert.deepEqual(await fourAnswers(one), [
          [403, 'no token\n'],
          [403, 'the token is for paths that start with /headers\n'],
          [200, ''],
          [200, ''],
        ])
      }
    })

    test('while the authorizer is down, all but /ip is refused; with failOpen it passes', async () => {
      assert.equal(await authorizer.stop(), 0)
      assert.deepEqual(await fourAnswers(port), [
        [403, ''],
        [403, ''],
        [403, ''],
        [200, ''],
      ])
      assert.deepEqual(
        (await fourAnswers(openPort)).map(([status]) => status),
        [200, 200, 200, 200],
      )
    })
  })

  describe(`the example frontend-backend on Envoy, ${form}`, { skip }, () => {
    let app = 0
    before(async () => {
      app = await stage.example('frontend-backend/backend.mjs')
    })

    for (const [files, statuses] of [
      [[], [200, 200, 200, 200, 200]],
      [['deny-all'], [403, 403, 403, 403, 403]],
      [
        ['deny-all', 'allow-get-data'],
        [403, 403, 403, 403, 403],
      ],
      [
        ['allow-nothing', 'allow-get-data'],
        [200, 403, 403, 403, 403],
      ],
    ] as const) {
      test(files.join(' and ') || 'no policy', async () => {
        const args = ['workloads', ...files].flatMap((name) => ['-f', `examples/frontend-backend/${name}.yaml`])
        const place = ['--workload', 'default/backend', '--listen', '8080=127.0.0.1:0', '--app', `127.0.0.1:${app}`]
        const running = await run([...args, ...place], form)
        const port = running.ports.get('127.0.0.1_8080') as number
        const answers = [
          await secured(port, 'frontend', 'GET', '/api/v1/data'),
          await secured(port, 'frontend', 'POST', '/api/v1/data'),
          await secured(port, 'frontend', 'GET', '/api/v1/other'),
          await secured(port, 'visitor', 'GET', '/api/v1/data'),
          await ask(port, '/api/v1/data'),
        ]
        // The application knows one path, and answers 404 and 405 where nothing keeps a request from it.
        const decided = answers.map(({ status }) => (status === 404 || status === 405 ? 200 : status))
        assert.deepEqual(decided, statuses)
        for (const { status, body } of answers) if (status === 403) assert.equal(body, 'RBAC: access denied')
        await running.stop()
      })
    }

    test('STRICT: no certificate, no answer', async () => {
      const strict = stage.write(
        'strict.yaml',
        'apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: { name: default, namespace: default }\n' +
          'spec: { mtls: { mode: STRICT } }\n',
      )
      const args = ['-f', 'examples/frontend-backend/workloads.yaml', '-f', strict]
      const place = ['--workload', 'default/backend', '--listen', '8080=127.0.0.1:0', '--app', `127.0.0.1:${app}`]
      const running = await run([...args, ...place], form)
      const port = running.ports.get('127.0.0.1_8080') as number
      assert.equal((await secured(port, 'frontend', 'GET', '/api/v1/data')).status, 200)
      await assert.rejects(ask(port, '/api/v1/data'), /ECONNRESET|socket hang up/)
      await running.stop()
    })
  })

  describe(`the example delegated on Envoy, ${form}`, { skip }, () => {
    const authority = createTestAuthority()
    const ports = new Map<string, number>()
    let service: Authorizer
    let decide: (request: AuthorizerRequest) => Answer | Promise<Answer>
    let issuer: Issuer

    before(async () => {
      const app = await stage.application(echo)
      issuer = await startIssuer('my-auth-provider.example', '/.well-known/jwks.json', authority)
      stage.ending(() => issuer.close())
      const silent = { level: 'error', debug() {}, info() {}, warn() {}, error() {} } as const
      service = createAuthorizer({ logger: silent, check: (request) => decide(request) })
      const { grpc } = await service.listen({ grpc: '127.0.0.1:0' })
      stage.ending(() => service.close({ grace: 0 }))
      const roots = stage.write('jwks-ca.pem', authority.root)
      const once = 'allowPartialMessage: true }\n'
      for (const [mode, ...changes] of [['closed'], ['open', [once, `${once}        failOpen: true\n`]]] as const) {
        const folder = `delegated-${mode}-${form}`
        stage.copy('delegated/mesh.yaml', `${folder}/mesh.yaml`, ...changes)
        stage.copy('delegated/local.yaml', `${folder}/local.yaml`, ['18443', issuer.port], ['9090', grpc?.port ?? 0])
        const place = [
          '--workload',
          'default/user-service',
          '--listen',
          '8080=127.0.0.1:0',
          '--app',
          `127.0.0.1:${app}`,
        ]
        const running = await run(['-f', stage.path(folder), ...place, '--jwks-ca', roots], form)
        ports.set(mode, running.ports.get('127.0.0.1_8080') as number)
      }
    })

    const now = Math.floor(Date.now() / 1000)
    const claims = { iss: 'https://my-auth-provider.example', sub: 'alice', iat: now, exp: now + 3600 }

    async function send(mode: 'open' | 'closed', path: string, token: string | null, method = 'GET') {
      const bearer = token === null ? {} : { authorization: `Bearer ${token}` }
      const headers = { host: 'user-service.default:8080', 'x-user-role': 'forged', ...bearer }
      return ask(ports.get(mode) as number, path, { method, headers })
    }

    const short = ({ status, body }: { readonly status: number; readonly body: string }) =>
      status === 200 ? [status] : [status, body]

    test('an allowed request reaches the application with what the service added', async () => {
      decide = () => allow({ headers: { 'x-user-role': 'admin' } })
      const answer = await send('closed', '/api/v1/users?page=2', issuer.token(claims))
      assert.equal(answer.status, 200, answer.body)
      assert.equal(seen(answer).headers['x-user-role'], 'admin')
    })

    test('a refusal of the service is the answer', async () => {
      decide = () => deny()
      assert.deepEqual(short(await send('closed', '/api/v1/users', issuer.token(claims))), [403, ''])
      decide = () => deny({ status: 401, body: 'who?' })
      assert.deepEqual(short(await send('closed', '/api/v1/users', issuer.token(claims))), [401, 'who?'])
    })

    test('a bad token is refused after the service has allowed, and none is not', async () => {
      decide = () => allow()
      const expired = issuer.token({ ...claims, exp: now - 3600 })
      const foreign = signedToken(claims, foreignKey(), 'key-1')
      assert.deepEqual(short(await send('closed', '/api/v1/users', expired)), [401, 'Jwt is expired'])
      assert.deepEqual(short(await send('closed', '/api/v1/users', foreign)), [401, 'Jwt verification fails'])
      assert.deepEqual(short(await send('closed', '/api/v1/users', null)), [200])
    })

    test('what the ALLOW policy does not list is refused', async () => {
      decide = () => allow()
      const denied = [403, 'RBAC: access denied']
      assert.deepEqual(short(await send('closed', '/api/v1/users', issuer.token(claims), 'POST')), denied)
      assert.deepEqual(short(await send('closed', '/api/v1/other', issuer.token(claims))), denied)
    })

    test('a service that is slow, then stopped: 403; with failOpen it passes', async () => {
      let release = () => {}
      const released = new Promise<void>((resolve) => {
        release = resolve
      })
      decide = () => released.then(() => deny())
      assert.deepEqual(short(await send('closed', '/api/v1/users', issuer.token(claims))), [403, ''])
      assert.deepEqual(short(await send('open', '/api/v1/users', issuer.token(claims))), [200])
      release()
      await service.close({ grace: 0 })
      assert.deepEqual(short(await send('closed', '/api/v1/users', issuer.token(claims))), [403, ''])
      assert.deepEqual(short(await send('open', '/api/v1/users', issuer.token(claims))), [200])
      assert.deepEqual(short(await send('open', '/api/v1/users', 'a.b.c')).slice(0, 1), [401])
    })
  })
}

/** As a sidecar's client side does it: the workload's certificate, and Istio's ALPN. */
function secured(port: number, serviceAccount: string, method: string, path: string) {
  const { chain, key } = ca.issue({ namespace: 'default', serviceAccount })
  return new Promise<{ readonly status: number; readonly body: string }>((resolve, reject) => {
    const options = { ALPNProtocols: ['istio'], checkServerIdentity: () => undefined, cert: chain, key, ca: ca.root }
    const message = request({ host: '127.0.0.1', port, path, method, agent: false, ...options }, (response) => {
      let body = ''
      response.setEncoding('utf8').on('data', (text) => {
        body += text
      })
      response.once('end', () => resolve({ status: response.statusCode ?? 0, body }))
    })
    message.once('error', reject).end()
  })
}
