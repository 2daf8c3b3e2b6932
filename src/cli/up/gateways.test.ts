import assert from 'node:assert/strict'
import { createPrivateKey, generateKeyPairSync, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { RequestListener } from 'node:http'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type ConnectionOptions, connect as connectTls } from 'node:tls'
import { createDevelopmentCa } from '../../authn/certificate-authority.ts'
import { buildCertificate, type SubjectAlternativeName } from '../../authn/x509/certificate.ts'
import { folderOf, type Running, root, sallyport, start } from '../terminal.test.fixture.ts'
import { application } from './ports.test.fixture.ts'

const QUIET = ['--health-port', '0', '--metrics-port', '0', '--admin-port', '0', '--ca-dir', 'ca']

const deployment = (annotation = '') => `apiVersion: apps/v1
kind: Deployment
metadata: { name: gw, namespace: edge }
spec:
  selector: { matchLabels: { istio: gw } }
  template: { metadata: { labels: { istio: gw }${annotation} } }
---
apiVersion: v1
kind: Service
metadata: { name: gw, namespace: edge }
spec: { selector: { istio: gw }, ports: [{ name: http2, port: 80, targetPort: 8080 }, { name: https, port: 443, targetPort: 8443 }] }
`
const gateway = (servers: string) => `---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: g, namespace: web }
spec:
  selector: { istio: gw }
  servers:
${servers}`
const deny = (rule: string) => `---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: deny, namespace: edge }
spec: { action: DENY, rules: [${rule}] }
`

/** Answers with the header lines that it got. */
const echo: RequestListener = (request, response) => response.end(JSON.stringify(request.headers))

async function portOf(up: Running, policies: number): Promise<number> {
  const talk = await up.hears(/^ready$/m)
  return Number(
    new RegExp(`inbound edge/gw:${policies} at 127\\.0\\.0\\.1:(\\d+)`).exec(talk)?.[1] ?? assert.fail(talk),
  )
}

function request(path: string, host: string, lines = ''): string {
  return `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n${lines}\r\n`
}

/** All that comes back until the peer closes; empty where it closes at once. */
async function exchange(socket: Socket, bytes: string): Promise<string> {
  let answer = ''
  socket.setEncoding('latin1').on('data', (text) => {
    answer += text
  })
  socket.setTimeout(10_000, () => socket.destroy())
  socket.on('error', () => {})
  socket.write(bytes, 'latin1')
  await new Promise((resolve) => socket.once('close', resolve))
  return answer
}

const plain = (port: number, bytes: string) => exchange(connect({ port, host: '127.0.0.1' }), bytes)

function encrypted(port: number, bytes: string, options: ConnectionOptions): Promise<string> {
  return exchange(connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options }), bytes)
}

function gotHeaders(answer: string): Record<string, string> {
  assert.match(answer, /^HTTP\/1\.1 200 /)
  return JSON.parse(answer.slice(answer.indexOf('{'), answer.lastIndexOf('}') + 1))
}

function run(
  t: TestContext,
  files: Record<string, string>,
  app: number,
  listen: readonly number[],
  more: readonly string[] = [],
): Running {
  const cwd = folderOf(t, files)
  const sockets = listen.flatMap((port) => ['--listen', `${port}=127.0.0.1:0`])
  const named = ['up', '-f', 'mesh.yaml', '--workload', 'edge/gw', '--app', `127.0.0.1:${app}`]
  const words = [...named, ...sockets, ...QUIET, ...more]
  return start(t, words, { cwd, env: { HOME: cwd } })
}

const httpServers = `  - { port: { number: 80, name: http, protocol: HTTP }, hosts: ["web/*.shop.example", "pay.example"], tls: { httpsRedirect: false } }
  - { port: { number: 80, name: http, protocol: HTTP }, hosts: ["old.example"], tls: { httpsRedirect: true } }
`

