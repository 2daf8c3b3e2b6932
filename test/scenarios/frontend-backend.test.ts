import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { type Answer, ask, converse } from './exchange.ts'
import type { Sallyport } from './sallyport.ts'
import { examplePath, freePorts, Stage } from './stage.ts'

const stage = new Stage()

/** Another workload of another service account, with a way out of its own. */
const visitor = `apiVersion: apps/v1
kind: Deployment
metadata: { name: visitor, namespace: default }
spec:
  selector: { matchLabels: { app: visitor } }
  template:
    metadata: { labels: { app: visitor } }
    spec:
      serviceAccountName: visitor
      containers: [{ name: visitor, image: example.org/visitor }]
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: { name: visitor, namespace: default }
spec:
  workloadSelector:
    labels: { app: visitor }
  egress:
    - port: { number: PORT, protocol: HTTP, name: http-backend }
      bind: 127.0.0.1
      captureMode: NONE
      hosts: [./backend.default.svc.cluster.local]
`

/** Where each request goes in. */
const doors = { frontend: 0, visitor: 0, backend: 0 }
let host = ''
let backend: Sallyport

before(async () => {
  const ports = await freePorts('wayOut', 'visitorWayOut', 'frontend', 'backend')
  const frontendApp = await stage.example('frontend-backend/frontend.mjs', `http://127.0.0.1:${ports.wayOut}`)
  const backendApp = await stage.example('frontend-backend/backend.mjs')
  host = `backend.default.svc.cluster.local:${ports.wayOut}`
  const workloads = stage.copy('frontend-backend/workloads.yaml', 'workloads.yaml')
  const addresses = stage.copy(
    'frontend-backend/addresses.yaml',
    'addresses.yaml',
    ['18000', ports.wayOut],
    ['18011', ports.frontend],
    ['18081', ports.backend],
  )
  const sidecars = stage.copy(
    'frontend-backend/sidecars.yaml',
    'sidecars.yaml',
    ['18000', ports.wayOut],
    ['18011', ports.frontend],
    ['18012', frontendApp],
    ['18081', ports.backend],
    ['18082', backendApp],
  )
  const other = stage.write('visitor.yaml', visitor.replace('PORT', String(ports.visitorWayOut)))
  stage.write('policies/none.yaml', '')
  const files = [workloads, addresses, sidecars, other, stage.path('policies')].flatMap((file) => ['-f', file])
  const sidecar = (name: string) => stage.up(...files, '--workload', `default/${name}`)
  ;[backend] = await Promise.all([sidecar('backend'), sidecar('frontend'), sidecar('visitor')])
  doors.frontend = frontendApp
  doors.visitor = ports.visitorWayOut
  doors.backend = backend.port(`inbound default/backend:${ports.backend}`)
})
after(() => stage.end())

interface Column {
  readonly name: string
  readonly principal: string | undefined
  readonly send: () => Promise<Answer>
}

const identity = (account: string) => `cluster.local/ns/default/sa/${account}`
const throughFrontend = (path: string, method = 'GET') => ask(doors.frontend, path, { method })
const columns: readonly Column[] = [
  { name: 'frontend GET /api/v1/data', principal: identity('frontend'), send: () => throughFrontend('/api/v1/data') },
  {
    name: 'frontend POST /api/v1/data',
    principal: identity('frontend'),
    send: () => throughFrontend('/api/v1/data', 'POST'),
  },
  { name: 'frontend GET /api/v1/other', principal: identity('frontend'), send: () => throughFrontend('/api/v1/other') },
  {
    name: 'another service account GET /api/v1/data',
    principal: identity('visitor'),
    send: () => ask(doors.visitor, '/api/v1/data', { headers: { host } }),
  },
  {
    name: 'no certificate GET /api/v1/data',
    principal: undefined,
    send: () => ask(doors.backend, '/api/v1/data', { headers: { host } }),
  },
]

interface Row {
  readonly name: string
  /** Of the example. */
  readonly files: readonly string[]
  readonly statuses: readonly number[]
  /** What the decision log says of a refusal. */
  readonly phase: string
  readonly policy: string
}

const byDeny = { phase: 'deny', policy: 'ns[default]-policy[deny-all-backend]-rule[0]' }
const byNone = { phase: 'allow', policy: 'none' }
const rows: readonly Row[] = [
  { name: 'no policy', files: [], statuses: [200, 200, 200, 200, 200], ...byNone },
  { name: 'deny-all', files: ['deny-all.yaml'], statuses: [403, 403, 403, 403, 403], ...byDeny },
  {
    name: 'deny-all and allow-get-data',
    files: ['deny-all.yaml', 'allow-get-data.yaml'],
    statuses: [403, 403, 403, 403, 403],
    ...byDeny,
  },
  {
    name: 'allow-nothing and allow-get-data',
    files: ['allow-nothing.yaml', 'allow-get-data.yaml'],
    statuses: [200, 403, 403, 403, 403],
    ...byNone,
  },
]

