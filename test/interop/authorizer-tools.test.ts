import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { allow, createAuthorizer, deny, type ListenOptions } from '#src/extauthz/index.ts'
import { Stage } from '../scenarios/stage.ts'
import { make } from './odd-certificates.ts'
import { type PeerName, peer } from './peers.ts'

/** The programs that people look at a gRPC or TLS service with. */
const stage = new Stage()
after(() => stage.end())

const skipWithout = (...names: PeerName[]) => {
  for (const name of names) {
    const found = peer(name)
    if ('skip' in found) return { skip: found.skip }
  }
  return {}
}

interface Ran {
  readonly code: number
  readonly out: string
}

function run(name: PeerName, ...argv: string[]): Promise<Ran> {
  return runHearing(() => {}, name, ...argv)
}

/** `hear` is called with the first that it writes. */
function runHearing(hear: () => void, name: PeerName, ...argv: string[]): Promise<Ran> {
  const found = peer(name)
  assert('path' in found)
  return new Promise((resolve) => {
    const child = execFile(found.path, argv, { timeout: 20_000 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? -1), out: stdout + stderr })
    })
    child.stdin?.end()
    child.stdout?.once('data', hear)
  })
}

async function start(listen: ListenOptions) {
  const authorizer = createAuthorizer({
    logger: { level: 'error', debug() {}, info() {}, warn() {}, error() {} },
    check: (request) => (request.path === '/public' ? allow({ headers: { 'x-team': 'web' } }) : deny({ body: 'no' })),
  })
  stage.ending(() => authorizer.close({ grace: 0 }))
  const { grpc, http } = await authorizer.listen(listen)
  return { authorizer, grpc: `127.0.0.1:${grpc?.port}`, http: `127.0.0.1:${http?.port}` }
}

const question = (path: string) =>
  JSON.stringify({ attributes: { request: { http: { method: 'GET', path, host: 'web' } } } })

describe('grpcurl, without a .proto file', skipWithout('grpcurl'), () => {
  let at: string
  before(async () => {
    at = (await start({ grpc: '127.0.0.1:0' })).grpc
  })

  test('lists what is served', async () => {
    const { code, out } = await run('grpcurl', '-plaintext', at, 'list')
    assert.equal(code, 0, out)
    assert.deepEqual(out.trim().split('\n'), [
      'envoy.service.auth.v3.Authorization',
      'grpc.health.v1.Health',
      'grpc.reflection.v1.ServerReflection',
      'grpc.reflection.v1alpha.ServerReflection',
    ])
  })

  test('describes services and messages', async () => {
    const service = await run('grpcurl', '-plaintext', at, 'describe', 'envoy.service.auth.v3.Authorization')
    assert.match(service.out, /rpc Check \( \.envoy\.service\.auth\.v3\.CheckRequest \)/)
    const message = await run('grpcurl', '-plaintext', at, 'describe', 'envoy.service.auth.v3.CheckResponse')
    assert.match(message.out, /\.envoy\.service\.auth\.v3\.OkHttpResponse ok_response = 3;/)
    const watch = await run('grpcurl', '-plaintext', at, 'describe', 'grpc.health.v1.Health.Watch')
    assert.match(watch.out, /returns \( stream \.grpc\.health\.v1\.HealthCheckResponse \)/)
  })

  test('asks', async () => {
    const ask = async (path: string) => {
      const { code, out } = await run(
        ...(['grpcurl', '-plaintext', '-d', question(path), at] as const),
        'envoy.service.auth.v3.Authorization/Check',
      )
      assert.equal(code, 0, out)
      return JSON.parse(out)
    }
    const allowed = await ask('/public')
    assert.deepEqual(allowed.okResponse.headers[0].header, { key: 'x-team', value: 'web' })
    const denied = await ask('/private')
    assert.deepEqual([denied.status.code, denied.deniedResponse.body], [7, 'no'])
    const health = await run('grpcurl', '-plaintext', at, 'grpc.health.v1.Health/Check')
    assert.deepEqual(JSON.parse(health.out), { status: 'SERVING' })
  })

  test('watches health until the server goes', async () => {
    const { authorizer, grpc } = await start({ grpc: '127.0.0.1:0' })
    let watching: Promise<Ran> | undefined
    await new Promise<void>((told) => {
      watching = runHearing(told, 'grpcurl', '-plaintext', grpc, 'grpc.health.v1.Health/Watch')
    })
    await authorizer.close()
    const out = (await watching)?.out ?? ''
    assert.match(out, /"status": "SERVING"[\s\S]*"status": "NOT_SERVING"[\s\S]*Code: Unavailable/)
  })
})

