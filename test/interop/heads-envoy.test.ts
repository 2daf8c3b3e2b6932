import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import type { Operation, Rule, Values, When } from '#src/mesh/authorization-policy.ts'
import { MetricsRegistry } from '#src/observe/metrics.ts'
import { compile } from '#src/policy/compile.ts'
import { lower } from '#src/policy/lower.ts'
import type { ProxyServer } from '#src/proxy/index.ts'
import { createProxy } from '#src/proxy/index.ts'
import { echo, inbound, policies, raw, silent } from '#src/proxy/support.test.fixture.ts'
import { policyOf } from '../property/policies.ts'
import { cluster, pairs, type RunningEnvoy, startApp, startEnvoy } from './envoy.ts'
import { peer } from './peers.ts'

const found = peer('envoy')

/** The same DENY rules as Istio's and as Envoy's. */
const rules: readonly { istio: Rule; permission: object; principal?: object }[] = [
  {
    istio: to({ paths: ['/admin', '/admin/*', '*/secret'] }),
    permission: anyOf([{ exact: '/admin' }, { prefix: '/admin/' }, { suffix: '/secret' }].map(urlPath)),
  },
  { istio: to({ methods: ['DELETE'] }), permission: header(':method', { exact: 'DELETE' }) },
  {
    istio: to({ hosts: ['denied.example', 'denied.example:*'] }),
    permission: anyOf([
      header(':authority', { exact: 'denied.example', ignore_case: true }),
      header(':authority', { prefix: 'denied.example:', ignore_case: true }),
    ]),
  },
  {
    istio: to({ paths: ['/tpl/{*}/x'] }),
    permission: {
      uri_template: {
        name: 'envoy.path.match.uri_template.uri_template_matcher',
        typed_config: {
          '@type': 'type.googleapis.com/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig',
          path_template: '/tpl/*/x',
        },
      },
    },
  },
  {
    istio: when('request.headers[x-role]', ['admin']),
    permission: any(),
    principal: header('x-role', { exact: 'admin' }),
  },
  {
    istio: when('request.headers[user-agent]', ['bad']),
    permission: any(),
    principal: header('user-agent', { exact: 'bad' }),
  },
  {
    istio: when('remote.ip', ['6.6.6.0/24']),
    permission: any(),
    principal: { remote_ip: { address_prefix: '6.6.6.0', prefix_len: 24 } },
  },
]

function any(): object {
  return { any: true }
}

function anyOf(list: readonly object[]): object {
  return { or_rules: { rules: list } }
}

function urlPath(match: object): object {
  return { url_path: { path: match } }
}

function header(name: string, match: object): object {
  return { header: { name, string_match: match } }
}

function values(list: readonly string[] = []): Values {
  return { values: list, notValues: [] }
}

function to(fields: { [K in keyof Operation]?: readonly string[] }): Rule {
  const { hosts, ports, methods, paths } = fields
  return {
    from: null,
    to: [{ hosts: values(hosts), ports: values(ports), methods: values(methods), paths: values(paths) }],
    when: [],
  }
}

function when(key: string, list: readonly string[]): Rule {
  return { from: null, to: null, when: [{ key, ...values(list) } as When] }
}

const target = (path: string) => `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`
const fields = (lines: string) => `GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${lines}\r\n\r\n`
const host = (value: string) => `GET /a HTTP/1.1\r\nHost: ${value}\r\nConnection: close\r\n\r\n`
const post = (lines: string, body: string) =>
  `POST /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${lines}\r\n\r\n${body}`
const method = (name: string) => `${name} /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`

