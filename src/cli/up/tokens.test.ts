import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { request } from 'node:http'
import { test } from 'node:test'
import { signToken } from '../../authn/jwt/sign-token.ts'
import { folderOf, start } from '../terminal.test.fixture.ts'
import { application, freePort } from './ports.test.fixture.ts'

const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const jwks = JSON.stringify({ keys: [publicKey.export({ format: 'jwk' })] })
const tokenOf = (iss: string) =>
  signToken('{"alg":"ES256"}', JSON.stringify({ iss, sub: 'u' }), { alg: 'ES256', key: privateKey })

async function ask(port: number, path: string, headers: Record<string, string> = {}): Promise<string> {
  const outgoing = request({ host: '127.0.0.1', port, path, headers, agent: false }).end()
  const [response] = await once(outgoing, 'response')
  let body = ''
  for await (const chunk of response.setEncoding('utf8')) body += chunk
  return `${response.statusCode} ${body}`
}

test('an issuer that is down keeps nothing from starting, keys come by the proxy, strict is strict', async (t) => {
  const asked: string[] = []
  const proxy = await application(t, ({ url }, response) => {
    asked.push(url ?? '')
    response.end(jwks)
  })
  const app = await application(t, (_, response) => response.end('hello'))
  const gone = await freePort()
  const rules = [
    { issuer: 'A', jwks },
    { issuer: 'B', jwksUri: 'http://keys.example/b', fromHeaders: [{ name: 'x-b' }] },
    { issuer: 'C', jwksUri: `http://127.0.0.1:${gone}/c?key=secret`, fromHeaders: [{ name: 'x-c' }] },
  ]
  const authentication = {
    ...{ apiVersion: 'security.istio.io/v1', kind: 'RequestAuthentication' },
    metadata: { name: 'tokens', namespace: 'default' },
    spec: { jwtRules: rules },
  }
  const cwd = folderOf(t, { 'mesh.yaml': JSON.stringify(authentication) })
  for (const strict of [false, true]) {
    const [listen, health, metrics] = [await freePort(), await freePort(), await freePort()]
    const ports = ['--health-port', String(health), '--metrics-port', String(metrics), '--admin-port', '0']
    const place = [
      '--workload',
      'default/web',
      '--label',
      'app=web',
      '--listen',
      `8080=127.0.0.1:${listen}`,
      '--app',
      `127.0.0.1:${app}`,
    ]
    const argv = ['up', '-f', 'mesh.yaml', ...place, ...ports, '--ca-dir', 'ca', ...(strict ? ['--strict-tokens'] : [])]
    const up = start(t, argv, { cwd, env: { http_proxy: `http://127.0.0.1:${proxy}` } })
    await up.hears(/^ready$/m)
    const a = { authorization: `Bearer ${tokenOf('A')}` }
    assert.equal(await ask(listen, '/', a), '200 hello')
    assert.equal(await ask(listen, '/', { 'x-b': tokenOf('B') }), '200 hello')
    assert.equal(await ask(listen, '/', { 'x-c': tokenOf('C') }), '401 Jwks remote fetch is failed')
    const form = 'Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections'
    assert.equal(await ask(listen, '/', { ...a, 'x-b': 'bad' }), strict ? `401 ${form}` : '200 hello')

    const ready = await ask(health, '/healthz/ready')
    assert.match(
      ready,
      /^200 ready\nkeys at http:\/\/127\.0\.0\.1:\d+\/c could not be fetched \(.*ECONNREFUSED.*\): tokens/,
    )
    const exposed = await ask(metrics, '/metrics')
    assert.match(exposed, new RegExp(`^sallyport_jwks_keys\\{uri="http://127.0.0.1:${gone}/c"\\} 0$`, 'm'))
    assert.match(exposed, /^sallyport_jwks_keys\{uri="http:\/\/keys\.example\/b"\} 1$/m)
    assert.match(exposed, /^sallyport_jwt_tokens_total\{outcome="verified"\} 2$/m)
    assert.doesNotMatch(ready + exposed, /secret/)
  }
  assert.deepEqual(asked, ['http://keys.example/b', 'http://keys.example/b'])
})
