import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { type Asking, ask } from './exchange.ts'
import type { Sallyport } from './sallyport.ts'
import { freePorts, Stage } from './stage.ts'
import { type Claims, secretToken } from './token.ts'

const stage = new Stage()
const claims: Claims = {
  path: Buffer.from('/headers').toString('base64'),
  nbf: 1_500_000_000,
  exp: 1_900_000_000,
}
const token = secretToken(claims, 'secret')

function bearer(text: string): Asking {
  return { headers: { host: 'httpbin-with-opa:8000', authorization: `Bearer ${text}` } }
}

/** What differs from the example's files is where things are; policies are the example's own. */
const place = ['--workload', 'default/httpbin-with-opa', '--listen', '80=127.0.0.1:0']
const listener = 'inbound default/httpbin-with-opa:80'
let app = 0

before(async () => {
  app = await stage.example('opa/app.mjs')
})
after(() => stage.end())

function up(...files: string[]): Promise<Sallyport> {
  return stage.up(...files.flatMap((file) => ['-f', file]), ...place, '--app', `127.0.0.1:${app}`)
}

/** The statuses of: no token; the token elsewhere; the token where it is for; the path that nobody asks about. */
async function fourAnswers(port: number): Promise<number[]> {
  const answers = [
    await ask(port, '/headers'),
    await ask(port, '/get', bearer(token)),
    await ask(port, '/headers', bearer(token)),
    await ask(port, '/ip'),
  ]
  return answers.map(({ status }) => status)
}

