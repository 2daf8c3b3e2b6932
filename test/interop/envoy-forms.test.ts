import assert from 'node:assert/strict'
import { createPrivateKey, generateKeyPairSync, X509Certificate } from 'node:crypto'
import { existsSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { connect as connectTls } from 'node:tls'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { createDevelopmentCa } from '#src/authn/certificate-authority.ts'
import type { SubjectAlternativeName } from '#src/authn/x509/certificate.ts'
import { buildCertificate } from '#src/authn/x509/certificate.ts'
import { bootstrap, fileAccessLog, type RbacForm, type Resources, translateWorkload } from '#src/envoy/index.ts'
import { loadMesh } from '#src/mesh/load.ts'
import type { Mesh } from '#src/mesh/mesh.ts'
import type { Workload } from '#src/mesh/workload.ts'
import { parseSource } from '#src/source/parse.ts'
import { policiesOf, validOnly } from '../property/policies.ts'
import { type RunningBootstrap, startBootstrap } from './envoy.ts'
import { peer } from './peers.ts'

/** Both forms of RBAC for many meshes in one Envoy, a listener each, with real connections and certificates. */
const envoy = peer('envoy')
const skip = 'skip' in envoy ? envoy.skip : false
const seed = Number(process.env.SALLYPORT_SEED ?? 20261122)
const cases = fileURLToPath(new URL('../../../test/corpus/cases', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'envoy-'))
const log = join(folder, 'access.log')

/** A tree wherever one can be built, whether it gains anything or not. */
const forms: Readonly<Record<string, RbacForm>> = {
  rules: { kind: 'rules' },
  matcher: { kind: 'matcher', fewest: 1, eager: true },
}

const authority = createDevelopmentCa({ trustDomain: 'cluster.local', now: Date.now })
let application: Server
let running: RunningBootstrap
const sockets = new Set<Socket>()

interface Sent {
  readonly id: string
  readonly source?: { readonly principal?: string; readonly ip?: string }
  readonly destination?: { readonly ip?: string; readonly port?: number; readonly sni?: string }
  readonly method?: string
  readonly path?: string
  readonly host?: string
  readonly headers?: readonly (readonly [string, string])[]
  readonly body?: string
  readonly protocol?: string
  readonly providers?: unknown
}

interface Suite {
  readonly name: string
  readonly mesh: Mesh
  readonly workload: Workload
  readonly port: number
  readonly requests: readonly Sent[]
}

/** Certificates that name more, or other, than one SPIFFE id of the usual shape: Envoy tests rules on each name. */
const uri = (id: string): SubjectAlternativeName => ({ kind: 'uri', uri: `spiffe://cluster.local/${id}` })
const oddPeers: Readonly<Record<string, readonly SubjectAlternativeName[]>> = {
  'two ids': [uri('ns/x/sa/y'), uri('ns/a/sa/s')],
  'an id and a DNS name': [uri('ns/x/sa/y'), { kind: 'dns', name: 'a.ns.a.example' }],
  'an id with more in it': [uri('ns/x/y/ns/a/sa/s.v1/z')],
  'a namespace that is called ns': [uri('ns/ns/sa/s')],
  'no namespace': [uri('workload')],
}

const suites = skip === false ? corpusSuites() : []
const random = skip === false ? randomSuites(40) : []

/** Suites of every sort whose requests can be sent from here: from this address, with certificates of this mesh. */
function corpusSuites(): readonly Suite[] {
  const names = readdirSync(cases).filter((name) => !name.includes('waypoint'))
  // All of them take minutes: an eighth, and another one with each of the seeds 0 to 7.
  const part = names.filter((_, i) => (i + seed) % 8 === 0)
  return part.flatMap((name): Suite[] => {
    const suite = JSON.parse(readFileSync(join(cases, name, 'suite.json'), 'utf8'))
    if (suite.protocol === 'tcp') return []
    const text = readFileSync(join(cases, name, 'mesh.yaml'), 'utf8')
    const { mesh } = loadMesh(parseSource('mesh.yaml', text).documents)
    const workload = mesh.workloads.get(suite.workload) ?? assert.fail(suite.workload)
    if (mesh.config.trustDomain !== 'cluster.local') return []
    const lines = readFileSync(join(cases, name, 'requests.jsonl'), 'utf8').split('\n')
    const all = lines.filter((line) => line !== '').map((line): Sent => JSON.parse(line))
    return [{ name, mesh, workload, port: suite.port, requests: all.filter((one) => canSend(one, suite.port)) }]
  })
}

function canSend({ source, destination, method, headers, providers }: Sent, port: number): boolean {
  const here = (ip: string | undefined) => ip === undefined || ip === '127.0.0.1'
  const known = source?.principal === undefined || /^cluster\.local\/ns\/[a-z]+\/sa\/[a-z]+$/.test(source.principal)
  const plainSni = destination?.sni !== undefined && source?.principal === undefined
  const samePort = (destination?.port ?? port) === port
  return (
    here(source?.ip) &&
    here(destination?.ip) &&
    known &&
    !plainSni &&
    samePort &&
    providers === undefined &&
    method !== 'CONNECT' &&
    // Whether a zone is one depends on this machine's interfaces.
    !(headers ?? []).some(([, value]) => value.includes('%eth'))
  )
}

/** Random policies, and requests that have something to do with them. */
function randomSuites(count: number): readonly Suite[] {
  const text = 'apiVersion: apps/v1\nkind: Deployment\nmetadata: { name: web, namespace: a }\nspec: { template: {} }\n'
  const { mesh } = loadMesh(parseSource('mesh.yaml', text).documents)
  const workload = mesh.workloads.get('a/web') ?? assert.fail()
  const request = fc.record({
    source: fc.constantFrom(
      ...[{}, {}],
      ...['a/sa/s', 'a/sa/t', 'ab/sa/t'].map((rest) => ({ principal: `cluster.local/ns/${rest}` })),
      ...Object.keys(oddPeers).map((principal) => ({ principal })),
    ),
    method: fc.constantFrom('GET', 'POST', 'get'),
    path: fc.constantFrom('/', '/a', '/a/b', '/a?x=/b', '/x/b', '/a//b', '/a/x/b?', '/a%2Fb', '/A'),
    host: fc.constantFrom('e.com', 'E.COM', 'a.e.com', 'e.com:80', 'ex'),
    headers: fc.array(fc.tuple(fc.constantFrom('x-a', 'accept'), fc.constantFrom('v', 'w', '', 'v,w', 'vv')), {
      maxLength: 3,
    }),
  })
  const meshes = fc.sample(policiesOf({ ...validOnly, providers: ['missing'] }), { numRuns: count, seed })
  return meshes.map((authorizationPolicies, i) => ({
    ...{ name: `random-${i}`, workload, port: 8080 },
    mesh: { ...mesh, authorizationPolicies },
    requests: fc.sample(request, { numRuns: 40, seed: seed + i }).map((one, k) => ({ id: `r${k}`, ...one })),
  }))
}

before(async () => {
  if (!('path' in envoy)) return
  application = createServer(answer).listen(0, '127.0.0.1')
  await new Promise((resolve) => application.once('listening', resolve))
  const { port } = application.address() as AddressInfo
  const own = authority.issue({ namespace: 'foo', serviceAccount: 'server' })
  const pem = { certificate: own.chain, key: own.key, ca: authority.root }
  const files = Object.fromEntries(Object.entries(pem).map(([name, text]) => [name, write(`${name}.pem`, text)]))
  const certificates = () => files as { readonly certificate: string; readonly key: string; readonly ca: string }
  const format = {
    json_format: {
      peer: '%DOWNSTREAM_DIRECT_REMOTE_ADDRESS%',
      details: '%RESPONSE_CODE_DETAILS%',
      rbac: '%DYNAMIC_METADATA(envoy.filters.http.rbac)%',
      audit: '%DYNAMIC_METADATA(envoy.common:access_log_hint)%',
    },
  }
  const parts = [...suites, ...random].flatMap((suite) =>
    Object.entries(forms).map(
      ([form, rbac]): Resources =>
        translateWorkload(suite.mesh, suite.workload, {
          placement: {
            kind: 'ports',
            ports: [
              {
                ...{ port: suite.port, protocol: 'http', listen: { host: '127.0.0.1', port: 0 } },
                application: { kind: 'tcp', host: '127.0.0.1', port },
              },
            ],
          },
          ...{ rbac, certificates, accessLog: [fileAccessLog(log, format)], prefix: `${suite.name} ${form} ` },
          ...{ service: null, jwks: { byIssuer: new Map(), nobody: '', ca: '' } },
        }),
    ),
  )
  const config = bootstrap(parts, { id: 'test', cluster: 'test', admin: { host: '127.0.0.1', port: 0 } })
  running = await startBootstrap(envoy.path, config, join(folder, 'admin'), folder)
})

after(async () => {
  await running?.stop()
  for (const socket of sockets) socket.destroy()
  application?.close()
})

for (const suite of suites) {
  test(`both forms answer as Istio's filters do: ${suite.name}`, { skip }, async () => {
    const expected = readFileSync(join(cases, suite.name, 'expected.jsonl'), 'utf8').split('\n')
    const byId = new Map(expected.filter((line) => line !== '').map((line) => [JSON.parse(line).id, JSON.parse(line)]))
    for (const form of Object.keys(forms)) {
      for (const { id, ...outcome } of await outcomes(suite, form)) {
        const { details: _, ...want } = byId.get(id)
        assert.deepEqual(
          { id, ...outcome.told },
          want,
          `${form}: ${JSON.stringify(suite.requests.find((one) => one.id === id))}`,
        )
      }
    }
  })
}

test(`both forms answer alike on random policies (seed ${seed})`, { skip }, async () => {
  let refused = 0
  for (const suite of random) {
    const list = await outcomes(suite, 'rules')
    const tree = await outcomes(suite, 'matcher')
    assert.deepEqual(tree, list, suite.name)
    refused += list.filter(({ told }) => told.policy !== null).length
  }
  assert.ok(refused > 100, `${refused} refused`)
})

interface Told {
  readonly status: number
  readonly decision: 'allow' | 'deny'
  readonly body: string | null
  readonly policy: string | null
  readonly [more: string]: unknown
}

/** What became of each request of a suite: what the corpus tells, and all that the RBAC filters noted. */
async function outcomes(suite: Suite, form: string): Promise<{ id: string; told: Told; noted: unknown }[]> {
  const name = `${suite.name} ${form} 127.0.0.1_${suite.port}`
  const port = running.ports.get(name) ?? assert.fail(`no listener ${name}`)
  const host = `${suite.workload.name}.${suite.workload.namespace}`
  const replies = await Promise.all(suite.requests.map(async (one) => ({ one, reply: await send(port, one, host) })))
  const entries = await logged(replies.map(({ reply }) => reply.peer))
  return replies.map(({ one, reply }) => {
    const { details, rbac, audit } = entries.get(reply.peer) ?? assert.fail(reply.peer)
    const policy = /^rbac_access_denied_matched_policy\[(.*)\]$/.exec(details ?? '')?.[1] ?? null
    const allowed = details === 'via_upstream'
    const dryRun = Object.fromEntries(
      ['allow', 'deny'].flatMap((kind) => {
        const result = rbac?.[`istio_dry_run_${kind}_shadow_engine_result`]
        const id = rbac?.[`istio_dry_run_${kind}_shadow_effective_policy_id`] ?? null
        return result === undefined ? [] : [[kind, { result, policy: id }]]
      }),
    )
    const told: Told = {
      ...{ status: reply.status, decision: allowed ? 'allow' : 'deny', body: allowed ? null : reply.body, policy },
      ...(allowed ? {} : reply.grpc),
      ...(Object.keys(dryRun).length === 0 ? {} : { dryRun }),
      ...(audit === true ? { audit: true } : {}),
    }
    return { id: one.id, told, noted: { details, rbac, audit } }
  })
}

/** An application that takes whatever comes. */
function answer(socket: Socket): void {
  sockets.add(socket)
  let head = ''
  socket.on('error', () => socket.destroy())
  socket.on('close', () => sockets.delete(socket))
  socket.on('data', (data) => {
    head += data.toString('latin1')
    if (!head.includes('\r\n\r\n')) return
    const body = head.startsWith('HEAD ') ? '' : 'ok'
    head = ''
    socket.end(`HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n${body}`)
  })
}

async function send(port: number, one: Sent, defaultHost: string) {
  const { source, destination, method = 'GET', path = '/', host = defaultHost, headers = [], body } = one
  const { protocol = 'HTTP/1.1' } = one
  const socket =
    source?.principal === undefined ? connect(port, '127.0.0.1') : secure(port, source.principal, destination?.sni)
  await new Promise((resolve, reject) => {
    socket.once(source?.principal === undefined ? 'connect' : 'secureConnect', resolve)
    socket.once('error', reject)
  })
  const peerAddress = `127.0.0.1:${socket.localPort}`
  const length = body === undefined ? [] : [`Content-Length: ${body.length}`]
  const lines = [
    `${method} ${path} ${protocol}`,
    `Host: ${host}`,
    ...headers.map(([name, value]) => `${name}: ${value}`),
    ...length,
  ]
  socket.write(Buffer.from(`${lines.join('\r\n')}\r\n\r\n${body ?? ''}`, 'latin1'))
  const text = await readAnswer(socket, method)
  const end = text.indexOf('\r\n\r\n')
  const field = (name: string) => new RegExp(`\r\n${name}: ([^\r]*)`, 'i').exec(text.slice(0, end))?.[1]
  const [status, message] = [field('grpc-status'), field('grpc-message')]
  return {
    peer: peerAddress,
    status: Number(text.split(' ')[1] ?? 0),
    // To a client, an answer to HEAD ends with its head, whatever Envoy writes behind it.
    body: method === 'HEAD' ? '' : text.slice(end + 4),
    grpc: {
      ...(status === undefined ? {} : { grpcStatus: Number(status) }),
      ...(message === undefined ? {} : { grpcMessage: decodeURIComponent(message) }),
    },
  }
}

function secure(port: number, principal: string, servername: string | undefined): Socket {
  const made = issued.get(principal) ?? credentials(principal)
  issued.set(principal, made)
  const { chain, key } = made
  const options = {
    ALPNProtocols: ['istio'],
    checkServerIdentity: () => undefined,
    cert: chain,
    key,
    ca: authority.root,
  }
  return connectTls({ port, host: '127.0.0.1', ...options, ...(servername === undefined ? {} : { servername }) })
}

const issued = new Map<string, ReturnType<typeof credentials>>()

function credentials(principal: string): { readonly chain: string; readonly key: string } {
  const names = oddPeers[principal]
  const [, , namespace = '', , serviceAccount = ''] = principal.split('/')
  if (names === undefined) return authority.issue({ namespace, serviceAccount })
  const root = new X509Certificate(authority.root)
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const contents = {
    // A subject is tested as well.
    subject: { commonName: 'spiffe://td1/ns/a/sa/s' },
    issuer: {
      commonName: /CN=(.*)/.exec(root.subject)?.[1] ?? '',
      organization: /O=(.*)/.exec(root.subject)?.[1] ?? '',
    },
    notBefore: Date.now() - 60_000,
    notAfter: Date.now() + 3_600_000,
    publicKey,
    issuerPublicKey: root.publicKey,
    usage: { kind: 'workload', names },
  } as const
  const chain = buildCertificate(contents, createPrivateKey(authority.rootKey))
  return { chain, key: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string }
}

/** Up to the end of the body, or of the connection. */
function readAnswer(socket: Socket, method: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    const done = () => {
      socket.destroy()
      resolve(text)
    }
    socket.setTimeout(10_000, () => reject(new Error('no answer')))
    socket.on('error', done)
    socket.on('close', done)
    socket.on('data', (data) => {
      text += data.toString('latin1')
      const end = text.indexOf('\r\n\r\n')
      if (end === -1) return
      const length = method === 'HEAD' ? 0 : Number(/content-length: (\d+)/i.exec(text.slice(0, end))?.[1] ?? 0)
      if (text.length >= end + 4 + length) done()
    })
  })
}

interface Entry {
  readonly peer: string
  readonly details: string | null
  readonly rbac: Readonly<Record<string, unknown>> | null
  readonly audit: unknown
}

/** The lines of these connections, the latest of each: Envoy writes them a moment after it has answered. */
async function logged(peers: readonly string[]): Promise<ReadonlyMap<string, Entry>> {
  for (let tries = 0; tries < 200; tries++) {
    const lines = existsSync(log) ? readFileSync(log, 'utf8').split('\n').slice(0, -1) : []
    const entries = new Map(lines.map((line): [string, Entry] => [JSON.parse(line).peer, JSON.parse(line)]))
    if (peers.every((one) => entries.has(one))) {
      writeFileSync(log, '')
      return entries
    }
    await delay(25)
  }
  throw new Error('the access log is not complete')
}

function write(name: string, text: string): string {
  const file = join(folder, name)
  writeFileSync(file, text)
  return file
}
