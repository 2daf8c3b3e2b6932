import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { type Authorizer, allow, createAuthorizer } from '#src/extauthz/index.ts'
import { startBootstrap } from '../interop/envoy.ts'
import { peer } from '../interop/peers.ts'
import { ask, echo } from './exchange.ts'
import { root } from './program.ts'
import type { Sallyport } from './sallyport.ts'
import { freePorts, Stage } from './stage.ts'

/** A provider in the mesh, behind a sidecar of its own that takes mutual TLS only, and a proxy that asks it. */
const envoy = peer('envoy')
const stage = new Stage()
after(() => stage.end())

let authorizer: Authorizer
let checks = 0
let ports: Record<'grpc' | 'sidecar', number>
let authz: Sallyport
let web: Sallyport
let port = 0
let app = 0

interface Change {
  readonly account?: string
  readonly rule?: string
}

/** What the web proxy reads; the authorizer's sidecar has a copy of its own that stays. */
function files({ account = 'authz', rule = '' }: Change = {}): string {
  return `apiVersion: v1
kind: ConfigMap
metadata: { name: istio, namespace: istio-system }
data:
  mesh: |
    extensionProviders:
    - name: authz
      envoyExtAuthzGrpc: { service: authz.shop.svc.cluster.local, port: 9191, timeout: 2s }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: authz, namespace: shop }
spec:
  selector: { matchLabels: { app: authz } }
  template: { metadata: { labels: { app: authz } }, spec: { serviceAccountName: ${account} } }
---
apiVersion: v1
kind: Service
metadata: { name: authz, namespace: shop }
spec: { selector: { app: authz }, ports: [{ name: grpc, port: 9191 }] }
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: { name: authz-1, namespace: shop }
spec: { address: 127.0.0.1, labels: { app: authz }, ports: { grpc: ${ports.sidecar} }, serviceAccount: ${account} }
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: authz, namespace: shop }
spec: { selector: { matchLabels: { app: authz } }, mtls: { mode: STRICT } }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: web, namespace: default }
spec:
  selector: { matchLabels: { app: web } }
  template: { metadata: { labels: { app: web } }, spec: { serviceAccountName: web } }
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: ask, namespace: default }
spec: { selector: { matchLabels: { app: web } }, action: CUSTOM, provider: { name: authz }, rules: [{}] }
${rule === '' ? '' : `---\n${rule}`}`
}

const destination = (tls: string) => `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: authz, namespace: shop }
spec: { host: authz, trafficPolicy: { tls: ${tls} } }
`

before(async () => {
  app = await stage.application(echo)
  authorizer = createAuthorizer({
    logger: { level: 'error', debug() {}, info() {}, warn() {}, error() {} },
    check() {
      checks++
      return allow()
    },
  })
  stage.ending(() => authorizer.close({ grace: 0 }))
  const { grpc } = await authorizer.listen({ grpc: '127.0.0.1:0' })
  assert.ok(grpc)
  ports = { ...(await freePorts('grpc', 'sidecar')), grpc: grpc.port }
  stage.write('authz/mesh.yaml', files())
  // gRPC passes this version's listeners as a TCP connection.
  stage.write(
    'authz/sidecar.yaml',
    `apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: { name: authz, namespace: shop }
spec:
  workloadSelector: { labels: { app: authz } }
  ingress:
  - { port: { number: ${ports.sidecar}, protocol: TCP, name: tcp }, bind: 127.0.0.1, defaultEndpoint: "127.0.0.1:${ports.grpc}" }
`,
  )
  stage.write('web/mesh.yaml', files())
  authz = await stage.up('-f', stage.path('authz'), '--workload', 'shop/authz')
  const place = ['--workload', 'default/web', '--listen', '8080=127.0.0.1:0', '--app', `127.0.0.1:${app}`]
  web = await stage.up('-f', stage.path('web'), ...place)
  port = web.port('inbound default/web:8080')
})

const status = async () => (await ask(port, '/')).status

async function change(to: Change): Promise<void> {
  const { kind, lines } = await web.reload(() => stage.write('web/mesh.yaml', files(to)))
  assert.equal(kind, 'applied', lines.join('\n'))
}

