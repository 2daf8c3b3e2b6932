import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { cluster, type RunningEnvoy, startEnvoy } from '../interop/envoy.ts'
import { peer } from '../interop/peers.ts'
import { type Asking, ask, echo, seen } from './exchange.ts'
import { startOpa } from './opa-server.ts'
import type { Sallyport } from './sallyport.ts'
import { examplePath, freePorts, Stage } from './stage.ts'
import { type Claims, secretToken } from './token.ts'

/** The same decision in each language, asked for by each caller: a folder of `examples/engines` is an engine. */
const engines = readdirSync(examplePath('engines'), { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && existsSync(examplePath(`engines/${entry.name}/authorizer.yaml`)))
  .map(({ name }) => name)

/** Needs OPA: a server beside it, or its compiler. */
const withOpa = new Set(['opa', 'rego'])
const foundOpa = peer('opa')
if ('path' in foundOpa) process.env.SALLYPORT_OPA = foundOpa.path
const foundEnvoy = peer('envoy')

const stage = new Stage()
const listener = 'inbound default/httpbin-with-opa:80'
let app = 0
let keys = 0

before(async () => {
  app = await stage.example('opa/app.mjs')
  keys = await stage.example('engines/keys.mjs')
})
after(() => stage.end())

const claims: Claims = {
  path: Buffer.from('/headers').toString('base64'),
  nbf: 1_500_000_000,
  exp: 1_900_000_000,
}

function bearer(text: string): Asking {
  return { headers: { host: 'httpbin-with-opa:8000', authorization: `Bearer ${text}` } }
}

/** What `scenarios/opa` says of a request, and what every engine has to say of others. */
const rows: readonly (readonly [what: string, path: string, asking: Asking, allowed: boolean])[] = [
  ['/headers without a token', '/headers', {}, false],
  ['/get with the token', '/get', bearer(secretToken(claims, 'secret')), false],
  ['/headers with the token', '/headers', bearer(secretToken(claims, 'secret')), true],
  ['/ip without a token, which nobody asks about', '/ip', {}, true],
  ['a path that only looks like it', '/header', bearer(secretToken(claims, 'secret')), false],
  ['a path that leads elsewhere', '/headers/../get', bearer(secretToken(claims, 'secret')), false],
  ['a token of another secret', '/headers', bearer(secretToken(claims, 'another')), false],
  ['a token that is over', '/headers', bearer(secretToken({ ...claims, exp: 1_600_000_000 }, 'secret')), false],
  ['a token to come', '/headers', bearer(secretToken({ ...claims, nbf: 1_800_000_000 }, 'secret')), false],
  ['a token without a path', '/headers', bearer(secretToken({ nbf: claims.nbf, exp: claims.exp }, 'secret')), false],
  ['no token at all', '/headers', bearer('a.b.c'), false],
]

/** A refusal is a 403 but for tokens that are verified by Istio's rules, where a bad one is a 401. */
async function answers(port: number): Promise<void> {
  for (const [what, path, asking, allowed] of rows) {
    const { status, body } = await ask(port, path, asking)
    if (allowed) assert.equal(status, 200, `${what}: ${body}`)
    else assert.ok(status === 401 || status === 403, `${what}: ${status} ${body}`)
  }
  const answer = await ask(port, '/headers', bearer(secretToken(claims, 'secret')))
  assert.match(JSON.parse(answer.body).headers.authorization ?? '', /^Bearer /, 'the application sees the token')
}

/** The example's files with the ports of this test. */
function place(engine: string, to: string, ports: { readonly authorizer: number; readonly opa: number }): string {
  const folder = examplePath(`engines/${engine}`)
  const moved = [
    ['127.0.0.1:9191', `127.0.0.1:${ports.authorizer}`],
    ['127.0.0.1:8181', `127.0.0.1:${ports.opa}`],
    ['127.0.0.1:18081', `127.0.0.1:${keys}`],
  ] as const
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (!entry.isFile()) continue
    let text = readFileSync(join(folder, entry.name), 'utf8')
    for (const [from, into] of moved) text = text.replaceAll(from, into)
    stage.write(`${to}/${entry.name}`, text)
  }
  return stage.path(to)
}

for (const engine of engines) {
  const skip = withOpa.has(engine) && 'skip' in foundOpa ? foundOpa.skip : false
  describe(`the engine ${engine}`, { skip }, () => {
    let ports: { readonly authorizer: number; readonly opa: number }

    before(async () => {
      ports = await freePorts('authorizer', 'opa')
      if (engine === 'opa') await startOpa(stage, ports.opa)
    })

    test('in the process of our proxy', async () => {
      const files = place(engine, `${engine}/embedded`, ports)
      stage.copy('opa/mesh.yaml', `${engine}/own/mesh.yaml`, ['9191', ports.authorizer])
      stage.copy('opa/sidecar.yaml', `${engine}/own/sidecar.yaml`)
      const own = stage.path(`${engine}/own`)
      const sidecar = await stage.up(
        ...['-f', join(files, 'authorizer.yaml'), '-f', own],
        ...['--workload', 'default/httpbin-with-opa', '--listen', '80=127.0.0.1:0', '--app', `127.0.0.1:${app}`],
      )
      await answers(sidecar.port(listener))
      assert.equal(await sidecar.stop(), 0)
    })

    test('in a process of its own, asked by real Envoy', {
      skip: 'skip' in foundEnvoy ? foundEnvoy.skip : false,
    }, async () => {
      const files = place(engine, `${engine}/alone`, ports)
      const authorizer: Sallyport = stage.sallyport('authorizer', '-f', join(files, 'authorizer.yaml'))
      await authorizer.line('stderr', /^ready$/)
      let envoy: RunningEnvoy | undefined
      try {
        envoy = await startEnvoy('path' in foundEnvoy ? foundEnvoy.path : '', asking('authz'), [
          cluster('app', app),
          cluster('authz', ports.authorizer, true),
        ])
        await answers(envoy.port)
      } finally {
        await envoy?.stop()
      }
      assert.equal(await authorizer.stop(), 0)
    })
  })
}

