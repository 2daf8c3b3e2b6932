import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { connect, type TLSSocket } from 'node:tls'
import { root } from '../scenarios/program.ts'
import type { Sallyport } from '../scenarios/sallyport.ts'
import { Stage } from '../scenarios/stage.ts'
import { peer } from './peers.ts'

/** `sallyport ca` and `sallyport token` with the programs that people use them with, at a running `sallyport up`. */
const tools = { curl: peer('curl'), openssl: peer('openssl') }
const missing = Object.values(tools).find((tool) => 'skip' in tool)
const skip = missing !== undefined && 'skip' in missing ? missing.skip : false
const stage = new Stage()
let up: Sallyport
let port: number

interface Ran {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

function run(file: string, ...argv: string[]): Promise<Ran> {
  return new Promise((resolve) => {
    const options = { cwd: stage.folder, env: { ...process.env, XDG_DATA_HOME: stage.path('data') }, timeout: 20_000 }
    const child = execFile(file, argv, options, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? -1), stdout, stderr })
    })
    child.stdin?.end()
  })
}

async function sallyport(...argv: string[]): Promise<string> {
  const { code, stdout, stderr } = await run(process.execPath, join(root, 'dist/cli/main.js'), ...argv)
  assert.equal(code, 0, stderr)
  return stdout
}

/** An answer's status and body; status 0 for a connection that ended without one. */
async function curl(name: string | null, ...more: string[]): Promise<string> {
  const identity = name === null ? [] : ['--cert', `${name}/cert-chain.pem`, '--key', `${name}/key.pem`]
  const argv = ['-sk', '-m', '10', '-w', ' %{http_code}', ...identity, ...more, `https://127.0.0.1:${port}/`]
  return (await run('curl', ...argv)).stdout.trim()
}

const issue = (name: string) => sallyport('ca', 'issue', '--ca-dir', 'ca', '--service-account', name, '--out', name)

before(async () => {
  if (skip !== false) return
  await issue('frontend')
  await issue('stranger')
  const jwks = JSON.stringify(await sallyport('token', '--key-dir', 'keys', '--jwks'))
  stage.write(
    'files/policies.yaml',
    `apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: default, namespace: default }
spec: { mtls: { mode: STRICT } }
---
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: { name: tokens, namespace: default }
spec: { jwtRules: [{ issuer: "https://issuer.example", jwks: ${jwks} }] }
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: callers, namespace: default }
spec:
  rules:
  - from: [{ source: { principals: [cluster.local/ns/default/sa/frontend] } }]
  - from: [{ source: { requestPrincipals: ["https://issuer.example/alice"] } }]
`,
  )
  const app = await stage.application((request, response) => {
    response.end(String(request.headers['x-forwarded-client-cert']).replace(/Hash=\w+/, 'Hash=H'))
  })
  const web = ['--workload', 'default/web', '--service-account', 'web', '--listen', '8080=127.0.0.1:0']
  up = await stage.up('-f', stage.path('files'), ...web, '--app', `127.0.0.1:${app}`)
  port = up.port('inbound default/web:8080')
})

after(() => stage.end())

test('curl is the workload of its certificate, or the principal of its token', { skip }, async () => {
  const xfcc = (name: string) =>
    `By=spiffe://cluster.local/ns/default/sa/web;Hash=H;Subject="";URI=spiffe://cluster.local/ns/default/sa/${name}`
  assert.equal(await curl('frontend'), `${xfcc('frontend')} 200`)
  assert.equal(await curl('stranger'), 'RBAC: access denied 403')
  const token = (
    await sallyport('token', '--key-dir', 'keys', '--iss', 'https://issuer.example', '--sub', 'alice')
  ).trim()
  assert.equal(await curl('stranger', '-H', `Authorization: Bearer ${token}`), `${xfcc('stranger')} 200`)
  const expired = await sallyport('token', '--key-dir', 'keys', '--iss', 'https://issuer.example', '--ttl', '-5m')
  assert.equal(await curl('frontend', '-H', `Authorization: Bearer ${expired.trim()}`), 'Jwt is expired 401')
  assert.equal(await curl(null), '000')
  // The name in the server's certificate is no DNS name, so curl verifies the chain alone by its pinned key.
  const { code } = await run('curl', '-s', '--cacert', 'frontend/root-cert.pem', `https://127.0.0.1:${port}/`)
  assert.equal(code, 60)
})

