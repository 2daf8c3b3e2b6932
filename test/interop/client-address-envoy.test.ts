import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync } from 'node:fs'
import { type AddressInfo, connect, createServer } from 'node:net'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import { createOfflineKeySource } from '#src/authn/key-source.ts'
import { ownAddress } from '#src/cli/up/own-address.ts'
import { bootstrap, type Resources, translateWorkload } from '#src/envoy/index.ts'
import { printIp } from '#src/match/ip.ts'
import { loadMesh } from '#src/mesh/load.ts'
import { MetricsRegistry } from '#src/observe/metrics.ts'
import type { InboundConfig } from '#src/proxy/config.ts'
import { configure } from '#src/proxy/configure.ts'
import type { ProxyServer } from '#src/proxy/index.ts'
import { createProxy } from '#src/proxy/index.ts'
import { echo, silent } from '#src/proxy/support.test.fixture.ts'
import { parseSource } from '#src/source/parse.ts'
import { createExplainer, type Explainer } from '#src/tools/explain.ts'
import { decodeRequest, isProblem } from '#src/tools/request.ts'
import { pairs, type RunningBootstrap, startApp, startBootstrap } from './envoy.ts'
import { peer } from './peers.ts'

const found = peer('envoy')

const own = ownAddress(networkInterfaces())
/** What a rule on addresses can be about: one that is asked for by its number in the path. */
const blocks = [
  ...['1.1.1.1', '2.2.2.2', '3.3.3.3', '2001:db8::/32', '127.0.0.0/8', '::ffff:0:0/96'],
  ...(own === null ? [] : [printIp(own)]),
]
const ports = ['443', '8443']

/** DENY rules that show what a proxy takes for the client's, the socket's and the destination's address. */
function rules(port: number): string {
  const byBlock = (path: string, condition: (block: string) => string) =>
    blocks.map((block, i) => `  - { to: [{ operation: { paths: ["/${path}/${i}"] } }], ${condition(block)} }`)
  return [
    ...byBlock('remote', (block) => `from: [{ source: { remoteIpBlocks: ["${block}"] } }]`),
    ...byBlock('source', (block) => `from: [{ source: { ipBlocks: ["${block}"] } }]`),
    ...byBlock('destination', (block) => `when: [{ key: destination.ip, values: ["${block}"] }]`),
    ...[String(port), ...ports].map(
      (one, i) => `  - { to: [{ operation: { paths: ["/port/${i}"], ports: ["${one}"] } }] }`,
    ),
    // Something looks at these fields, so that none is dropped which Envoy keeps.
    '  - { when: [{ key: "request.headers[x-envoy-probe]", values: [never] }] }',
  ].join('\n')
}

/** What a gateway, or a sidecar, is told about what stands before it. */
interface Profile {
  readonly name: string
  readonly gateway: boolean
  readonly topology: string
  readonly proxyProtocol?: boolean
}

const hops = (count: number, more = '') => `{ numTrustedProxies: ${count}${more} }`
const profiles: readonly Profile[] = [
  { name: 'sidecar', gateway: false, topology: '{}' },
  ...[0, 1, 2, 3].map((count) => ({ name: `hops-${count}`, gateway: true, topology: hops(count) })),
  ...[0, 1].map((count) => ({
    ...{ name: `proxied-${count}`, gateway: true, proxyProtocol: true },
    topology: hops(count, ', proxyProtocol: {}'),
  })),
  ...['SANITIZE', 'FORWARD_ONLY', 'APPEND_FORWARD', 'ALWAYS_FORWARD_ONLY'].map((mode) => ({
    ...{ name: mode.toLowerCase(), gateway: true, topology: hops(0, `, forwardClientCertDetails: ${mode}`) },
  })),
]

function gatewayText(port: number): string {
  return `---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: g, namespace: foo }
spec:
  selector: { app: web }
  servers: [{ port: { number: ${port}, name: http, protocol: HTTP }, hosts: ["*"] }]
`
}

function meshText({ gateway, topology }: Profile, port: number): string {
  return `apiVersion: apps/v1
kind: Deployment
metadata: { name: web, namespace: foo }
spec:
  selector: { matchLabels: { app: web } }
  template:
    metadata:
      labels: { app: web }
      annotations:
        proxy.istio.io/config: |
          gatewayTopology: ${topology}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: default, namespace: foo }
spec: { mtls: { mode: DISABLE } }
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: p, namespace: foo }
spec:
  action: DENY
  rules:
${rules(port)}
${gateway ? gatewayText(port) : ''}`
}