describe('TLS', () => {
  const root = make({ subject: 'root', authority: true }, null)
  const server = make({ dns: ['authz.test'] }, root)
  const gateway = make({ uris: ['spiffe://td/ns/istio-system/sa/gateway'] }, root)
  const stranger = make({ uris: ['spiffe://td/ns/other/sa/x'] }, root)
  const nobody = make({ dns: ['istio-system.test'] }, root)
  const two = make({ uris: ['spiffe://td/ns/istio-system/sa/a', 'spiffe://td/ns/other/sa/x'] }, root)
  let at: { readonly grpc: string; readonly http: string }
  const file = (name: string) => stage.path(name)
  const identity = (name: string) => ['-cert', file(`${name}.crt`), '-key', file(`${name}.key`)]

  before(async () => {
    writeFileSync(file('root.crt'), root.certificate)
    for (const [name, one] of Object.entries({ server, gateway, stranger, nobody, two })) {
      writeFileSync(file(`${name}.crt`), one.certificate)
      writeFileSync(file(`${name}.key`), one.pem, { mode: 0o600 })
    }
    const listener = {
      listen: '127.0.0.1:0',
      tls: {
        certificate: file('server.crt'),
        key: file('server.key'),
        clientCa: file('root.crt'),
        allow: ['spiffe://td/ns/istio-system/sa/*'],
      },
    }
    at = await start({ grpc: listener, http: listener })
  })

  test('grpcurl is let in by its certificate', skipWithout('grpcurl'), async () => {
    const trust = ['-cacert', file('root.crt'), '-authority', 'authz.test']
    const check = 'envoy.service.auth.v3.Authorization/Check'
    const good = await run('grpcurl', ...trust, ...identity('gateway'), '-d', question('/public'), at.grpc, check)
    assert.equal(good.code, 0, good.out)
    for (const argv of [[], identity('stranger'), identity('nobody'), identity('two')]) {
      const refused = await run('grpcurl', '-connect-timeout', '3', ...trust, ...argv, at.grpc, 'list')
      assert.notEqual(refused.code, 0, refused.out)
    }
  })

  test('curl speaks the HTTP form', skipWithout('curl'), async () => {
    const ask = (...argv: string[]) =>
      run('curl', '-sk', '-m', '10', '-o', '/dev/null', '-w', '%{http_code}', ...argv, `https://${at.http}/public`)
    const own = (name: string) => ['--cert', file(`${name}.crt`), '--key', file(`${name}.key`)]
    assert.equal((await ask(...own('gateway'))).out, '200')
    for (const argv of [[], own('stranger'), own('two')]) assert.equal((await ask(...argv)).out, '000')
  })

  test('openssl agrees on h2, on nothing else, and on no old version', skipWithout('openssl'), async () => {
    const common = ['s_client', '-connect', at.grpc, '-CAfile', file('root.crt'), ...identity('gateway')]
    const good = await run('openssl', ...common, '-alpn', 'h2')
    assert.match(good.out, /ALPN protocol: h2/)
    assert.match(good.out, /Verify return code: 0 \(ok\)/)
    const other = await run('openssl', ...common, '-alpn', 'http/1.1')
    assert.match(other.out, /no application protocol/)
    const old = await run('openssl', ...common, '-alpn', 'h2', '-tls1_1')
    assert.match(old.out, /alert|no protocols available|unsupported protocol/i)
  })
})

test('curl and grpcurl find a unix socket', skipWithout('curl', 'grpcurl'), async () => {
  const http = stage.path('h.sock')
  const grpc = stage.path('g.sock')
  await start({ grpc: { listen: `unix:${grpc}`, mode: 0o600 }, http: `unix:${http}` })
  const answer = await run(
    'curl',
    '-s',
    '-m',
    '10',
    '-o',
    '/dev/null',
    '-w',
    '%{http_code}',
    ...['--unix-socket', http, 'http://a/public'],
  )
  assert.equal(answer.out, '200')
  const health = await run('grpcurl', '-plaintext', '-unix', grpc, 'grpc.health.v1.Health/Check')
  assert.match(health.out, /SERVING/)
})