test('openssl verifies the server, and is told that a certificate is required', { skip }, async () => {
  const own = ['-cert', 'frontend/cert-chain.pem', '-key', 'frontend/key.pem']
  const client = ['s_client', '-connect', `127.0.0.1:${port}`, '-CAfile', 'frontend/root-cert.pem']
  const strict = [...client, '-verify_return_error', '-brief']
  assert.match((await run('openssl', ...strict, ...own)).stderr, /^Verification: OK$/m)
  const none = await run('openssl', ...strict, '-tls1_2')
  assert.notEqual(none.code, 0)
  for (const version of ['-tls1', '-tls1_1']) {
    assert.notEqual((await run('openssl', ...strict, ...own, version)).code, 0, version)
  }
})

test('no session is resumed, whether by its id or by a ticket', { skip }, async () => {
  const own = ['-cert', 'frontend/cert-chain.pem', '-key', 'frontend/key.pem']
  const client = ['s_client', '-connect', `127.0.0.1:${port}`, ...own]
  for (const version of ['-tls1_2', '-tls1_3']) {
    const session = `session${version}.pem`
    const first = await exchange([...client, version, '-sess_out', session])
    assert.match(first, /^New, TLSv1/m)
    assert.match(first, /HTTP\/1\.1 200/)
    const second = await exchange([...client, version, '-sess_in', session])
    assert.match(second, /^New, TLSv1/m)
    assert.match(second, /HTTP\/1\.1 200/)
    assert.doesNotMatch(second, /^Reused/m)
    const again = await exchange([...client, version, '-reconnect'])
    assert.ok((again.match(/^New, TLSv1/gm)?.length ?? 0) > 1)
    assert.doesNotMatch(again, /^Reused/m)
  }
})

/** What s_client prints, which has sent one request and waits for the server to close. */
async function exchange(argv: readonly string[]): Promise<string> {
  const child = spawn('openssl', [...argv, '-ign_eof'], { cwd: stage.folder, stdio: ['pipe', 'pipe', 'ignore'] })
  const end = setTimeout(() => child.kill(), 15_000)
  let out = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    out += text
  })
  child.stdin.end('GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n')
  await once(child, 'close')
  clearTimeout(end)
  return out
}

async function open(name: string): Promise<TLSSocket> {
  const read = (file: string) => readFileSync(stage.path(name, file))
  const socket = connect({
    ...{
      host: '127.0.0.1',
      port,
      ca: readFileSync(stage.path('ca/cluster.local/root-cert.pem')),
      checkServerIdentity: () => undefined,
    },
    ...{ cert: read('cert-chain.pem'), key: read('key.pem') },
  })
  stage.ending(() => socket.destroy())
  socket.on('error', () => {})
  await once(socket, 'secureConnect')
  return socket
}

async function served(socket: TLSSocket): Promise<void> {
  socket.write('GET / HTTP/1.1\r\nHost: web\r\n\r\n')
  assert.match(String((await once(socket, 'data'))[0]), /^HTTP\/1\.1 /)
}

test('the root is rotated while proxies and clients run, and no connection ends before it must', { skip }, async () => {
  const old = await open('frontend')
  await served(old)
  const gone = once(old, 'close')
  let ended = false
  void gone.then(() => {
    ended = true
  })
  await sallyport('ca', 'rotate', '--ca-dir', 'ca')
  await up.line('stderr', /roots replaced/)
  await issue('backend')
  const fresh = await open('backend')
  // Everybody who has the bundle may meet the new certificate; it follows a little later.
  await up.line('stderr', /certificate renewed/)
  const verify = ['s_client', '-connect', `127.0.0.1:${port}`, '-verify_return_error', '-brief']
  const own = ['-CAfile', 'new-root.pem', '-cert', 'backend/cert-chain.pem', '-key', 'backend/key.pem']
  await run('openssl', 'x509', '-in', 'backend/root-cert.pem', '-out', 'new-root.pem')
  const late = Date.now() + 5000
  while (!/^Verification: OK$/m.test((await run('openssl', ...verify, ...own)).stderr)) {
    assert.ok(Date.now() < late, 'the certificate under the new root is not in use')
    await delay(50)
  }
  await served(old)
  await served(fresh)
  // A new connection with the old certificate is as good as one that is open.
  await served(await open('frontend'))
  assert.equal(ended, false)
  await sallyport('ca', 'rotate', '--finish', '--ca-dir', 'ca')
  await gone
  await served(fresh)
  assert.equal(await curl('frontend'), '000')
  assert.match(await curl('backend'), /403$/)
  assert.match(up.lines.stderr.join('\n'), /peer refused .*cause=root_removed/)
  assert.match(up.lines.stderr.join('\n'), /peer refused .*cause=unknown_root/)
})