test('a gateway takes nobody’s word for the client’s address, serves its hosts and redirects', async (t) => {
  const rule = '{ from: [{ source: { remoteIpBlocks: ["1.1.1.1"] } }] }, { to: [{ operation: { ports: ["8443"] } }] }'
  const files = { 'mesh.yaml': deployment() + gateway(httpServers) + deny(rule) }
  const up = run(t, files, await application(t, echo), [8080])
  const port = await portOf(up, 8080)
  const sent = 'X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Proto: https\r\nX-Request-Id: mine\r\nX-Envoy-Any: 1\r\n'
  const got = gotHeaders(await plain(port, request('/', 'a.shop.example', sent)))
  assert.equal(got['x-envoy-external-address'], '127.0.0.1')
  assert.match(got['x-forwarded-for'] ?? '', /^1\.1\.1\.1,/)
  assert.equal(got['x-forwarded-proto'], 'http')
  assert.notEqual(got['x-request-id'], 'mine')
  assert.equal(got['x-envoy-any'], undefined)
  assert.match(await plain(port, request('/', 'other.example')), /^HTTP\/1\.1 404 /)
  assert.match(
    await plain(port, request('/a?b', 'old.example')),
    /^HTTP\/1\.1 301 .*location: https:\/\/old\.example\/a\?b\r\n/s,
  )
  const withPort = await plain(port, request('/', 'OLD.example:80'))
  assert.match(withPort, /^location: https:\/\/OLD\.example:80\/\r$/m)
  assert.match(
    await up.hears(/^ready$/m),
    /note: every request .* goes to --app: VirtualService and HTTPRoute are not read/,
  )
})

test('a PROXY header names the client where the gateway’s annotation asks for it, and only then is anybody served', async (t) => {
  const annotation = ', annotations: { proxy.istio.io/config: "gatewayTopology: { proxyProtocol: {} }" }'
  const rule = '{ from: [{ source: { remoteIpBlocks: ["1.1.1.1"] } }] }'
  const files = { 'mesh.yaml': deployment(annotation) + gateway(httpServers) + deny(rule) }
  const port = await portOf(run(t, files, await application(t, echo), [8080]), 8080)
  const ask = (from: string) => plain(port, `PROXY TCP4 ${from} 9.9.9.9 1 80\r\n${request('/', 'pay.example')}`)
  assert.match(await ask('1.1.1.1'), /^HTTP\/1\.1 403 .*RBAC: access denied/s)
  const got = gotHeaders(await ask('2.2.2.2'))
  assert.deepEqual([got['x-envoy-external-address'], got['x-forwarded-for']], ['2.2.2.2', '2.2.2.2'])
  assert.equal(await plain(port, request('/', 'pay.example')), '')
})

test('labels of the command line leave a gateway what its annotation says', async (t) => {
  const annotation = ', annotations: { proxy.istio.io/config: "gatewayTopology: { proxyProtocol: {} }" }'
  const files = { 'mesh.yaml': deployment(annotation) + gateway(httpServers) }
  const up = run(t, files, await application(t, echo), [8080], ['--label', 'a=b', '--service-account', 'gw'])
  const port = await portOf(up, 8080)
  const got = gotHeaders(await plain(port, `PROXY TCP4 2.2.2.2 9.9.9.9 1 80\r\n${request('/', 'pay.example')}`))
  assert.equal(got['x-envoy-external-address'], '2.2.2.2')
  assert.equal(await plain(port, request('/', 'pay.example')), '')
})

test('a server ends TLS by its name, and asks for certificates where it is MUTUAL', async (t) => {
  const ca = createDevelopmentCa({ trustDomain: 'cluster.local', now: () => Date.now() })
  const server = ca.issue({ namespace: 'edge', serviceAccount: 'gw' })
  const client = ca.issue({ namespace: 'b', serviceAccount: 's' })
  const servers = `  - port: { number: 443, name: a, protocol: HTTPS }
    hosts: ["a.example"]
    tls: { mode: SIMPLE, serverCertificate: chain.pem, privateKey: key.pem }
  - port: { number: 443, name: b, protocol: HTTPS }
    hosts: ["*.b.example"]
    tls: { mode: MUTUAL, serverCertificate: chain.pem, privateKey: key.pem, caCertificates: root.pem }
`
  const rule =
    '{ from: [{ source: { principals: ["cluster.local/ns/b/sa/s"] } }], to: [{ operation: { paths: ["/denied"] } }] }'
  const files = {
    'mesh.yaml': deployment() + gateway(servers) + deny(rule),
    ...{ 'chain.pem': server.chain, 'key.pem': server.key, 'root.pem': ca.root },
  }
  const port = await portOf(run(t, files, await application(t, echo), [8443]), 8443)
  const simple = gotHeaders(await encrypted(port, request('/denied', 'a.example'), { servername: 'a.example' }))
  assert.deepEqual([simple['x-forwarded-proto'], simple['x-forwarded-client-cert']], ['https', undefined])
  const identity = { servername: 'x.b.example', cert: client.chain, key: client.key }
  const mutual = gotHeaders(await encrypted(port, request('/', 'x.b.example'), identity))
  assert.match(
    mutual['x-forwarded-client-cert'] ?? '',
    /^Hash=[0-9a-f]{64};Cert="-----BEGIN%20CERTIFICATE-----.*";Subject="";URI=spiffe:\/\/cluster\.local\/ns\/b\/sa\/s$/,
  )
  assert.match(await encrypted(port, request('/denied', 'x.b.example'), identity), /^HTTP\/1\.1 403 /)
  assert.equal(await encrypted(port, request('/', 'x.b.example'), { servername: 'x.b.example' }), '')
  assert.equal(await encrypted(port, request('/', 'c.example'), { servername: 'c.example' }), '')
  // Whoever came in without a certificate does not reach the hosts of the server that asks for one.
  const across = await encrypted(port, request('/', 'x.b.example'), { servername: 'a.example' })
  assert.match(across, /^HTTP\/1\.1 404 /)
  assert.equal(await plain(port, request('/', 'a.example')), '')
})

