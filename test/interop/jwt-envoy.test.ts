import assert from 'node:assert/strict'
import { mkdtempSync } from 'node:fs'
import type { Server } from 'node:http'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import { createHttpFetch } from '#src/authn/http-fetch.ts'
import { createJwksCache, type JwksCache } from '#src/authn/jwks-cache.ts'
import { createTokenVerifier } from '#src/authn/jwt/token-verifier.ts'
import { bootstrap, translateWorkload } from '#src/envoy/index.ts'
import { jwtRulesFor } from '#src/mesh/attach.ts'
import { loadMesh } from '#src/mesh/load.ts'
import type { Mesh } from '#src/mesh/mesh.ts'
import type { Logger } from '#src/observe/log.ts'
import { MetricsRegistry } from '#src/observe/metrics.ts'
import { configure } from '#src/proxy/configure.ts'
import { createProxy, type ProxyServer } from '#src/proxy/proxy.ts'
import { parseSource } from '#src/source/parse.ts'
import { type RunningBootstrap, startApp, startBootstrap } from './envoy.ts'
import { differentRows, type Expected } from './jwt-differences.ts'
import { type Row, sameRows } from './jwt-rows.ts'
import { doorRules, doors, jwks, keys, setups, tokenOf } from './jwt-setups.ts'
import { peer } from './peers.ts'

/** Request authentication over real sockets: our proxy beside real Envoy, configured from the same files. */
const found = peer('envoy')
const silent: Logger = { level: 'error', debug() {}, info() {}, warn() {}, error() {} }

interface Answer {
  readonly status: number
  readonly body: string
  readonly challenge: string | null
  /** What the application got; null when nothing. */
  readonly seen: { readonly method: string; readonly url: string; readonly lines: readonly string[] } | null
}

let application: { readonly port: number; readonly server: Server }
let issuer: { readonly port: number; readonly server: Server }
let envoy: RunningBootstrap
let proxy: ProxyServer
let cache: JwksCache

/** Each hop's own. */
const own =
  /^(connection|content-length|transfer-encoding|x-request-id|x-forwarded-proto|x-envoy-.*|host|x-forwarded-client-cert)$/

function meshOf(jwksUri: string, gone: string): Mesh {
  const meta = (name: string) => ({ name, namespace: 'a' })
  const rulesOf = (rules: readonly object[]) =>
    rules.map((rule) => ('jwksUri' in rule ? { ...rule, jwksUri: rule.jwksUri === 'gone' ? gone : jwksUri } : rule))
  const documents = Object.entries(setups).flatMap(([name, policies]) => [
    {
      ...{ apiVersion: 'apps/v1', kind: 'Deployment', metadata: meta(name) },
      spec: { template: { metadata: { labels: { app: name } } } },
    },
    ...policies.map((rules, i) => ({
      ...{ apiVersion: 'security.istio.io/v1', kind: 'RequestAuthentication', metadata: meta(`${name}-${i}`) },
      spec: { selector: { matchLabels: { app: name } }, jwtRules: rulesOf(rules) },
    })),
  ])
  const everywhere = [
    {
      ...{ apiVersion: 'security.istio.io/v1', kind: 'PeerAuthentication', metadata: meta('plain') },
      spec: { mtls: { mode: 'DISABLE' } },
    },
    {
      ...{ apiVersion: 'security.istio.io/v1', kind: 'AuthorizationPolicy', metadata: meta('doors') },
      spec: { action: 'ALLOW', rules: doorRules },
    },
  ]
  const text = [...documents, ...everywhere].map((document) => JSON.stringify(document)).join('\n---\n')
  const { mesh, diagnostics } = loadMesh(parseSource('mesh.yaml', text).documents)
  assert.deepEqual(
    diagnostics.filter(({ severity }) => severity === 'error'),
    [],
  )
  return mesh
}

