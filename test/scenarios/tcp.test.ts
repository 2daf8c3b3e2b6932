import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { after, before, test } from 'node:test'
import { connect } from 'node:tls'
import { openCaFolder } from '#src/authn/ca-files.ts'
import { type Answer, type AuthorizerConnection, allow, createAuthorizer, deny } from '#src/extauthz/index.ts'
import type { DecisionLogEntry } from '#src/proxy/decision-log.ts'
import { converse, listenTo } from './exchange.ts'
import type { Sallyport } from './sallyport.ts'
import { freePorts, Stage } from './stage.ts'

const stage = new Stage()
const silent = { level: 'error', debug() {}, info() {}, warn() {}, error() {} } as const

/** A database with two ports, and the places where two clients of it go out. */
function workloads(
  ports: { readonly database: number; readonly good: number; readonly bad: number },
  app: number,
): string {
  const listener = (port: number) => `
  - port: { number: ${port}, protocol: TCP, name: tcp-${port} }
    defaultEndpoint: 127.0.0.1:${app}`
  const client = (namespace: string, port: number) => `
---
apiVersion: networking.istio.io/v1
kind: WorkloadGroup
metadata: { name: client, namespace: ${namespace} }
spec:
  metadata: { labels: { app: client } }
  template: { serviceAccount: client }
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: { name: client, namespace: ${namespace} }
spec:
  workloadSelector: { labels: { app: client } }
  egress:
  - port: { number: ${port}, protocol: TCP, name: tcp-db }
    bind: 127.0.0.1
    captureMode: NONE
    hosts: ["default/db.default.svc.cluster.local"]
---
apiVersion: v1
kind: Service
metadata: { name: other-${namespace}, namespace: default }
spec:
  selector: { app: other }
  ports: [{ name: tcp-db, port: ${port} }]`
  return `apiVersion: v1
kind: Service
metadata: { name: db, namespace: default }
spec:
  selector: { app: db }
  ports:
  - { name: tcp-good, port: ${ports.good}, targetPort: 3306 }
  - { name: tcp-bad, port: ${ports.bad}, targetPort: 3306 }
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: { name: db, namespace: default }
spec:
  address: 127.0.0.1
  labels: { app: db }
  ports: { tcp-good: ${ports.database}, tcp-bad: ${ports.database} }
  serviceAccount: db
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: { name: db, namespace: default }
spec:
  workloadSelector: { labels: { app: db } }
  ingress:${listener(3306)}${listener(3307)}${client('good', ports.good)}${client('bad', ports.bad)}
`
}

function policy(name: string, spec: string): string {
  return `---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: ${name}, namespace: default }
spec:
  selector: { matchLabels: { app: db } }
${spec.replace(/^/gm, '  ')}
`
}

let database: Sallyport
let ports: { readonly database: number; readonly second: number; readonly good: number; readonly bad: number }
let greeted = 0

before(async () => {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    greeted++
    socket.on('error', () => {})
    socket.write('hello ')
    socket.on('data', (chunk) => socket.write(String(chunk).toUpperCase()))
    socket.on('end', () => socket.end())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  stage.ending(() => server.close())
  ports = await freePorts('database', 'second', 'good', 'bad')
  const workloadsFile = stage.write('workloads.yaml', workloads(ports, (server.address() as AddressInfo).port))
  stage.write('policies/policy.yaml', '')
  const files = ['-f', workloadsFile, '-f', stage.path('policies')]
  const place = ['--listen', `3306=127.0.0.1:${ports.database}`, '--listen', `3307=127.0.0.1:${ports.second}`]
  const sidecar = (name: string, ...options: string[]) => stage.up(...files, '--workload', name, ...options)
  ;[database] = await Promise.all([sidecar('default/db', ...place), sidecar('good/client'), sidecar('bad/client')])
})
after(() => stage.end())

async function configure(...documents: string[]): Promise<void> {
  const { kind, lines } = await database.reload(() => stage.write('policies/policy.yaml', documents.join('')))
  assert.equal(kind, 'applied', lines.join('\n'))
}