test('the roots alone say who may come in, and policies see the name that the certificate has', async (t) => {
  const ca = createDevelopmentCa({ trustDomain: 'cluster.local', now: () => Date.now() })
  const server = ca.issue({ namespace: 'edge', serviceAccount: 'gw' })
  const issuer = new X509Certificate(ca.root)
  const named = (names: readonly SubjectAlternativeName[], commonName: string) => {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const cert = buildCertificate(
      {
        subject: { commonName },
        issuer: {
          commonName: /CN=(.*)/.exec(issuer.subject)?.[1] ?? '',
          organization: /O=(.*)/.exec(issuer.subject)?.[1] ?? '',
        },
        ...{ notBefore: Date.now() - 60_000, notAfter: Date.now() + 3_600_000, publicKey },
        issuerPublicKey: issuer.publicKey,
        usage: { kind: 'workload', names },
      },
      createPrivateKey(ca.rootKey),
    )
    return { cert, key: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string }
  }
  const dns = (name: string): SubjectAlternativeName => ({ kind: 'dns', name })
  const servers = `  - port: { number: 443, name: b, protocol: HTTPS }
    hosts: ["*"]
    tls: { mode: MUTUAL, serverCertificate: chain.pem, privateKey: key.pem, caCertificates: root.pem }
`
  const pem = { 'chain.pem': server.chain, 'key.pem': server.key, 'root.pem': ca.root }
  const app = await application(t, echo)
  const serve = async (rule: string) => {
    const up = run(t, { 'mesh.yaml': deployment() + gateway(servers) + deny(rule), ...pem }, app, [8443])
    const port = await portOf(up, 8443)
    return async (names: readonly SubjectAlternativeName[], commonName = 'client') => {
      const answer = await encrypted(port, request('/', 'x'), { servername: 'x', ...named(names, commonName) })
      return Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1] ?? 0)
    }
  }
  const spiffe = 'spiffe://cluster.local/ns/b/sa/s'
  const uri = (name: string): SubjectAlternativeName => ({ kind: 'uri', uri: name })
  const asked = await serve('{ from: [{ source: { principals: ["cluster.local/ns/b/sa/s"] } }] }')
  assert.deepEqual(
    [
      await asked([uri(spiffe)]),
      await asked([uri('spiffe://partner.example/x')]),
      await asked([dns('client.example')]),
      await asked([dns('client.example'), dns('other.example')]),
      await asked([]),
      await asked([dns(spiffe)]),
      await asked([], spiffe),
      await asked([uri(spiffe), uri('spiffe://cluster.local/ns/a/sa/s')]),
    ],
    [403, 200, 200, 200, 200, 0, 0, 0],
  )
  const anybody = await serve('{ from: [{ source: { principals: ["*"] } }] }')
  assert.deepEqual([await anybody([dns('client.example')]), await anybody([])], [403, 403])
  const suffix = await serve('{ from: [{ source: { principals: ["*client.example"] } }] }')
  assert.equal(await suffix([dns('client.example')]), 200, 'a suffix too is one of a SPIFFE id')
})