/** One request on a connection of its own. */
async function send(port: number, { lines, method = 'GET', query = '' }: Row, door: string): Promise<Answer> {
  const socket = connect(port, '127.0.0.1')
  const head = [
    `${method} ${door}${query} HTTP/1.1`,
    'host: web.a:8000',
    'connection: close',
    ...lines.map(([name, value]) => `${name}: ${value}`),
  ]
  socket.write(Buffer.from(`${head.join('\r\n')}\r\n\r\n`, 'latin1'))
  const text = await readAnswer(socket, head[0] as string)
  const end = text.indexOf('\r\n\r\n')
  const field = (name: string) => fieldOf(text, name)
  const status = Number(text.split(' ')[1] ?? 0)
  const body = text.slice(end + 4)
  const application = field('x-application') !== null
  return {
    status,
    body: application ? '' : body,
    challenge: field('www-authenticate'),
    seen: application ? JSON.parse(Buffer.from(field('x-application') as string, 'base64').toString()) : null,
  }
}

/** Until the answer is whole: Envoy closes only a second behind it. */
async function readAnswer(socket: Socket, what: string): Promise<string> {
  const chunks: Buffer[] = []
  await new Promise<void>((resolve, reject) => {
    socket.setTimeout(10_000, () => reject(new Error(`no end to the answer to ${what}`)))
    socket.once('error', reject).once('close', resolve)
    socket.on('data', (chunk) => {
      chunks.push(chunk)
      const text = Buffer.concat(chunks).toString('latin1')
      const end = text.indexOf('\r\n\r\n')
      const length = Number(fieldOf(text, 'content-length') ?? Number.NaN)
      if (end !== -1 && (fieldOf(text, 'x-application') !== null || text.length - end - 4 >= length)) resolve()
    })
  })
  socket.destroy()
  return Buffer.concat(chunks).toString('latin1')
}

function fieldOf(text: string, name: string): string | null {
  const head = text.slice(0, text.indexOf('\r\n\r\n') + 2)
  return new RegExp(`\r\n${name}: ([^\r]*)`, 'i').exec(head)?.[1] ?? null
}

async function ask({ setup, ...row }: Row, door: string): Promise<readonly [theirs: Answer, ours: Answer]> {
  const there = envoy.ports.get(`${setup} 127.0.0.1_8000`) ?? assert.fail(`Envoy has no listener for ${setup}`)
  const here = proxy.addresses().get(`inbound a/${setup}:8000`)?.port ?? assert.fail(`no listener for ${setup}`)
  return Promise.all([send(there, { setup, ...row }, door), send(here, { setup, ...row }, door)])
}

