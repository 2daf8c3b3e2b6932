import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { ask, echo, seen } from './exchange.ts'
import type { Sallyport } from './sallyport.ts'
import { freePorts, readExample, Stage } from './stage.ts'
import { type Claims, signedToken } from './token.ts'

const stage = new Stage()
const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const FILES = ['authorizers.yaml', 'delegation.yaml', 'local.yaml', 'mesh.yaml'] as const
const MODULES = ['claims.ts', 'risk.ts', 'roles.ts', 'roles-next.ts'] as const
let sidecar: Sallyport
let port = 0

before(async () => {
  const app = await stage.application(echo)
  const ports = await freePorts('roles', 'risk', 'next')
  const jwks = JSON.stringify({ keys: [{ ...keys.publicKey.export({ format: 'jwk' }), kid: 'k' }] })
  for (const file of FILES) {
    const text = readExample(`beyond/${file}`)
      .replaceAll('18191', String(ports.roles))
      .replaceAll('18192', String(ports.risk))
      .replaceAll('18193', String(ports.next))
      .replace(/jwksUri: .*/, `jwks: '${jwks}'`)
    stage.write(`files/${file}`, text)
  }
  for (const module of MODULES) stage.copy(`beyond/${module}`, `files/${module}`)
  const place = ['--workload', 'default/orders', '--listen', '8080=127.0.0.1:0', '--app', `127.0.0.1:${app}`]
  sidecar = await stage.up('-f', stage.path('files'), ...place)
  port = sidecar.port('inbound default/orders:8080')
})
after(() => stage.end())

function bearer(claims: Claims): string {
  const exp = Math.floor(Date.now() / 1000) + 3600
  return `Bearer ${signedToken({ iss: 'https://issuer.example', exp, ...claims }, keys.privateKey, 'k')}`
}

const ann = () => bearer({ sub: 'ann', tenants: ['a', 'b'] })

function get(path: string, authorization?: string, headers: Record<string, string> = {}) {
  return ask(port, path, { headers: { ...(authorization === undefined ? {} : { authorization }), ...headers } })
}

describe('providers that Istio could not ask', () => {
  test('who may see which orders, by what the token says, from which device', async () => {
    const rows: readonly (readonly [string, string | undefined, string, number, string, string | undefined])[] = [
      ['/orders?tenant=a', ann(), 'phone-1', 200, 'none', undefined],
      ['/orders/7?tenant=b', ann(), 'phone-1', 200, 'none', undefined],
      ['/orders?tenant=c', ann(), 'phone-1', 403, 'custom', 'roles'],
      ['/orders?tenant=a&tenant=c', ann(), 'phone-1', 403, 'custom', 'roles'],
      ['/orders?tenant=a&ten%61nt=c', ann(), 'phone-1', 403, 'custom', 'roles'],
      ['/orders', ann(), 'phone-1', 403, 'custom', 'roles'],
      ['/orders?tenant=a', ann(), 'phone-13', 403, 'custom', 'risk'],
      ['/orders?tenant=c', ann(), 'phone-13', 403, 'custom', 'roles'],
      ['/orders?tenant=a', bearer({ sub: 'eve' }), 'phone-1', 403, 'custom', 'roles'],
      ['/orders?tenant=a', undefined, 'phone-1', 403, 'allow', undefined],
      ['/orders?tenant=a', `${ann()}x`, 'phone-1', 401, 'authn', undefined],
      ['/other', ann(), 'phone-13', 200, 'none', undefined],
      ['/health', undefined, 'phone-13', 200, 'none', undefined],
    ]
    for (const [path, token, device, status, phase, provider] of rows) {
      const answer = await get(path, token, { 'x-device': device })
      const decision = await sidecar.decision(answer.id)
      assert.deepEqual([answer.status, decision.phase], [status, phase], path)
      if (status !== 403) continue
      assert.equal(decision.provider, provider, path)
      assert.equal(decision.delegation, provider === undefined ? undefined : 'default/orders')
    }
  })

  test('the application is told who it is, whatever the client says', async () => {
    const forged = { 'x-user': 'root', 'x-tenant': 'z', 'x-sallyport-claims': 'e30' }
    const { headers } = seen(await get('/orders?tenant=a&page=2', ann(), forged))
    assert.deepEqual([headers['x-user'], headers['x-tenant']], ['ann', 'a'])
    const locked = await get('/orders?tenant=a', ann(), { 'x-device': 'phone-13' })
    assert.deepEqual([locked.body, locked.headers['content-type']], ['this device is locked\n', 'text/plain'])
  })

  test('what the shadow would decide is told, and not done', async () => {
    const answer = await get('/orders?tenant=m', bearer({ sub: 'mallory', tenants: ['m'] }))
    assert.equal(answer.status, 200)
    const line = await sidecar.line('stderr', new RegExp(`provider in shadow id=${answer.id}`))
    assert.match(line, /delegation=default\/orders provider=roles-next shadow=deny decision=allow phase=none/)
    assert.doesNotMatch(sidecar.lines.stderr.join('\n'), /shadow=allow decision=allow/)
  })

  test('a permission that is kept ends when an authorizer is another', async () => {
    assert.equal((await get('/orders?tenant=a', ann())).status, 200)
    const { kind, lines } = await sidecar.reload(() => {
      stage.copy('beyond/roles.ts', 'files/roles.ts', [
        "import { claimsOf } from './claims.ts'",
        'const claimsOf = () => ({ sub: 0, tenants: [] })',
      ])
    })
    assert.equal(kind, 'applied', lines.join('\n'))
    assert.equal((await get('/orders?tenant=a', ann())).status, 403)
  })

  test('a file that would have it ask less is not taken over', async () => {
    for (const [from, to, code] of [
      ['- name: roles\n', '- name: rolls\n', 'SP304'],
      ['sees: { queryParameters: [tenant], claims: [sub, tenants] }\n    cache', 'cache', 'SP106'],
    ] as const) {
      const { kind, lines } = await sidecar.reload(() => {
        const good = readExample('beyond/delegation.yaml')
        assert.ok(good.includes(from))
        stage.write('files/delegation.yaml', good.replace(from, to))
      })
      assert.equal(kind, 'kept')
      assert.ok(
        lines.some((line) => line.includes(`[${code}]`)),
        lines.join('\n'),
      )
      assert.equal((await get('/orders?tenant=c', ann())).status, 403)
    }
  })
})
