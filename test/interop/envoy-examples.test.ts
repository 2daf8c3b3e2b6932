import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync } from 'node:fs'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { createDevelopmentCa } from '#src/authn/certificate-authority.ts'
import { allow, createAuthorizer, deny } from '#src/extauthz/index.ts'
import { ask, echo, seen } from '../scenarios/exchange.ts'
import { createTestAuthority, startIssuer } from '../scenarios/issuer.ts'
import { root } from '../scenarios/program.ts'
import { freePorts, Stage } from '../scenarios/stage.ts'
import { secretToken } from '../scenarios/token.ts'
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
    let port = 0

    before(async () => {
      const app = await stage.example('opa/app.mjs')
      const { authorizer } = await freePorts('authorizer')
      for (const name of ['mesh.yaml', 'authorizer.yaml']) {
        stage.copy(`opa/${name}`, `opa-${form}/${name}`, ['9191', authorizer])
      }
      stage.copy('opa/authorizer.ts', `opa-${form}/authorizer.ts`)
      const files = ['-f', stage.path(`opa-${form}`)]
      await stage.sallyport('authorizer', ...files).line('stderr', /^ready$/)
      const place = [
        '--workload',
        'default/httpbin-with-opa',
        '--listen',
        '80=127.0.0.1:0',
        '--app',
        `127.0.0.1:${app}`,
      ]
      port = (await run([...files, ...place], form)).ports.get('127.0.0.1_80') as number
    })

    test('the four requests have the answers that sallyport up gives', async () => {
      const bearer = { headers: { authorization: `Bearer ${token}` } }
      const answers = [
        await ask(port, '/headers'),
        await ask(port, '/get', bearer),
        await ask(port, '/headers', bearer),
        await ask(port, '/ip'),
      ]
      assert.deepEqual(
        answers.map(({ status, body }) => [status, status === 403 ? body : '']),
        [
          [403, 'no token\n'],
          [403, 'the token is for paths that start with /headers\n'],
          [200, ''],
          [200, ''],
        ],
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
  })

  describe(`the example delegated on Envoy, ${form}`, { skip }, () => {
    const authority = createTestAuthority()
    let port = 0
    let tokenUntil: (exp: number) => string
    const now = Math.floor(Date.now() / 1000)

    before(async () => {
      const app = await stage.application(echo)
      const issuer = await startIssuer('my-auth-provider.example', '/.well-known/jwks.json', authority)
      stage.ending(() => issuer.close())
      const silent = { level: 'error', debug() {}, info() {}, warn() {}, error() {} } as const
      const service = createAuthorizer({
        logger: silent,
        check: ({ headers }) =>
          headers['x-user-id'] === 'alice'
            ? allow({ headers: { 'x-user-role': 'admin' } })
            : deny({ status: 401, body: 'who?' }),
      })
      const { grpc } = await service.listen({ grpc: '127.0.0.1:0' })
      stage.ending(() => service.close({ grace: 0 }))
      const folder = `delegated-${form}`
      stage.copy('delegated/mesh.yaml', `${folder}/mesh.yaml`)
      stage.copy('delegated/local.yaml', `${folder}/local.yaml`, ['18443', issuer.port], ['9090', grpc?.port ?? 0])
      const roots = stage.write('jwks-ca.pem', authority.root)
      const place = ['--workload', 'default/user-service', '--listen', '8080=127.0.0.1:0', '--app', `127.0.0.1:${app}`]
      const running = await run(['-f', stage.path(folder), ...place, '--jwks-ca', roots], form)
      port = running.ports.get('127.0.0.1_8080') as number
      tokenUntil = (exp) => issuer.token({ iss: 'https://my-auth-provider.example', sub: 'alice', iat: now, exp })
    })

    const bearer = (text: string, user: string) => ({
      headers: { host: 'user-service.default:8080', authorization: `Bearer ${text}`, 'x-user-id': user },
    })

    test('an allowed request reaches the application with what the service added', async () => {
      const answer = await ask(port, '/api/v1/users?page=2', bearer(tokenUntil(now + 3600), 'alice'))
      assert.equal(answer.status, 200, answer.body)
      assert.equal(seen(answer).headers['x-user-role'], 'admin')
    })

    test('a refusal of the service is the answer', async () => {
      const answer = await ask(port, '/api/v1/users', bearer(tokenUntil(now + 3600), 'bob'))
      assert.deepEqual([answer.status, answer.body], [401, 'who?'])
    })

    test('a bad token is refused after the service has allowed', async () => {
      const answer = await ask(port, '/api/v1/users', bearer(tokenUntil(now - 3600), 'alice'))
      assert.deepEqual([answer.status, answer.body], [401, 'Jwt is expired'])
    })

    test('what the ALLOW policy does not list is refused', async () => {
      const answer = await ask(port, '/api/v1/other', bearer(tokenUntil(now + 3600), 'alice'))
      assert.deepEqual([answer.status, answer.body], [403, 'RBAC: access denied'])
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