const same: readonly string[] = [
  target('http://x?q'),
  ...[
    ...['/', '/admin', '/admin/', '/ADMIN', '//admin', '/./admin', '/x/../admin', '/x/..;/admin', '/x/..;y/admin'],
    ...['/x/%2e%2e/admin', '/x/.%2e/admin', '/x/..%3b/admin', '/x\\..\\admin', '\\admin', '/\\admin', '/%61dmin'],
    ...['/adm%2569n', '/admin%2f', '/admin%2fx', '/admin%5cx', '/%2fadmin', '/x%2f..%2fadmin', '/admin%252fx'],
    ...['/admin;x', '/admin;x/y', '/;/admin', '/admin?', '/admin?x=/..', '/x?/../admin', '/admin%3fx', '/admin%23x'],
    ...['/admin%00', '/admin%20', '/admin%0d%0a', '/admin/.', '/admin/..', '/../admin', '/..', '/...', '/a//../admin'],
    ...['/a/..//admin', '/a/%2E%2E', '/%2e%2e/admin', '/a%c0%af..%c0%afadmin', '/a/%e0%80%ae/admin', '/a b', '/a\x7f'],
    ...[
      '/a|b',
      '/a"b',
      '/a`b',
      '/a{b}',
      '/a[b]',
      '/a%zz',
      '/a%',
      '/x/secret',
      '/x/secret/',
      '/x/%73ecret',
      '/x/secret;',
    ],
    ...['/tpl/a/x', '/tpl/[/x', '/tpl/*/x', '/tpl/a*b/x', '/tpl/a%2fb/x', '/tpl//x', `/tpl/${'a'.repeat(300)}/x`],
    ...[`/${'../'.repeat(5000)}admin`, `/${'a'.repeat(50_000)}`, '/a/..%00/admin', '/a/..;a=b;c/admin'],
    ...[
      'admin',
      '?x',
      'http:/admin',
      'http://x',
      'http://x/admin',
      'HTTP://x/admin',
      'https://x/admin',
      'ftp://x/admin',
    ],
    ...['http://denied.example/a', 'http://DENIED.example:80/a', 'http://u:p@denied.example/a', 'http://u@v@x/a'],
    ...['http://x:/a', 'http://x:65536/a', 'http://x,y/a', 'http://x%2f/a', 'http://[::1]:80/a', 'http://[::1/a'],
    ...['http://x/../admin', '//denied.example/a', '/a:b'],
  ].map(target),
  ...[
    ...['denied.example', 'DENIED.example', 'denied.example:80', 'denied.example.', ' denied.example ', 'a/b', 'a, b'],
    ...['denied%2eexample', '', '*', 'x:0', 'x:-1', 'x: 1', '[::1]', '::1', '<x>', 'x\x80', 'x|y'],
  ].map(host),
  ...[
    ...['x-role: admin', 'X-ROLE:admin', 'x-role: \t admin \t', 'x-role: a\r\nx-role: admin', 'x-role: a,admin'],
    ...['x-role : admin', 'x_role: admin', ': x', 'x role: admin', 'x-role admin', ':path: /admin', 'a: b\0c'],
    ...[
      'user-agent: bad',
      'user-agent: bad\r\nuser-agent:',
      'user-agent:\r\nuser-agent: bad',
      'user-agent: a\r\nuser-agent: bad',
    ],
    ...[
      'authorization: a\r\nauthorization: b',
      'if-range: a\r\nif-range: b',
      'cookie: a=1\r\ncookie: b=2',
      'from: a\r\nfrom: b',
    ],
    ...['x-forwarded-for: 6.6.6.6', 'x-forwarded-for: 6.6.6.6, 1.1.1.1', 'x-forwarded-for: 1.1.1.1, 6.6.6.6'],
    ...['x-forwarded-for: 6.6.6.6\r\nx-forwarded-for: 1.1.1.1', 'x-forwarded-for: 6.6.6.6\r\nx-forwarded-for:'],
    ...[
      'x-forwarded-for: 6.6.6.6,',
      'x-forwarded-for: 6.6.6.6:80',
      'x-forwarded-for: ::ffff:6.6.6.6',
      'x-forwarded-for: junk',
    ],
    ...[
      'connection: x-role\r\nx-role: admin',
      'connection: authorization\r\nauthorization: a',
      'connection: x-forwarded-for',
    ],
    ...['connection: x-forwarded-host', 'connection: :path', `connection: ${'a,'.repeat(8)}x-role\r\nx-role: admin`],
    ...[
      'connection: a,b,c,d,e,f,g,h',
      'connection: a,b,c,d,e,f,g,h,i',
      'connection: cookie\r\ncookie: a=1',
      'te: gzip',
    ],
    ...['te: gzip, trailers', 'keep-alive: 1', 'proxy-connection: a', 'x-forwarded-client-cert: URI=spiffe://a'],
    ...['x-envoy-original-path: /admin', 'x-envoy-internal: true', 'x-envoy-retry-on: 5xx', 'x-envoy-max-retries: 1'],
    ...['x-envoy-upstream-stream-duration-ms: 1', 'x-envoy-other: 1', 'x-original-url: /admin', '__proto__: a'],
    ...['content-type: application/grpc\r\nx-role: admin', 'content-type: application/grpc-web\r\nx-role: admin'],
    ...[
      `x: ${'a'.repeat(50_000)}`,
      `x: ${'a'.repeat(62_000)}`,
      'upgrade: websocket',
      'connection: upgrade\r\nupgrade: foo',
    ],
    ...['connection: upgrade\r\nupgrade: h2c', 'connection: upgrade, x-role\r\nupgrade: h2c\r\nx-role: admin'],
  ].map(fields),
  ...['DELETE', 'delete', 'TRACE', 'PROPFIND', 'FOO', 'get', 'GET:', 'PATCH'].map(method),
  ...[
    ['content-length: 3', 'abc'],
    ['content-length: +3', 'abc'],
    ['content-length: 0x3', 'abc'],
    ['content-length: 3,3', 'abc'],
    ['content-length: 3\r\ncontent-length: 3', 'abc'],
    ['content-length:', ''],
    ['content-length: 99999999999999999999', 'abc'],
    ['transfer-encoding: chunked', '3\r\nabc\r\n0\r\n\r\n'],
    ['transfer-encoding: Chunked', '3;a=b\r\nabc\r\n0\r\nx-role: admin\r\n\r\n'],
    ['transfer-encoding: chunked\r\ncontent-length: 3', '3\r\nabc\r\n0\r\n\r\n'],
    ['transfer-encoding: gzip, chunked', '3\r\nabc\r\n0\r\n\r\n'],
    ['transfer-encoding: identity', 'abc'],
    ['transfer-encoding: xchunked', '3\r\nabc\r\n0\r\n\r\n'],
    ['transfer-encoding: \x0bchunked', '3\r\nabc\r\n0\r\n\r\n'],
    ['transfer-encoding : chunked', '3\r\nabc\r\n0\r\n\r\n'],
    ['x-role: admin\r\ncontent-length: 3', 'abc'],
  ].map(([lines = '', body = '']) => post(lines, body)),
  'GET /a HTTP/1.1\r\n\r\n',
  'OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
  'GET /a HTTP/1.0\r\nHost: x\r\n\r\n',
  'GET /admin\r\n\r\n',
  '\r\n\r\nGET /admin HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
]