let present: readonly string[] = []

/** Puts these files of the example into the folder of policies, and no others. */
async function configure(...files: string[]): Promise<void> {
  if (present.join() === files.join()) return
  const { kind, lines } = await backend.reload(() => {
    for (const file of present) stage.remove(`policies/${file}`)
    for (const file of files) stage.copy(`frontend-backend/${file}`, `policies/${file}`)
  })
  assert.equal(kind, 'applied', lines.join('\n'))
  present = files
}

for (const { name, files, statuses, phase, policy } of rows) {
  describe(name, () => {
    before(() => configure(...files))

    for (const [index, column] of columns.entries()) {
      const status = statuses[index]
      test(`${column.name}: ${status}`, async () => {
        const answer = await column.send()
        assert.equal(answer.status, status)
        if (status === 403) assert.equal(answer.body, 'RBAC: access denied')
        const decision = await backend.nextDecision()
        assert.deepEqual(
          [decision.decision, decision.responseStatus, decision.request.source.principal],
          [status === 200 ? 'allow' : 'deny', status, column.principal],
        )
        if (status === 200) {
          assert.equal(decision.policy, null)
          return
        }
        const details = `rbac_access_denied_matched_policy[${policy}]`
        assert.deepEqual(
          [decision.phase, decision.policy, decision.details, decision.workload],
          [phase, policy, details, 'default/backend'],
        )
      })
    }
  })
}

describe('STRICT', () => {
  test('without a policy, no certificate means no answer at all', async () => {
    await configure('strict.yaml')
    const request = 'GET /api/v1/data HTTP/1.1\r\nhost: backend\r\nconnection: close\r\n\r\n'
    assert.equal(await converse(doors.backend, request), '')
    const { phase, details, responseStatus, policy } = await backend.nextDecision()
    assert.deepEqual([phase, details, responseStatus, policy], ['peer', 'plaintext_under_strict_mtls', null, null])
    await assert.rejects(ask(doors.backend, '/api/v1/data'), { code: 'ECONNRESET' })
    assert.equal((await throughFrontend('/api/v1/data')).status, 200)
    assert.equal((await ask(doors.visitor, '/api/v1/data', { headers: { host } })).status, 200)
  })

  test('with policies, identities are told apart as before', async () => {
    await configure('strict.yaml', 'allow-nothing.yaml', 'allow-get-data.yaml')
    const [data, post, other, another] = columns
    const answers = await Promise.all([data, post, other, another].map((column) => column?.send()))
    assert.deepEqual(
      answers.map((answer) => answer?.status),
      [200, 403, 403, 403],
    )
    assert.equal(await converse(doors.backend, 'GET /api/v1/data HTTP/1.1\r\nhost: backend\r\n\r\n'), '')
  })
})

test('the application behind backend is told who calls, and a caller without a certificate cannot pretend', async () => {
  await configure()
  const element = (body: string) => JSON.parse(body).headers['x-forwarded-client-cert']
  const frontend = element((await throughFrontend('/api/v1/data')).body)
  assert.match(
    frontend,
    /^By=spiffe:\/\/cluster\.local\/ns\/default\/sa\/backend;Hash=[0-9a-f]{64};Subject="";URI=spiffe:\/\/cluster\.local\/ns\/default\/sa\/frontend$/,
  )
  const pretending = { headers: { host, 'x-forwarded-client-cert': frontend } }
  assert.equal(element((await ask(doors.backend, '/api/v1/data', pretending)).body), undefined)
  const other = element((await ask(doors.visitor, '/api/v1/data', pretending)).body) as string
  assert.match(other.split(',').at(-1) ?? '', /;URI=spiffe:\/\/cluster\.local\/ns\/default\/sa\/visitor$/)
})

test('analyze says of the third row that allow-get-data never takes effect, and what to write instead', async () => {
  const files = ['deny-all.yaml', 'allow-get-data.yaml'].map((name) => examplePath(join('frontend-backend', name)))
  const analyze = stage.sallyport('analyze', ...files, '-o', 'json')
  assert.equal(await analyze.ended, 1)
  const { findings } = JSON.parse(analyze.lines.stdout.join('\n'))
  assert.equal(findings.length, 1)
  const [{ code, severity, file, line, column, message, help }] = findings
  assert.deepEqual([code, severity, file, line, column], ['SP401', 'warning', files[1], 3, 13])
  assert.match(message, /`allow-frontend-get-data` can never take effect.*`deny-all-backend`.*matches every request/)
  assert.match(help, /name: allow-nothing/)
  const right = ['allow-nothing.yaml', 'allow-get-data.yaml'].map((name) => examplePath(join('frontend-backend', name)))
  assert.equal(await stage.sallyport('analyze', ...right).ended, 0)
})