describe('with the embedded authorizer', () => {
  let sidecar: Sallyport
  let port = 0

  before(async () => {
    const { authorizer } = await freePorts('authorizer')
    stage.copy('opa/mesh.yaml', 'embedded/mesh.yaml', ['9191', authorizer])
    stage.copy('opa/authorizer.yaml', 'embedded/authorizer.yaml', ['9191', authorizer])
    stage.copy('opa/authorizer.ts', 'embedded/authorizer.ts')
    stage.copy('opa/sidecar.yaml', 'embedded/sidecar.yaml')
    sidecar = await up(stage.path('embedded'))
    port = sidecar.port(listener)
  })

  test('/headers without a token is refused with the answer of the authorizer', async () => {
    const answer = await ask(port, '/headers')
    assert.deepEqual([answer.status, answer.body], [403, 'no token\n'])
    const { decision, phase, provider, policy, details, responseStatus, request } = await sidecar.decision(answer.id)
    assert.deepEqual(
      { decision, phase, provider, policy, details, responseStatus, path: request.path },
      {
        decision: 'deny',
        phase: 'custom',
        provider: 'opa.local',
        policy: null,
        details: 'ext_authz_denied',
        responseStatus: 403,
        path: '/headers',
      },
    )
  })

  test('/get with a token for /headers is refused', async () => {
    const answer = await ask(port, '/get', bearer(token))
    assert.deepEqual([answer.status, answer.body], [403, 'the token is for paths that start with /headers\n'])
    assert.equal((await sidecar.decision(answer.id)).details, 'ext_authz_denied')
  })

  test('/headers with the token reaches the application, and no log has the token', async () => {
    const answer = await ask(port, '/headers', bearer(token))
    assert.equal(answer.status, 200)
    assert.equal(JSON.parse(answer.body).headers.authorization, `Bearer ${token}`)
    const decision = await sidecar.decision(answer.id)
    assert.deepEqual([decision.decision, decision.provider, decision.policy], ['allow', 'opa.local', null])
    assert.equal(decision.request.destination.port, 80, 'the port of the workload, not of the socket')
    assert.ok(![...sidecar.lines.stdout, ...sidecar.lines.stderr].join().includes(token.split('.')[2] as string))
  })

  test('/ip is not asked about', async () => {
    const answer = await ask(port, '/ip')
    assert.equal(answer.status, 200)
    const decision = await sidecar.decision(answer.id)
    assert.deepEqual([decision.decision, decision.provider], ['allow', undefined])
  })

  test('a token that is over, not yet valid, of another secret or unsigned is none', async () => {
    const [header, payload, signature] = token.split('.') as [string, string, string]
    const none = Buffer.from('{"alg":"none"}').toString('base64url')
    const tokens = [
      secretToken({ ...claims, exp: Math.floor(Date.now() / 1000) - 1 }, 'secret'),
      secretToken({ ...claims, nbf: Math.floor(Date.now() / 1000) + 60 }, 'secret'),
      secretToken(claims, 'another'),
      `${none}.${payload}.`,
      `${none}.${payload}.${signature}`,
      `${header}.${payload}`,
    ]
    const answers = await Promise.all(tokens.map((one) => ask(port, '/headers', bearer(one))))
    assert.deepEqual(
      answers.map(({ status, body }) => [status, body]),
      tokens.map(() => [403, 'the token is not valid\n']),
    )
  })

  test('afterwards DENY and ALLOW decide as always', async () => {
    const policy = (action: string, header: string) => `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: ${action.toLowerCase()}-some }
spec:
  selector: { matchLabels: { app: httpbin-with-opa } }
  action: ${action}
  rules:
  - when: [{ key: 'request.headers[${header}]', values: ["yes"] }]
`
    const yes = (...names: string[]): Asking => ({
      headers: { ...bearer(token).headers, ...Object.fromEntries(names.map((name) => [name, 'yes'])) },
    })
    const applied = await sidecar.reload(() => {
      stage.write('embedded/local.yaml', `${policy('DENY', 'x-deny')}---\n${policy('ALLOW', 'x-allow')}`)
    })
    assert.equal(applied.kind, 'applied', applied.lines.join('\n'))
    const decided = async (asking: Asking) => {
      const { id, status, body } = await ask(port, '/headers', asking)
      const { phase, policy, provider } = await sidecar.decision(id)
      return { status, body: status === 200 ? '' : body, phase, policy, provider }
    }
    const provider = 'opa.local'
    const denied = { status: 403, body: 'RBAC: access denied', provider }
    assert.deepEqual(await decided(yes('x-allow')), { ...denied, status: 200, body: '', phase: 'none', policy: null })
    assert.deepEqual(await decided(yes()), { ...denied, phase: 'allow', policy: 'none' })
    assert.deepEqual(await decided(yes('x-allow', 'x-deny')), {
      ...denied,
      phase: 'deny',
      policy: 'ns[default]-policy[deny-some]-rule[0]',
    })
    assert.equal((await decided({ headers: { 'x-allow': 'yes' } })).body, 'no token\n', 'the provider comes first')
  })
})