test('the provider is asked with the certificate of the workload that asks', async () => {
  assert.equal(await status(), 200)
  assert.equal(checks, 1)
  await change({ rule: destination('{ mode: ISTIO_MUTUAL }') })
  assert.equal(await status(), 200)
})

test('real Envoy asks it in the same way with what is printed for it', {
  skip: 'skip' in envoy ? envoy.skip : false,
}, async () => {
  const before = checks
  const port = await theirs()
  assert.equal((await ask(port, '/')).status, 200)
  assert.equal(checks, before + 1)
  await change({ rule: destination('{ mode: DISABLE }') })
  assert.equal((await ask(await theirs(), '/')).status, 403)
  await change({ account: 'other' })
  assert.equal((await ask(await theirs(), '/')).status, 403)
  assert.equal(checks, before + 1)
  await change({})
})

/** Real Envoy in the place of the web proxy, with the files as they are now. */
async function theirs(): Promise<number> {
  const issued = stage.path('issued')
  const ca = ['--ca-dir', stage.path('ca')]
  const web = ['-n', 'default', '--service-account', 'web', '--out', issued]
  assert.equal(await stage.sallyport('ca', 'issue', ...ca, ...web).ended, 0)
  const certificates = [
    ...['--cert', join(issued, 'cert-chain.pem')],
    ...['--key', join(issued, 'key.pem'), '--ca', join(issued, 'root-cert.pem')],
  ]
  const place = ['--workload', 'default/web', '--listen', '8080=127.0.0.1:0', '--app', `127.0.0.1:${app}`]
  const words = ['envoy', '-f', stage.path('web'), ...place, ...certificates, '-o', 'json', '--admin', '127.0.0.1:0']
  const printed = execFileSync(process.execPath, [join(root, 'dist/cli/main.js'), ...words], {
    ...{ encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'], cwd: root },
  })
  const work = mkdtempSync(join(tmpdir(), 'envoy-'))
  const binary = 'path' in envoy ? envoy.path : ''
  const running = await startBootstrap(binary, JSON.parse(printed), join(work, 'admin'), work)
  stage.ending(() => running.stop())
  return running.ports.get('127.0.0.1_8080') ?? assert.fail(`no listener in ${[...running.ports.keys()]}`)
}

test('in plaintext, which a DestinationRule can demand, it cannot be asked', async () => {
  await change({ rule: destination('{ mode: DISABLE }') })
  const from = authz.lines.stdout.length
  assert.equal(await status(), 403)
  await authz.line('stdout', /"plaintext_under_strict_mtls"/, from)
})

test('a server that is not the account of the provider is not asked', async () => {
  const before = checks
  await change({ account: 'other' })
  assert.equal(await status(), 403)
  await web.line('stderr', /the server is spiffe:\/\/cluster\.local\/ns\/shop\/sa\/authz, not .*\/sa\/other/)
  assert.equal(checks, before)
  await change({})
  assert.equal(await status(), 200)
})

test('no request is lost while every certificate and the root are replaced', async () => {
  const before = checks
  let sent = 0
  let stop = false
  const statuses: number[] = []
  const traffic = (async () => {
    while (!stop) {
      sent++
      statuses.push(await status())
      await delay(20)
    }
  })()
  for (const args of [['rotate'], ['rotate', '--finish']]) {
    const from = { web: web.lines.stderr.length, authz: authz.lines.stderr.length }
    const rotated = stage.sallyport('ca', ...args, '--ca-dir', stage.path('ca'))
    assert.equal(await rotated.ended, 0)
    for (const one of ['web', 'authz'] as const) {
      await { web, authz }[one].line('stderr', /roots replaced|certificate renewed/, from[one])
    }
  }
  await delay(300)
  stop = true
  await traffic
  assert.deepEqual([...new Set(statuses)], [200])
  assert.equal(checks - before, sent)
  // A connection is one line of the log, when it is over.
  assert.equal(await web.stop(), 0)
  const principals = new Set(
    authz.lines.stdout.map((line) => JSON.parse(line)).map((entry) => entry.request.source.principal),
  )
  assert.ok(principals.has('cluster.local/ns/default/sa/web'))
})