test('every engine is there', () => {
  for (const engine of ['cedar', 'cel', 'istio', 'module', 'opa', 'rego']) assert.ok(engines.includes(engine), engine)
})

/** What Istio makes of a CUSTOM policy about all but `/ip`. */
function asking(name: string): object[] {
  const policies = {
    'istio-ext-authz-x': {
      permissions: [{ not_rule: { url_path: { path: { exact: '/ip' } } } }],
      principals: [{ any: true }],
    },
  }
  const type = 'type.googleapis.com/envoy.extensions.filters.http'
  return [
    {
      name: 'envoy.filters.http.rbac',
      typed_config: {
        '@type': `${type}.rbac.v3.RBAC`,
        shadow_rules_stat_prefix: 'istio_ext_authz_',
        shadow_rules: { action: 'DENY', policies },
      },
    },
    {
      name: 'envoy.filters.http.ext_authz',
      typed_config: {
        '@type': `${type}.ext_authz.v3.ExtAuthz`,
        transport_api_version: 'V3',
        grpc_service: { envoy_grpc: { cluster_name: name }, timeout: '2s' },
        filter_enabled_metadata: {
          filter: 'envoy.filters.http.rbac',
          path: [{ key: 'istio_ext_authz_shadow_effective_policy_id' }],
          value: { string_match: { prefix: 'istio-ext-authz-x' } },
        },
      },
    },
  ]
}

/** The decision of `scenarios/delegated`, as far as a language goes: `x-user-id` names somebody that is known. */
const delegated: Readonly<
  Record<string, { readonly engine: string; readonly files: Record<string, string>; readonly role: boolean }>
> = {
  istio: {
    engine: 'istio: { paths: [engine/policies.yaml], workload: user-service, labels: { app: user-service } }',
    files: {
      'policies.yaml': `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: users, namespace: default }
spec:
  rules: [{ when: [{ key: "request.headers[x-user-id]", values: [alice, bob] }] }]
`,
    },
    role: false,
  },
  cel: {
    engine: 'cel: { path: engine/policy.cel }',
    files: {
      'policy.cel': `// Roles by user.
request.headers['x-user-id'] in {'alice': 'admin', 'bob': 'reader'}
  ? {'allow': true, 'headers': {'x-user-role': {'alice': 'admin', 'bob': 'reader'}[request.headers['x-user-id']]}}
  : {'allow': false, 'headers': {'x-denied-by': 'ext-authz', 'content-type': 'text/plain'}, 'body': 'nobody by that name\\n'}
`,
    },
    role: true,
  },
  cedar: {
    engine: 'cedar: { policies: engine/policy.cedar }',
    files: {
      'policy.cedar': `permit (principal, action, resource)
when { context.headers has "x-user-id" && ["alice", "bob"].contains(context.headers["x-user-id"]) };
`,
    },
    role: false,
  },
  module: {
    engine: 'module: { path: ./engine/authorizer.ts }',
    files: { 'authorizer.ts': readFileSync(examplePath('delegated/authorizer.ts'), 'utf8') },
    role: true,
  },
}

describe('a decision delegated with context', () => {
  let echoing = 0

  before(async () => {
    echoing = await stage.application(echo)
  })

  for (const [name, { engine, files, role }] of Object.entries(delegated)) {
    for (const provider of ['delegated', 'delegated-http']) {
      test(`${name}, by the provider ${provider}`, async () => {
        const ports = await freePorts('grpc', 'http')
        const to = `delegated/${name}/${provider}`
        const moved = [
          ['9090', ports.grpc],
          ['8000', ports.http],
        ] as const
        stage.copy('delegated/local.yaml', `${to}/local.yaml`, ...moved)
        stage.copy('delegated/authorizer.yaml', `${to}/authorizer.yaml`, ...moved, [
          'module: { path: ./authorizer.ts }',
          engine,
        ])
        stage.copy('delegated/mesh.yaml', `${to}/mesh.yaml`, [
          'provider: { name: delegated }',
          `provider: { name: ${provider} }`,
        ])
        for (const [file, text] of Object.entries(files)) stage.write(`${to}/engine/${file}`, text)
        const list = ['local.yaml', 'authorizer.yaml', 'mesh.yaml'].flatMap((file) => ['-f', stage.path(to, file)])
        const place = ['--workload', 'default/user-service', '--listen', '8080=127.0.0.1:0']
        const up = await stage.up(...list, ...place, '--app', `127.0.0.1:${echoing}`)
        const port = up.port('inbound default/user-service:8080')
        const as = (user: string | null) =>
          ask(port, '/api/v1/users', { headers: user === null ? {} : { 'x-user-id': user, 'x-user-role': 'forged' } })
        const alice = await as('alice')
        assert.equal(alice.status, 200, alice.body)
        if (role) assert.equal(seen(alice).headers['x-user-role'], 'admin')
        assert.equal((await as('mallory')).status, 403)
        assert.equal((await as(null)).status, 403)
        assert.equal(await up.stop(), 0)
      })
    }
  }
})
