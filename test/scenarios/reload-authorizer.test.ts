import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { ask, echo, seen } from './exchange.ts'
import type { Sallyport } from './sallyport.ts'
import { freePorts, Stage } from './stage.ts'
import { Traffic } from './traffic.ts'

const stage = new Stage()
let app = 0
let ports: { readonly first: number; readonly second: number; readonly sidecar: number; readonly other: number }
let up: Sallyport
let sidecarPort = 0

function mesh(authorizerPort: number): string {
  return `extensionProviders:
- name: embedded
  envoyExtAuthzGrpc: { service: authz.local, port: 9191, timeout: 2s }
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: authz, namespace: default }
spec:
  hosts: [authz.local]
  resolution: STATIC
  ports: [{ number: 9191, name: grpc, protocol: GRPC }]
  endpoints: [{ address: 127.0.0.1, ports: { grpc: ${authorizerPort} } }]
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: { name: web, namespace: default }
spec: { address: 127.0.0.1, labels: { app: web } }
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: ask, namespace: default }
spec:
  action: CUSTOM
  provider: { name: embedded }
  rules: [{}]
`
}

function authorizer(name: string, port: number, module = 'engine.ts', more = ''): string {
  return `apiVersion: sallyport.dev/v1alpha1
kind: Authorizer
metadata: { name: ${name}, namespace: default }
spec:
  grpc: { listen: 127.0.0.1:${port} }
  engine: { module: { path: ./${module} } }
${more}`
}

function sidecar(...listeners: number[]): string {
  const ingress = listeners.map(
    (port) => `
  - port: { number: ${port}, protocol: HTTP, name: http-${port} }
    bind: 127.0.0.1
    defaultEndpoint: 127.0.0.1:${app}`,
  )
  return `apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: { name: web, namespace: default }
spec:
  workloadSelector: { labels: { app: web } }
  ingress:${ingress.join('')}
`
}

/** An engine that says who it is. */
function engine(name: string): string {
  return `import { type AuthorizerRequest, allow } from 'sallyport/extauthz'
export default (request: AuthorizerRequest) => allow({ headers: { 'x-engine': '${name}' } })
`
}

before(async () => {
  app = await stage.application(echo)
  ports = await freePorts('first', 'second', 'sidecar', 'other')
  stage.write('files/mesh.yaml', mesh(ports.first))
  stage.write('files/authorizer.yaml', authorizer('authz', ports.first))
  stage.write('files/engine.ts', engine('one'))
  stage.write('files/sidecar.yaml', sidecar(ports.sidecar))
  up = await stage.up('-f', stage.path('files'))
  sidecarPort = up.port(`inbound default/web:${ports.sidecar}`)
})
after(() => stage.end())

async function engineInUse(): Promise<string | undefined> {
  const answer = await ask(sidecarPort, '/data')
  assert.equal(answer.status, 200)
  return seen(answer).headers['x-engine']
}

/** Changes files under steady requests, of which none may fail or be refused. */
async function change(kind: 'applied' | 'kept', write: () => void): Promise<string> {
  const traffic = new Traffic(sidecarPort)
  try {
    await traffic.more(3)
    const reloaded = await up.reload(write)
    assert.equal(reloaded.kind, kind, reloaded.lines.join('\n'))
    await traffic.more(3)
    return reloaded.lines.join('\n')
  } finally {
    await traffic.stop()
    assert.deepEqual(traffic.failures, [])
    assert.deepEqual([...new Set(traffic.all.map(({ status }) => status))], [200])
  }
}

test('an engine that is changed is loaded; one that cannot be is reported, and the last good one decides', async () => {
  assert.equal(await engineInUse(), 'one')
  await change('applied', () => stage.write('files/engine.ts', engine('two')))
  assert.equal(await engineInUse(), 'two')
  const said = await change('kept', () => stage.write('files/engine.ts', 'export default ('))
  assert.match(said, /authorizer\.yaml:6:23: error: the engine cannot be loaded: .*\[SP502\]/)
  assert.equal(await engineInUse(), 'two')
  await change('applied', () => stage.write('files/engine.ts', engine('one')))
  assert.equal(await engineInUse(), 'one')
})

test('an authorizer that names an engine that is not there changes nothing', async () => {
  const said = await change('kept', () =>
    stage.write('files/authorizer.yaml', authorizer('authz', ports.first, 'absent.ts')),
  )
  assert.match(said, /authorizer\.yaml:6:23: error: .*absent\.ts.*\[SP502\]/)
  assert.equal(await engineInUse(), 'one')
})

test('an authorizer whose address is taken changes nothing', async () => {
  // Two of them want one address; the one that runs has it.
  const two = `${authorizer('authz', ports.first)}---\n${authorizer('another', ports.first)}`
  const said = await change('kept', () => stage.write('files/authorizer.yaml', two))
  assert.match(said, /authorizer\.yaml:\d+:\d+: error: cannot listen here: .*\[SP501\]/)
  assert.equal(await engineInUse(), 'one')
})

test('an authorizer that moves together with a listener that cannot be opened stays where it is', async () => {
  const taken = await stage.application(echo)
  const said = await change('kept', () => {
    stage.write('files/mesh.yaml', mesh(ports.second))
    stage.write('files/authorizer.yaml', authorizer('authz', ports.second))
    stage.write('files/sidecar.yaml', sidecar(ports.sidecar, taken))
  })
  assert.ok(said.includes(`127.0.0.1:${taken} is in use by another process`), said)
  assert.equal(await engineInUse(), 'one')
})

test('an authorizer that moves is asked at its new place, and nothing is refused meanwhile', async () => {
  await change('applied', () => stage.write('files/sidecar.yaml', sidecar(ports.sidecar)))
  assert.equal(await engineInUse(), 'one')
  await change('applied', () => {
    stage.write('files/engine-2.ts', engine('moved'))
    stage.write('files/mesh.yaml', mesh(ports.other))
    stage.write('files/authorizer.yaml', authorizer('authz', ports.other, 'engine-2.ts'))
  })
  assert.equal(await engineInUse(), 'moved')
})

test('an engine that loops takes neither the proxy nor its other requests down for good', async () => {
  await change('applied', () => {
    stage.write(
      'files/engine-2.ts',
      `import { type AuthorizerRequest, allow } from 'sallyport/extauthz'
export default (request: AuthorizerRequest) => {
  if (request.pathname === '/loop') for (;;) {}
  return allow({ headers: { 'x-engine': 'careful' } })
}
`,
    )
  })
  const from = up.lines.stderr.length
  assert.equal((await ask(sidecarPort, '/loop')).status, 403)
  // The proxy itself is not stuck: it refuses what it cannot ask about in time.
  const refused = await ask(sidecarPort, '/data')
  assert.ok([200, 403].includes(refused.status), String(refused.status))
  await up.line('stderr', /a worker did not answer and was killed/, from)
  const late = performance.now() + 20_000
  while ((await ask(sidecarPort, '/data')).status !== 200) assert.ok(performance.now() < late)
  assert.equal(await engineInUse(), 'careful')
})