/** A peer with a certificate, as a sidecar speaks. */
async function asPeer(namespace: string, port = ports.database): Promise<string> {
  const opened = openCaFolder(stage.path('ca/cluster.local'), { trustDomain: 'cluster.local', now: Date.now })
  assert.ok(opened.kind === 'opened')
  const { chain, key } = opened.ca.issue({ namespace, serviceAccount: 'client' })
  const identity = { cert: chain, key, ca: opened.ca.root, checkServerIdentity: () => undefined }
  const socket = connect({ host: '127.0.0.1', port, ...identity, ALPNProtocols: ['istio-peer-exchange', 'istio'] })
  return listenTo(socket, 'abc')
}

type Party = 'good' | 'bad' | 'throughGood' | 'throughBad' | 'plaintext'

const parties: Readonly<Record<Party, () => Promise<string>>> = {
  good: () => asPeer('good'),
  bad: () => asPeer('bad'),
  throughGood: () => converse(ports.good, 'abc'),
  throughBad: () => converse(ports.bad, 'abc'),
  plaintext: () => converse(ports.database, 'abc'),
}

/** What becomes of a connection, and what the log says of it. */
async function meet(connecting: () => Promise<string>) {
  const text = await connecting()
  const outcome = text === 'hello ABC' ? 'passes' : text === '' ? 'closed' : text
  return { outcome, decision: await database.nextDecision() }
}

/** A peer of each namespace, one of each through its own sidecar, and plaintext, one after the other. */
async function everybody() {
  const outcomes: Partial<Record<Party, string>> = {}
  const decisions: Partial<Record<Party, DecisionLogEntry>> = {}
  for (const [party, connecting] of Object.entries(parties) as [Party, () => Promise<string>][]) {
    const { outcome, decision } = await meet(connecting)
    outcomes[party] = outcome
    decisions[party] = decision
    assert.equal(decision.decision, outcome === 'passes' ? 'allow' : 'deny')
  }
  return { outcomes, decisions }
}

const all = { good: 'passes', bad: 'passes', throughGood: 'passes', throughBad: 'passes', plaintext: 'passes' }

test('without a policy everybody passes, and the log knows each by its certificate', async () => {
  const { outcomes, decisions } = await everybody()
  assert.deepEqual(outcomes, all)
  const principals = Object.entries(decisions).map(([party, { request }]) => [party, request.source.principal])
  assert.deepEqual(Object.fromEntries(principals), {
    good: 'cluster.local/ns/good/sa/client',
    bad: 'cluster.local/ns/bad/sa/client',
    throughGood: 'cluster.local/ns/good/sa/client',
    throughBad: 'cluster.local/ns/bad/sa/client',
    plaintext: undefined,
  })
  for (const { status, responseStatus, request } of Object.values(decisions)) {
    assert.deepEqual([status, responseStatus, request.method, request.destination.port], [null, null, undefined, 3306])
  }
  const serverName = `outbound_.${ports.good}_._.db.default.svc.cluster.local`
  assert.equal(decisions.throughGood?.request.destination.sni, serverName)
})

test('DENY by namespace closes the connections of its peers before the application has said a word', async () => {
  await configure(policy('no-bad', 'action: DENY\nrules:\n- from: [{ source: { namespaces: [bad] } }]'))
  const before = greeted
  const { outcomes, decisions } = await everybody()
  assert.deepEqual(outcomes, { ...all, bad: 'closed', throughBad: 'closed' })
  assert.equal(greeted - before, 3)
  const id = 'ns[default]-policy[no-bad]-rule[0]'
  for (const decision of [decisions.bad, decisions.throughBad]) {
    assert.deepEqual(
      [decision?.status, decision?.phase, decision?.policy, decision?.details],
      [null, 'deny', id, `rbac_access_denied_matched_policy[${id}]`],
    )
  }
})

test('DENY of all but a namespace takes plaintext too', async () => {
  await configure(policy('only-good', 'action: DENY\nrules:\n- from: [{ source: { notNamespaces: [good] } }]'))
  assert.deepEqual((await everybody()).outcomes, { ...all, bad: 'closed', throughBad: 'closed', plaintext: 'closed' })
})