const heads: readonly string[] = [
  '',
  ...[
    ...['1.1.1.1', '1.1.1.1, 2.2.2.2', '3.3.3.3,1.1.1.1,2.2.2.2', '2.2.2.2, 3.3.3.3, 1.1.1.1, 9.9.9.9'],
    ...[
      '1.1.1.1\r\nX-Forwarded-For: 2.2.2.2',
      '3.3.3.3, 1.1.1.1\r\nx-forwarded-for: 2.2.2.2\r\nx-forwarded-for: 1.1.1.1',
    ],
    ...[
      '',
      ' ',
      ',',
      ', ',
      '1.1.1.1,',
      ',1.1.1.1',
      '1.1.1.1,,2.2.2.2',
      '1.1.1.1\r\nx-forwarded-for:',
      '\r\nx-forwarded-for: 1.1.1.1',
    ],
    ...[
      'unknown',
      'unknown, 1.1.1.1',
      '1.1.1.1, unknown',
      '_hidden',
      '"1.1.1.1"',
      '1.1.1.1 2.2.2.2',
      '1.1.1.1;2.2.2.2',
    ],
    ...[
      '1.1.1.1:80',
      '1.1.1.1:80, 2.2.2.2:90',
      '[2001:db8::1]',
      '[2001:db8::1]:80',
      '2001:db8::1',
      '2001:DB8::1, 2001:db8::2',
    ],
    ...[
      '::ffff:1.1.1.1',
      '::1',
      'fe80::1%eth9',
      '01.1.1.1',
      '1.1.1',
      '0x1010101',
      '16843009',
      '1.1.1.1/32',
      '256.1.1.1',
      '1.1.1.1.',
    ],
    ...[
      ' 1.1.1.1 ',
      '\t1.1.1.1\t,\t2.2.2.2',
      '127.0.0.1',
      '10.0.0.1',
      '0.0.0.0',
      '1.1.1.1\t2.2.2.2',
      '2001:db8::1::2',
      '::1.1.1.1',
      '::cb00:7107',
      '::0.1.0.1',
    ],
  ].map((value) => `x-forwarded-for: ${value}`),
  ...[
    ...[
      'x-forwarded-proto: https',
      'x-forwarded-proto: http',
      'x-forwarded-proto: ftp',
      'x-forwarded-proto: https,http',
    ],
    ...['x-forwarded-proto: HTTPS', 'x-forwarded-proto: https\r\nx-forwarded-proto: http', 'x-forwarded-proto:'],
    ...['x-request-id: mine', 'x-request-id: mine\r\nx-request-id: other', 'x-request-id:'],
    ...[
      'x-forwarded-client-cert: By=a;URI=spiffe://cluster.local/ns/a/sa/b',
      'x-forwarded-client-cert: a\r\nx-forwarded-client-cert: b',
    ],
    ...[
      'x-forwarded-client-cert:',
      'x-forwarded-host: h',
      'x-forwarded-port: 1',
      'x-real-ip: 1.1.1.1',
      'forwarded: for=1.1.1.1',
    ],
    ...[
      'true-client-ip: 1.1.1.1',
      'x-client-ip: 1.1.1.1',
      'via: 1.1 a',
      'x-forwarded: a',
      'x-forwarded-proto: https\r\nx-forwarded-for: 1.1.1.1',
    ],
    ...['x-envoy-external-address: 1.1.1.1', 'x-envoy-external-address: 1.1.1.1\r\nx-envoy-external-address: 2.2.2.2'],
    ...[
      'x-envoy-internal: true',
      'x-envoy-internal: true\r\nx-forwarded-for: 10.0.0.1',
      'x-envoy-internal: true\r\nx-forwarded-for: 127.0.0.1',
    ],
    ...[
      'decorator-operation',
      'downstream-service-cluster',
      'downstream-service-node',
      ...[
        'original-path',
        'original-host',
        'original-method',
        'original-url',
        'original-dst-host',
        'peer-metadata',
        'peer-metadata-id',
      ],
      ...[
        'attempt-count',
        'upstream-service-time',
        'is-timeout-retry',
        'immediate-health-check-fail',
        'healthchecked',
        'overloaded',
      ],
      ...[
        'retry-on',
        'retry-grpc-on',
        'max-retries',
        'retriable-status-codes',
        'retriable-header-names',
        'force-trace',
        'ip-tags',
      ],
      ...[
        'upstream-alt-stat-name',
        'upstream-rq-timeout-alt-response',
        'upstream-rq-timeout-ms',
        'upstream-rq-per-try-timeout-ms',
      ],
      ...[
        'upstream-stream-duration-ms',
        'expected-rq-timeout-ms',
        'hedge-on-per-try-timeout',
        'auth-partial-body',
        'probe',
        'ratelimited',
      ],
    ].map((name) => `X-Envoy-${name}: 1`),
  ],
]