/** Where this proxy is another one on purpose: what Envoy answers, and what is answered here. */
const different: readonly (readonly [envoy: number, here: number, bytes: string])[] = [
  [200, 400, host('u@denied.example')],
  [200, 400, host('[::1')],
  [200, 400, 'GET /a HTTP/1.1\r\nHost: x\r\nHost: denied.example\r\nConnection: close\r\n\r\n'],
  [403, 400, fields('x-role:\r\n admin')],
  [200, 400, fields('a: b\rx-role: admin')],
  [403, 400, fields('a: b\nx-role: admin')],
  [200, 400, fields('connection: forwarded')],
  [200, 400, fields('connection: content-length')],
  [200, 400, post('transfer-encoding:\r\n chunked', '3\r\nabc\r\n0\r\n\r\n')],
  [200, 400, post('transfer-encoding: chunked', '3 \r\nabc\r\n0\r\n\r\n')],
  [501, 400, post('transfer-encoding: chunked\r\ntransfer-encoding: chunked', '0\r\n\r\n')],
  [200, 400, 'GET /a HTTP/1.1 \r\nHost: x\r\nConnection: close\r\n\r\n'],
  [200, 400, 'GET\t/a\tHTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'],
]

/** What became of a request: the answer's status and a refusal's body, or what the application got. */
async function outcome(port: number, bytes: string): Promise<{ status: number; detail: unknown }> {
  const answer = await raw(port, bytes)
  const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1] ?? 0)
  if (status !== 200 || /grpc-status/i.test(answer)) {
    const grpc = /^grpc-(?:status|message): .*$/gim
    return {
      status,
      detail: [answer.slice(answer.indexOf('\r\n\r\n') + 4), [...answer.matchAll(grpc)].map(String).sort()],
    }
  }
  const got = JSON.parse(answer.slice(answer.indexOf('{'), answer.lastIndexOf('}') + 1))
  const lines = pairs(got.rawHeaders)
    .filter(([name]) => !framing.has(name))
    .map(([name, value]) => `${name}: ${name === 'x-request-id' ? '' : value}`)
  return { status, detail: [got.method, got.url, lines.sort(), got.body] }
}