describe('with an authorizer of its own', () => {
  let authorizer: Sallyport
  let ports: { readonly authorizer: number }

  const startAuthorizer = async () => {
    authorizer = stage.sallyport('authorizer', '-f', stage.path('alone/authorizer.yaml'))
    await authorizer.line('stderr', /^ready$/)
  }

  before(async () => {
    ports = await freePorts('authorizer')
    stage.copy('opa/authorizer.ts', 'alone/authorizer.ts')
    stage.copy('opa/authorizer.yaml', 'alone/authorizer.yaml', ['9191', ports.authorizer])
    await startAuthorizer()
  })

  const beside = `apiVersion: v1
kind: Service
metadata: { name: opa, namespace: default }
spec:
  selector: { app: opa }
  ports: [{ name: grpc, port: 9191 }]
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: { name: opa, namespace: default }
spec:
  address: 127.0.0.1
  labels: { app: opa }
  ports: { grpc: PORT }
`
  const outside = `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: opa, namespace: default }
spec:
  hosts: [opa.example.org]
  location: MESH_EXTERNAL
  resolution: DNS
  ports: [{ name: grpc, number: 9191, protocol: GRPC }]
  endpoints: [{ address: localhost, ports: { grpc: PORT } }]
`
  const places = [
    { name: 'in the same pod (ServiceEntry STATIC)', service: null, file: '' },
    { name: 'in the mesh (Service and WorkloadEntry)', service: 'opa.default.svc.cluster.local', file: beside },
    { name: 'outside the mesh (ServiceEntry DNS)', service: 'opa.example.org', file: outside },
  ]

  test('the provider can stand in three places, and its port be text or a number', async (t) => {
    stage.copy('opa/sidecar.yaml', 'places/sidecar.yaml')
    let sidecar: Sallyport | null = null
    for (const { name, service, file } of places) {
      for (const port of ['"9191"', '9191']) {
        await t.test(`${name}, port: ${port}`, async () => {
          const change = () => {
            const moved =
              service === null
                ? (['9191', ports.authorizer] as const)
                : (['service: local-opa-grpc.local', `service: ${service}`] as const)
            stage.copy('opa/mesh.yaml', 'places/mesh.yaml', ['port: "9191"', `port: ${port}`], moved)
            stage.write('places/place.yaml', file.replaceAll('PORT', String(ports.authorizer)))
          }
          if (sidecar === null) {
            change()
            sidecar = await up(stage.path('places'))
          } else {
            const { kind, lines } = await sidecar.reload(change)
            assert.equal(kind, 'applied', lines.join('\n'))
          }
          assert.deepEqual(await fourAnswers(sidecar.port(listener)), [403, 403, 200, 200])
        })
      }
    }
  })

  test('a host that nobody knows makes a provider that refuses what would be asked', async () => {
    stage.copy('opa/mesh.yaml', 'unknown/mesh.yaml', ['service: local-opa-grpc.local', 'service: opa.nowhere.local'])
    stage.copy('opa/sidecar.yaml', 'unknown/sidecar.yaml')
    const sidecar = await up(stage.path('unknown'))
    const warning = sidecar.lines.stderr.find((line) => line.includes('opa.nowhere.local'))
    assert.match(warning ?? '', /unknown\/mesh\.yaml:\d+:\d+: warning: /)
    const answer = await ask(sidecar.port(listener), '/headers', bearer(token))
    assert.deepEqual([answer.status, answer.body], [403, 'RBAC: access denied'])
    const policy = 'istio-ext-authz-opa.local-ns[default]-policy[httpbin-opa]-rule[0]-deny-due-to-bad-CUSTOM-action'
    const { phase, policy: logged, details } = await sidecar.decision(answer.id)
    assert.deepEqual(
      { phase, policy: logged, details },
      {
        phase: 'custom',
        policy,
        details: `rbac_access_denied_matched_policy[${policy}]`,
      },
    )
    assert.equal((await ask(sidecar.port(listener), '/ip')).status, 200)
  })

  test('while it is down, what it would be asked is refused; with failOpen it passes', async () => {
    const moved = ['9191', ports.authorizer] as const
    stage.copy('opa/mesh.yaml', 'down/mesh.yaml', moved)
    stage.copy('opa/sidecar.yaml', 'down/sidecar.yaml')
    const sidecar = await up(stage.path('down'))
    const port = sidecar.port(listener)
    assert.deepEqual(await fourAnswers(port), [403, 403, 200, 200])
    assert.equal(await authorizer.stop(), 0)

    assert.deepEqual(await fourAnswers(port), [403, 403, 403, 200])
    const answer = await ask(port, '/headers', bearer(token))
    assert.deepEqual([answer.status, answer.body], [403, ''])
    const { phase, provider, details } = await sidecar.decision(answer.id)
    assert.deepEqual(
      { phase, provider, details },
      { phase: 'custom', provider: 'opa.local', details: 'ext_authz_error' },
    )

    const failOpen = `port: "9191"\n        failOpen: true`
    const reloaded = await sidecar.reload(() => {
      stage.copy('opa/mesh.yaml', 'down/mesh.yaml', ['port: "9191"', failOpen], moved)
    })
    assert.equal(reloaded.kind, 'applied', reloaded.lines.join('\n'))
    assert.deepEqual(await fourAnswers(port), [200, 200, 200, 200])

    await startAuthorizer()
    assert.deepEqual(await fourAnswers(port), [403, 403, 200, 200], 'it is asked again as soon as it is back')
  })
})