const SIGNATURE = Buffer.from('0d0a0d0a000d0a515549540a', 'hex').toString('latin1')
const binary = (versionAndCommand: number, family: number, rest: string) =>
  `${SIGNATURE}${String.fromCharCode(versionAndCommand, family, rest.length >> 8, rest.length & 255)}${rest}`
const four = (from: number, to: number, port: number) =>
  String.fromCharCode(from, from, from, from, to, to, to, to, 0x11, 0x22, port >> 8, port & 255)
const six = Buffer.from('20010db800000000000000000000000120010db8000000000000000000000002112201bb', 'hex').toString(
  'latin1',
)

/** Well-formed headers, and others that end the connection at both. */
const prefixes: readonly string[] = [
  ...['', 'GET', 'PROXY', 'PROXY TCP4 1.1.1.1 2.2.2.2 1 443\r\n', 'PROXY TCP4 3.3.3.3 1.1.1.1 1 8443\r\n'],
  ...[
    'PROXY TCP6 2001:db8::1 2001:db8::2 1 443\r\n',
    'PROXY TCP6 ::ffff:1.1.1.1 ::ffff:2.2.2.2 1 443\r\n',
    'PROXY UNKNOWN\r\n',
  ],
  ...[
    'PROXY UNKNOWN 1.1.1.1 2.2.2.2 1 2\r\n',
    'PROXY TCP4 127.0.0.1 127.0.0.1 1 8080\r\n',
    'PROXY TCP4 1.1.1.1 2.2.2.2 1 2\n',
  ],
  ...[
    'PROXY TCP4  1.1.1.1 2.2.2.2 1 2\r\n',
    'PROXY TCP4 1.1.1.1 2.2.2.2 1\r\n',
    'PROXY TCP4 ::1 ::1 1 2\r\n',
    'proxy TCP4 1.1.1.1 2.2.2.2 1 2\r\n',
  ],
  ...[
    'PROXY TCP4 1.1.1.1 2.2.2.2 1 65536\r\n',
    'PROXY TCP4 224.0.0.1 2.2.2.2 1 2\r\n',
    'PROXY TCP4 0.0.0.0 2.2.2.2 1 2\r\n',
  ],
  `PROXY TCP4 ${'1'.repeat(120)}\r\n`,
  'PROXY TCP4 1.1.1.1 2.2.2.2 1 443\r\nPROXY TCP4 1.1.1.1 2.2.2.2 1 443\r\n',
  ...[
    binary(0x21, 0x11, four(1, 2, 443)),
    binary(0x21, 0x12, four(3, 2, 443)),
    binary(0x21, 0x21, six),
    binary(0x21, 0x22, six),
  ],
  ...[binary(0x20, 0x00, ''), binary(0x20, 0x11, four(1, 2, 443)), binary(0x20, 0xff, 'abc')],
  binary(0x21, 0x11, `${four(1, 2, 443)}\x02\0\x03abc\x04\0\0`),
  binary(0x21, 0x11, `${four(1, 2, 443)}\xe0\x75\x30${'a'.repeat(30_000)}`),
  ...[binary(0x21, 0x11, `${four(1, 2, 443)}\x02\0\x09a`), binary(0x21, 0x11, `${four(1, 2, 443)}\x02`)],
  ...[
    binary(0x21, 0x00, ''),
    binary(0x21, 0x31, 'a'.repeat(216)),
    binary(0x21, 0x41, four(1, 2, 443)),
    binary(0x22, 0x11, four(1, 2, 443)),
  ],
  ...[binary(0x11, 0x11, four(1, 2, 443)), binary(0x21, 0x21, four(1, 2, 443)), binary(0x21, 0x11, four(255, 2, 443))],
]

/** Stricter than Envoy, which takes each of these for a header. */
const refusedHere: readonly string[] = [
  ...[
    'PROXY TCP4 1.1.1.1 2.2.2.2 1 2 \r\n',
    'PROXY TCP4 1.1.1.1 2.2.2.2 +1 2\r\n',
    'PROXY TCP4 1.1.1.1 2.2.2.2 01 2\r\n',
  ],
  ...[
    'PROXY TCP4 1.1.1.1\0 2.2.2.2 1 2\r\n',
    'PROXY TCP6 fe80::1%lo 2001:db8::2 1 2\r\n',
    `PROXY UNKNOWN ${'a'.repeat(92)}\r\n`,
  ],
]