/** Each hop frames its own messages. */
const framing = new Set(['connection', 'content-length', 'transfer-encoding'])

describe('odd heads beside Envoy', { skip: 'skip' in found ? found.skip : false }, () => {
  let application: Awaited<ReturnType<typeof startApp>>
  let envoy: RunningEnvoy
  let proxy: ProxyServer
  let here = 0

  before(async () => {
    application = await startApp(echo)
    application.server.keepAliveTimeout = 60_000
    const rbac = {
      '@type': 'type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC',
      rules: {
        action: 'DENY',
        policies: Object.fromEntries(
          rules.map(({ permission, principal = any() }, i) => [
            `ns[a]-policy[p]-rule[${i}]`,
            { permissions: [permission], principals: [principal] },
          ]),
        ),
      },
    }
    const filter = { name: 'envoy.filters.http.rbac', typed_config: rbac }
    envoy = await startEnvoy('path' in found ? found.path : '', [filter], [cluster('app', application.port)])
    const ir = lower({
      policies: [
        policyOf(
          'p',
          'DENY',
          rules.map(({ istio }) => istio),
        ),
      ],
      trustDomains: ['cluster.local'],
      protocol: 'http',
      provider: (name) => ({ kind: 'unusable', reason: name }),
    })
    const config = inbound(application.port, { policies: { ...policies(), decider: compile(ir) } })
    proxy = createProxy(
      { inbound: [config], outbound: [] },
      { log: silent, metrics: new MetricsRegistry(), decisions: null },
    )
    assert.equal((await proxy.start()).kind, 'applied')
    here = proxy.addresses().get('inbound')?.port ?? 0
  })

  after(async () => {
    await proxy?.close(0)
    await envoy?.stop()
    application?.server.closeAllConnections()
    application?.server.close()
  })

  test('the same bytes have the same answer and reach the application alike', async () => {
    const disagreements: object[] = []
    for (const bytes of same) {
      const [theirs, ours] = await Promise.all([outcome(envoy.port, bytes), outcome(here, bytes)])
      if (!isDeepStrictEqual(ours, theirs)) disagreements.push({ bytes: bytes.slice(0, 200), theirs, ours })
    }
    assert.deepEqual(disagreements, [])
  })

  test('what is answered otherwise is answered so on purpose', async () => {
    for (const [theirs, ours, bytes] of different) {
      const text = JSON.stringify(bytes)
      assert.equal((await outcome(envoy.port, bytes)).status, theirs, `Envoy: ${text}`)
      assert.equal((await outcome(here, bytes)).status, ours, text)
    }
  })
})