/** Envoy's realm without its query: the one difference that all rows have. */
function withoutQuery(answer: Answer): Answer {
  return { ...answer, challenge: answer.challenge?.replace(/\?[^"]*"/, '"') ?? null }
}

describe('request authentication beside Envoy', { skip: 'skip' in found ? found.skip : false }, () => {
  before(async () => {
    application = await startApp((request, response) => {
      const { method, url, rawHeaders } = request
      const lines: string[] = []
      for (let i = 0; i < rawHeaders.length; i += 2) {
        const name = (rawHeaders[i] as string).toLowerCase()
        if (!own.test(name)) lines.push(`${name}: ${rawHeaders[i + 1]}`)
      }
      const seen = JSON.stringify({ method, url, lines: lines.sort() })
      response.writeHead(200, { 'x-application': Buffer.from(seen).toString('base64') }).end()
    })
    issuer = await startApp((_, response) => response.end(jwks(keys.rsa)))
    const mesh = meshOf(`http://127.0.0.1:${issuer.port}/keys`, 'http://127.0.0.1:1/keys')
    const place = {
      port: 8000,
      protocol: 'http',
      listen: { host: '127.0.0.1', port: 0 },
      application: { kind: 'tcp', host: '127.0.0.1', port: application.port },
    } as const
    const workloads = Object.keys(setups).map((name) => mesh.workloads.get(`a/${name}`) ?? assert.fail(name))
    const parts = workloads.map((workload) =>
      translateWorkload(mesh, workload, {
        ...{ placement: { kind: 'ports', ports: [place] }, rbac: { kind: 'rules' }, accessLog: [] },
        ...{ certificates: () => assert.fail('no mTLS here'), prefix: `${workload.name} `, service: null },
        jwks: { byIssuer: new Map(), nobody: '', ca: '' },
      }),
    )
    const config = bootstrap(parts, { id: 'test', cluster: 'test', admin: { host: '127.0.0.1', port: 0 } })
    const folder = mkdtempSync(join(tmpdir(), 'envoy-'))
    envoy = await startBootstrap('path' in found ? found.path : '', config, join(folder, 'admin'), folder)

    const metrics = new MetricsRegistry()
    cache = createJwksCache({ fetch: createHttpFetch(), logger: silent })
    cache.use(workloads.flatMap((workload) => jwtRulesFor(mesh, workload)))
    await cache.ready()
    proxy = createProxy(
      configure({
        mesh,
        local: workloads.map((workload) => ({ workload, inbound: [{ ...place, origin: null }], outbound: [] })),
        ...{ identity: () => assert.fail('no mTLS here'), client: () => assert.fail('no provider here') },
        ...{ keys: cache, tokens: { verifier: createTokenVerifier({ logger: silent, metrics }) } },
      }),
      { log: silent, metrics, decisions: null },
    )
    assert.equal((await proxy.start()).kind, 'applied')
  })

  after(async () => {
    await proxy?.close(0)
    cache?.close()
    await envoy?.stop()
    for (const one of [application, issuer]) {
      one?.server.closeAllConnections()
      one?.server.close()
    }
  })

  test('both answer alike, and the application gets the same', async () => {
    const disagreements: object[] = []
    let opened = 0
    for (const row of sameRows()) {
      const answers = await Promise.all(doors.map((door) => ask(row, door)))
      for (const [i, [theirs, ours]] of answers.entries()) {
        if (theirs.status === 200) opened++
        if (isDeepStrictEqual(ours, withoutQuery(theirs))) continue
        disagreements.push({ setup: row.setup, what: row.what, door: doors[i], theirs, ours })
      }
    }
    assert.deepEqual(disagreements, [])
    assert.ok(opened > 500, `${opened} reached the application`)
  })

  test('what is answered otherwise is answered so on purpose', async () => {
    const shown = ({ status, body, challenge, seen }: Answer, { lines, url, ...expected }: Expected) => ({
      status,
      ...('body' in expected ? { body } : {}),
      ...('challenge' in expected ? { challenge } : {}),
      ...(url === undefined ? {} : { url: seen?.url }),
      ...(lines === undefined ? {} : { lines: seen?.lines }),
    })
    for (const { row, theirs, ours } of differentRows()) {
      const [there, here] = await ask(row, '/open')
      assert.deepEqual(shown(there, theirs), theirs, `Envoy: ${row.setup}, ${row.what}`)
      assert.deepEqual(shown(here, ours), ours, `${row.setup}, ${row.what}`)
    }
  })

  test('an object in a header has the same members, in an order of its own', async () => {
    const role = { a: [1, '<'], b: null, c: 1.5, d: { e: -7, f: 1e21 } }
    const row: Row = { setup: 'outputs', what: 'an object', lines: [['authorization', `Bearer ${tokenOf({ role })}`]] }
    for (const answer of await ask(row, '/open')) {
      const line = answer.seen?.lines.find((one) => one.startsWith('x-role: ')) ?? assert.fail()
      const text = Buffer.from(line.slice(8), 'base64').toString()
      assert.deepEqual(JSON.parse(text), role)
      assert.match(text, /"a":\[1,"\\u003c"\]/)
    }
  })
})