const request = (path: string, lines: string) =>
  `GET ${path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n${lines === '' ? '' : `${lines}\r\n`}\r\n`

const probes = [
  '/any',
  ...blocks.flatMap((_, i) => [`/remote/${i}`, `/source/${i}`, `/destination/${i}`]),
  ...['own', ...ports].map((_, i) => `/port/${i}`),
]

describe('the client’s address beside Envoy', { skip: 'skip' in found ? found.skip : false }, () => {
  let application: Awaited<ReturnType<typeof startApp>>
  let envoy: RunningBootstrap
  let proxy: ProxyServer
  const theirs = new Map<string, number>()
  const explainers = new Map<string, Explainer>()
  const ours = new Map<string, number>()

  before(async () => {
    application = await startApp(echo)
    const parts: Resources[] = []
    const inbound: InboundConfig[] = []
    for (const profile of profiles) {
      // Policies see the port of Envoy's socket, or that of a PROXY header.
      const port = await freePort()
      const { mesh, diagnostics } = loadMesh(parseSource(`${profile.name}.yaml`, meshText(profile, port)).documents)
      assert.deepEqual(diagnostics, [])
      const workload = mesh.workloads.get('foo/web') ?? assert.fail()
      assert.equal(workload.role.kind, profile.gateway ? 'gateway' : 'sidecar')
      const place = {
        port,
        protocol: 'http',
        listen: { host: '0.0.0.0', port },
        application: { kind: 'tcp', host: '127.0.0.1', port: application.port },
      } as const
      parts.push(
        translateWorkload(mesh, workload, {
          placement: { kind: 'ports', ports: [place] },
          rbac: { kind: 'rules' },
          jwks: { byIssuer: new Map(), nobody: '{"keys":[]}', ca: '/nowhere.pem' },
          certificates: () => assert.fail('no certificate is needed'),
          accessLog: [],
          prefix: `${profile.name} `,
          service: null,
        }),
      )
      const config = configure({
        ...{ mesh, keys: createOfflineKeySource(), ownAddress: own },
        local: [
          { workload, outbound: [], inbound: [{ ...place, listen: { host: '0.0.0.0', port: 0 }, origin: null }] },
        ],
        identity: () => assert.fail('no identity is needed'),
        client: () => assert.fail('no provider is asked'),
      })
      theirs.set(profile.name, port)
      // `explain` is told what a PROXY header says by other fields.
      if (profile.proxyProtocol !== true) {
        const options = { mesh, workload, port, keys: createOfflineKeySource(), now: Date.now, ask: null }
        explainers.set(profile.name, createExplainer(options))
      }
      inbound.push(...config.inbound.map((one) => ({ ...one, id: profile.name })))
    }
    const folder = mkdtempSync(join(tmpdir(), 'envoy-'))
    const admin = { host: '127.0.0.1', port: 0 }
    const config = bootstrap(parts, { id: 'client-address', cluster: 'client-address', admin })
    envoy = await startBootstrap('path' in found ? found.path : '', config, join(folder, 'admin'), folder)
    const deps = { log: silent, metrics: new MetricsRegistry(), decisions: null }
    proxy = createProxy({ inbound, outbound: [] }, deps)
    assert.equal((await proxy.start()).kind, 'applied')
    for (const [id, { port }] of proxy.addresses()) ours.set(id, port)
  })

  after(async () => {
    await proxy?.close(0)
    await envoy?.stop()
    application?.server.closeAllConnections()
    application?.server.close()
  })

  /** What `explain` says of a request from the loopback; null where it is not asked. */
  async function decisionOf(profile: string, bytes: string): Promise<string | null> {
    const explainer = explainers.get(profile)
    if (explainer === undefined) return null
    const [first = '', ...lines] = bytes.split('\r\n\r\n', 1).join('').split('\r\n')
    const headers = lines.map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()])
    const rest = headers.filter(([name]) => name !== 'Host' && name !== 'Connection')
    const decoded = decodeRequest({ method: 'GET', path: first.split(' ')[1], host: 'h', headers: rest })
    if (isProblem(decoded)) assert.fail(decoded.message)
    const explanation = await explainer.explain(decoded, { trace: false })
    if (isProblem(explanation)) assert.fail(explanation.message)
    return explanation.decision.decision
  }

  async function disagreements(profile: string, hosts: readonly string[], sent: readonly string[]): Promise<object[]> {
    const different: object[] = []
    for (const host of hosts) {
      for (const bytes of sent) {
        const [envoys, here] = await Promise.all([
          outcome(host, theirs.get(profile) as number, bytes),
          outcome(host, ours.get(profile) as number, bytes),
        ])
        const explained = host === '127.0.0.1' ? await decisionOf(profile, bytes) : null
        if (explained !== null && (explained === 'deny') !== (envoys.status === 403)) {
          different.push({ bytes: bytes.slice(0, 200), envoys, explained })
        }
        if (!isDeepStrictEqual(envoys, here)) different.push({ host, bytes: bytes.slice(0, 200), envoys, here })
      }
    }
    return different
  }

  /** The loopback, and where the machine has one an address that is not. */
  const hosts = ['127.0.0.1', ...(own === null ? [] : [printIp(own)])]

  for (const { name, proxyProtocol } of profiles) {
    if (proxyProtocol === true) continue
    test(`${name}: each header is kept, set or removed, and rules on addresses decide, as by Envoy`, async () => {
      const all = heads.flatMap((lines) => probesFor(lines).map((path) => request(path, lines)))
      assert.deepEqual(await disagreements(name, hosts, all), [])
    })
  }

  for (const { name } of profiles.filter((profile) => profile.proxyProtocol === true)) {
    test(`${name}: what a PROXY header says counts as by Envoy, and without one the connection ends`, async () => {
      const lines = ['', 'x-forwarded-for: 3.3.3.3', 'x-forwarded-for: 1.1.1.1, 2.2.2.2\r\nx-forwarded-proto: https']
      const all = prefixes.flatMap((prefix) => probes.map((path) => `${prefix}${request(path, '')}`))
      const headed = prefixes.flatMap((prefix) => lines.map((text) => `${prefix}${request('/any', text)}`))
      assert.deepEqual(await disagreements(name, hosts, [...all, ...headed]), [])
    })

    test(`${name}: a header that is not well formed is no header here`, async () => {
      for (const prefix of refusedHere) {
        const bytes = `${prefix}${request('/any', '')}`
        assert.equal((await outcome('127.0.0.1', theirs.get(name) as number, bytes)).status, 200, prefix)
        assert.equal((await outcome('127.0.0.1', ours.get(name) as number, bytes)).status, 0, prefix)
      }
    })
  }
})