test('ALLOW by port opens that port and no other', async () => {
  await configure(policy('one-port', 'action: ALLOW\nrules:\n- to: [{ operation: { ports: ["3306"] } }]'))
  assert.deepEqual((await everybody()).outcomes, all)
  for (const connecting of [() => asPeer('good', ports.second), () => converse(ports.second, 'abc')]) {
    const { outcome, decision } = await meet(connecting)
    assert.equal(outcome, 'closed')
    const { phase, policy: name, request } = decision
    assert.deepEqual([phase, name, request.destination.port], ['allow', 'none', 3307])
  }
})

test('STRICT leaves plaintext outside', async () => {
  await configure(`apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: strict, namespace: default }
spec: { mtls: { mode: STRICT } }
`)
  assert.deepEqual((await everybody()).outcomes, { ...all, plaintext: 'closed' })
})

test('a gRPC provider is asked about each connection; an HTTP provider never is', async () => {
  const asked: AuthorizerConnection[] = []
  let decide: (connection: AuthorizerConnection) => Answer = () => allow()
  const start = async (port: number) => {
    const service = createAuthorizer({
      logger: silent,
      check: () => assert.fail('there is no request'),
      checkConnection(connection) {
        asked.push(connection)
        return decide(connection)
      },
    })
    stage.ending(() => service.close({ grace: 0 }))
    const { grpc } = await service.listen({ grpc: `127.0.0.1:${port}` })
    assert.ok(grpc)
    return { service, port: grpc.port }
  }
  const { service, port } = await start(0)
  const provider = (kind: string, more = '') => `---
extensionProviders:
- name: connections
  ${kind}: { service: authz.example.org, port: 9000, timeout: 2s${more} }
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: authz, namespace: default }
spec:
  hosts: [authz.example.org]
  resolution: STATIC
  ports: [{ number: 9000, name: grpc, protocol: GRPC }]
  endpoints: [{ address: 127.0.0.1, ports: { grpc: ${port} } }]
${policy('ask', 'action: CUSTOM\nprovider: { name: connections }\nrules:\n- to: [{ operation: { ports: ["3306"] } }]')}`

  await configure(provider('envoyExtAuthzGrpc'))
  assert.deepEqual((await everybody()).outcomes, all)
  assert.deepEqual(
    asked.map(({ source, destination }) => [source.principal, destination.principal, destination.port]),
    ['good', 'bad', 'good', 'bad', ''].map((namespace) =>
      namespace === ''
        ? ['', '', 3306]
        : [`spiffe://cluster.local/ns/${namespace}/sa/client`, 'spiffe://cluster.local/ns/default/sa/db', 3306],
    ),
  )
  asked.length = 0
  assert.equal((await meet(() => asPeer('good', ports.second))).outcome, 'passes', 'the other port is not asked about')
  assert.equal(asked.length, 0)

  decide = ({ source }) => (source.principal.includes('/ns/good/') ? allow() : deny())
  const before = greeted
  const denied = { ...all, bad: 'closed', throughBad: 'closed', plaintext: 'closed' }
  const { outcomes, decisions } = await everybody()
  assert.deepEqual(outcomes, denied)
  assert.equal(greeted - before, 2)
  for (const decision of [decisions.bad, decisions.plaintext]) {
    assert.deepEqual(
      [decision?.phase, decision?.provider, decision?.details, decision?.policy],
      ['custom', 'connections', 'ext_authz_denied', null],
    )
  }

  await service.close({ grace: 0 })
  const unanswered = await meet(parties.good)
  assert.deepEqual([unanswered.outcome, unanswered.decision.details], ['closed', 'ext_authz_error'])
  await configure(provider('envoyExtAuthzGrpc', ', failOpen: true'))
  assert.equal((await meet(parties.good)).outcome, 'passes')
  await start(port)
  assert.deepEqual((await everybody()).outcomes, denied)

  asked.length = 0
  await configure(provider('envoyExtAuthzHttp'))
  assert.deepEqual((await everybody()).outcomes, all)
  assert.equal(asked.length, 0)
})