test('what is not served is said at its place, and its port is not opened', async (t) => {
  const servers = `${httpServers}  - { port: { number: 443, name: a, protocol: HTTPS }, hosts: ["a.example"], tls: { mode: SIMPLE, credentialName: a } }
  - { port: { number: 9000, name: t, protocol: TCP }, hosts: ["*"] }
  - { port: { number: 9443, name: p, protocol: TLS }, hosts: ["*"], tls: { mode: PASSTHROUGH } }
  - { port: { number: 9444, name: m, protocol: HTTPS }, hosts: ["*"], tls: { mode: ISTIO_MUTUAL } }
  - { port: { number: 9445, name: f, protocol: HTTPS }, hosts: ["*"], tls: { mode: SIMPLE, serverCertificate: none.pem, privateKey: none.pem } }
`
  const up = run(t, { 'mesh.yaml': deployment() + gateway(servers) }, await application(t, echo), [8080])
  const talk = await up.hears(/^ready$/m)
  for (const expected of [
    /warning: port 8443 of this gateway is not served: `credentialName` of its `tls`; write `serverCertificate`.*\[SP505\]/,
    /warning: port 9000 of this gateway is not served: its protocol is not HTTP or HTTPS/,
    /warning: port 9443 of this gateway is not served: its protocol is not HTTP or HTTPS/,
    /warning: port 9444 of this gateway is not served: `mode: ISTIO_MUTUAL` of its `tls`/,
    /warning: port 9445 of this gateway is not served: its certificate `none\.pem` cannot be read/,
  ]) {
    assert.match(talk, expected)
  }
  assert.deepEqual(
    [...talk.matchAll(/listening: (.*) at/g)].map(([, id]) => id),
    ['inbound edge/gw:8080'],
  )
})

test('a port that no server has is closed, not open in plaintext', async (t) => {
  const up = run(t, { 'mesh.yaml': deployment() + gateway(httpServers) }, await application(t, echo), [8080, 8443])
  const talk = await up.hears(/^ready$/m)
  assert.deepEqual(
    [...talk.matchAll(/listening: (.*) at/g)].map(([, id]) => id),
    ['inbound edge/gw:8080'],
  )
  assert.match(talk, /port 8443 of the gateway `edge\/gw` is not served: no Gateway has a server there \[SP505\]/)
})

test('without an application a gateway is not run, and that is said', async (t) => {
  const cwd = folderOf(t, { 'mesh.yaml': deployment() + gateway(httpServers) })
  const named = await sallyport(['up', '-f', 'mesh.yaml', '--workload', 'edge/gw', ...QUIET], { cwd })
  assert.equal(named.code, 2)
  assert.match(named.stderr, /nothing says where requests to the gateway `edge\/gw` go\n {2}add --app HOST:PORT/)
  const all = await sallyport(['up', '-f', 'mesh.yaml', ...QUIET], { cwd })
  assert.equal(all.code, 2)
  assert.match(
    all.stderr,
    /warning: the gateway edge\/gw is not run: nothing says where its requests go \[SP505\]\n.*--workload edge\/gw --app HOST:PORT/,
  )
})

test('the example decides as its page says', async (t) => {
  const cwd = folderOf(t, {})
  const words = [
    'up',
    '-f',
    join(root, 'examples/gateway'),
    '--workload',
    'edge/ingress',
    '--listen',
    '8080=127.0.0.1:0',
  ]
  const app = await application(t, echo)
  const up = start(t, [...words, '--app', `127.0.0.1:${app}`, ...QUIET], { cwd, env: { HOME: cwd } })
  const port = Number(/inbound edge\/ingress:8080 at 127\.0\.0\.1:(\d+)/.exec(await up.hears(/^ready$/m))?.[1])
  const page = readFileSync(join(root, 'docs/client-address.md'), 'utf8')
  const examples = [...page.matchAll(/^curl -i ((?:-H '[^']*' )+)http:\/\/127\.0\.0\.1:8080(\S+) +# (\d+)$/gm)]
  assert.equal(examples.length, 4)
  for (const [line, options = '', path = '', status] of examples) {
    const lines = [...options.matchAll(/-H '([^']*)'/g)].map(([, header]) => `${header}\r\n`)
    const answer = await plain(port, `GET ${path} HTTP/1.1\r\nConnection: close\r\n${lines.join('')}\r\n`)
    assert.equal(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1], status, line)
  }
})