/** Rules on addresses are asked about where the head has to do with them. */
function probesFor(lines: string): readonly string[] {
  return lines === '' || /^(x-forwarded-for|x-envoy-(external|internal)|x-real|forwarded)/.test(lines)
    ? probes
    : ['/any']
}

/** What became of a request: the status, and what the application got. 0: the connection was closed without an answer. */
async function outcome(host: string, port: number, bytes: string): Promise<{ status: number; got: unknown }> {
  const answer = await exchange(host, port, bytes)
  const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1] ?? 0)
  if (status !== 200) return { status, got: answer.slice(answer.indexOf('\r\n\r\n') + 4) }
  const got = JSON.parse(answer.slice(answer.indexOf('{'), answer.lastIndexOf('}') + 1))
  const lines = pairs(got.rawHeaders)
    .filter(([name]) => name !== 'connection' && name !== 'content-length' && name !== 'transfer-encoding')
    .map(([name, value]) => `${name}: ${name === 'x-request-id' && /^[0-9a-f-]{36}$/.test(value) ? 'new' : value}`)
  return { status, got: [got.url, lines.sort()] }
}

function exchange(host: string, port: number, bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host, localAddress: host })
    socket.setTimeout(10_000, () => socket.destroy(new Error(`no end to the answer to ${JSON.stringify(bytes)}`)))
    let answer = ''
    socket.setEncoding('latin1').on('data', (text) => {
      answer += text
      // Envoy would wait a second for its client to close first.
      if (isWhole(answer)) socket.destroy()
    })
    socket.on('close', () => resolve(answer))
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'ECONNRESET' && error.code !== 'EPIPE') reject(error)
    })
    socket.write(bytes, 'latin1')
  })
}

function isWhole(answer: string): boolean {
  const end = answer.indexOf('\r\n\r\n')
  const length = /\r\ncontent-length: (\d+)\r\n/i.exec(answer.slice(0, end + 2))?.[1]
  return end !== -1 && length !== undefined && answer.length >= end + 4 + Number(length)
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '0.0.0.0')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
