import type { GeneratedMesh } from './generate-mesh.ts'
import { generateScript } from './generate-providers.ts'
import { generateToken, place, type TokenState } from './generate-tokens.ts'
import type { Random } from './random.ts'
import type { BodySpec, HttpSpec, Line, RequestSpec, TokenSpec } from './spec.ts'
import { sources, workloads } from './vocabulary.ts'

export interface GeneratedRequest {
  readonly request: RequestSpec
  readonly tokenStates: readonly TokenState[]
}

/** Clients of a mesh: few, so that their connections are used again. */
export function generateClients(random: Random, mesh: GeneratedMesh): readonly RequestSpec['source'][] {
  return Array.from({ length: 3 + random.int(3) }, () => client(random, mesh))
}

function client(random: Random, { trustDomains, mtls, spec }: GeneratedMesh): RequestSpec['source'] {
  const ip = random.pick(sources)
  const secure = spec.role === 'sidecar' && random.chance(mtls === 'STRICT' ? 0.9 : mtls === 'DISABLE' ? 0.04 : 0.6)
  // A waypoint and a gateway are reached in plaintext here: what they do about TLS is not the sidecar's.
  if (!secure) return { ip, certificate: null, sni: '', alpn: [] }
  const domain = random.chance(0.93) ? random.pick(trustDomains) : random.pick(['evil', 'cluster.local.evil', 'td1'])
  const certificate = random.weighted<string>([
    [45, () => `uri:spiffe://${domain}/${random.pick(workloads)}`],
    [1, () => ''],
    [0.7, () => 'dns:web.example'],
    [0.7, () => `stranger:spiffe://${domain}/${random.pick(workloads)}`],
  ])
  const alpn = random.weighted<readonly string[]>([
    [20, () => (spec.protocol === 'tcp' ? ['istio-peer-exchange', 'istio'] : ['istio', 'istio-http/1.1', 'http/1.1'])],
    [5, () => ['istio']],
    [1, () => ['http/1.1']],
    [0.5, () => []],
  ])
  return { ip, certificate, sni: random.chance(0.5) ? random.pick(['e.com', 'a.e.com', 'E.com', 'x']) : '', alpn }
}

export function generateRequest(
  random: Random,
  mesh: GeneratedMesh,
  clients: readonly RequestSpec['source'][],
): GeneratedRequest {
  const source = random.pick(clients)
  const port = random.chance(0.8) ? 'main' : 'other'
  const [provider] = mesh.providers
  const script = provider === undefined ? null : generateScript(random, provider)
  const common = { source, port, script, listed: null } as const
  if (mesh.spec.protocol === 'tcp') return { request: { ...common, http: null, tokens: [] }, tokenStates: [] }
  const tokens: TokenSpec[] = []
  const tokenStates: TokenState[] = []
  const http = httpRequest(random, mesh, tokens, tokenStates)
  return { request: { ...common, http, tokens }, tokenStates }
}

const METHODS = ['GET', 'GET', 'GET', 'GET', 'POST', 'POST', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'PATCH'] as const
const TARGETS = [
  ...[
    '/',
    '/a',
    '/a/b',
    '/a/x/b',
    '/a/',
    '/x/b',
    '/a?x=1',
    '/a/b?x=/b&y=%20z',
    '/a//b',
    '/A',
    '/admin',
    '/admin/x',
    '/a/x/c/d/e',
  ],
  ...['/p.S/M', '/index.html', '/a%2Fb', '/a%2fb', '/a/../b', '/a/./b', '/x/b?token=1', '/a;x', '/a?', '/x{y', '/a/b/'],
] as const
const PIECES = [
  ...['/', '/', '.', '..', ';', '%2e', '%2F', '%5c', '\\', 'a', '%61', '|', '%25', '%3b', '%', '%3', '%32', '%65', 'b'],
  ...[
    '2',
    'e',
    '%46',
    '%00',
    '%0',
    '"',
    '^',
    '%7f',
    '%80',
    '~',
    '%7e',
    '.;',
    '..;x',
    '#',
    '?',
    '[',
    ']',
    '%41',
    '{',
    '}',
  ],
] as const
const HOSTS = ['e.com', 'E.com', 'a.e.com', 'e.com:80', 'web.foo', 'e.com.', 'x', '127.0.0.1:80', 'A.E.COM'] as const
const ODD_HOSTS = ['', '[::1]', 'e.com:99999', 'a b', 'a/b', 'e.com,e.com', 'e..com', 'e_com', '*', 'e.com:'] as const
const PLAIN = ['v', 'w', 'va', 'av', '', 'v,w', 'a=1', 'x'] as const

const HEADERS: readonly (readonly [name: string, values: readonly string[]])[] = [
  ['x-a', PLAIN],
  ['X-A', PLAIN],
  ['x-b', PLAIN],
  ['accept', PLAIN],
  ['cookie', ['a=1', 'b=2; c=3', 'v', 'ck=x']],
  ['user-agent', PLAIN],
  ['authorization', ['Basic x', 'v', 'w', 'Bearer']],
  ['via', PLAIN],
  ['origin', ['https://o', 'v', '']],
  ['content-type', ['text/plain', 'v', 'application/json']],
  ['accept-language', PLAIN],
  ['x-real-ip', ['203.0.113.7', 'v']],
  ['referer', PLAIN],
  ['cache-control', PLAIN],
  ['if-match', PLAIN],
  ['x-role', PLAIN],
  ['x-user', PLAIN],
  ['te', ['trailers', 'gzip', 'gzip, trailers']],
  ['keep-alive', ['1']],
  ['x-request-id', ['v', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '']],
  ['x-forwarded-proto', ['https', 'http', 'ftp', 'v']],
  ['x-forwarded-host', ['e.com', 'v']],
  ['x-forwarded-client-cert', ['URI=spiffe://cluster.local/ns/a/sa/s', 'v']],
  ['x-envoy-internal', ['true']],
  ['x-envoy-max-retries', ['3']],
  ['x-envoy-original-path', ['/admin']],
  ['x-envoy-external-address', ['203.0.113.7']],
  ['x-payload', ['forged']],
  ['x-claim-n', ['forged']],
  ['access-control-request-method', ['GET']],
  ['grpc-timeout', ['100S', '2M', '90000m']],
  ['x-latin', ['w\xe9b', '\xff']],
  ['forwarded', ['for=203.0.113.7']],
  ['range', PLAIN],
  ['x_under', PLAIN],
  ['connection', ['keep-alive', 'x-a', 'authorization', 'te', 'x-role, x-b']],
]

const FORWARDED = [
  ...[
    '203.0.113.7',
    '127.9.8.7',
    '198.51.100.1',
    '2001:db8::1',
    '::ffff:203.0.113.7',
    'junk',
    '',
    '203.0.113.7:80',
    'unknown',
    '[2001:db8::1]',
  ],
  ...['127.0.0.1', ' 203.0.113.7', '203.0.113.7 '],
] as const

function httpRequest(random: Random, mesh: GeneratedMesh, tokens: TokenSpec[], tokenStates: TokenState[]): HttpSpec {
  const grpc = random.chance(0.09)
  const headers: Line[] = []
  for (const [name, values] of random.some(HEADERS, 0, random.chance(0.5) ? 2 : 6)) {
    headers.push([name, random.pick(values)])
    if (random.chance(0.15)) headers.push([name, random.pick(values)])
  }
  if (random.chance(0.25)) headers.push(...forwarded(random))
  let target = targetOf(random)
  if (grpc) {
    target = random.pick(['/p.S/M', '/p.S/N', '/a'])
    headers.push([
      'content-type',
      random.pick(['application/grpc', 'application/grpc', 'application/grpc+proto', 'application/grpc-web']),
    ])
    if (random.chance(0.7)) headers.push(['te', 'trailers'])
  }
  const [first] = mesh.rules
  if (first !== undefined && random.chance(0.75)) {
    const count = random.chance(0.12) ? 2 : 1
    for (let i = 0; i < count; i++) {
      const rule = random.pick(mesh.rules)
      const { token, state } = generateToken(random, rule)
      const { headers: more, query } = place(random, rule, `@token:${tokens.length}@`)
      tokens.push(token)
      tokenStates.push(state)
      headers.push(...more)
      if (query !== '' && target !== '*') target += `${target.includes('?') ? '&' : '?'}${query}`
    }
  }
  if (random.chance(0.03)) headers.push(['origin', 'https://o'], ['access-control-request-method', 'GET'])
  const method = grpc
    ? 'POST'
    : random.chance(0.04)
      ? random.pick(['FOO', 'PROPFIND', 'get', 'TRACE', 'QUERY'])
      : random.pick(METHODS)
  return {
    method,
    target,
    version: random.chance(0.01) ? 'HTTP/1.0' : 'HTTP/1.1',
    hosts: hostsOf(random, mesh),
    headers: shuffled(random, headers),
    body: bodyOf(random, method),
    raw: null,
  }
}

function shuffled(random: Random, headers: Line[]): Line[] {
  return random.chance(0.5)
    ? headers
    : headers
        .map((line) => [random.next(), line] as const)
        .sort(([a], [b]) => a - b)
        .map(([, line]) => line)
}

function hostsOf(random: Random, { spec }: GeneratedMesh): readonly string[] {
  if (spec.service !== null) return [random.chance(0.2) ? `${spec.service}:80` : spec.service]
  if (random.chance(0.01)) return []
  return [random.chance(0.03) ? random.pick(ODD_HOSTS) : random.pick(HOSTS)]
}

function targetOf(random: Random): string {
  if (random.chance(0.72)) return random.pick(TARGETS)
  if (random.chance(0.06))
    return random.pick([
      'http://e.com/a',
      'https://E.com:80/a?x=1',
      'http://e.com',
      '*',
      'a',
      'ftp://e.com/a',
      'http://u@e.com/a',
      '//a',
      '/a b',
      '/\xe9',
    ])
  return `/${Array.from({ length: 1 + random.int(7) }, () => random.pick(PIECES)).join('')}`
}

function forwarded(random: Random): Line[] {
  const chain = () =>
    Array.from({ length: 1 + random.int(3) }, () => random.pick(FORWARDED)).join(random.pick([', ', ',']))
  return Array.from({ length: random.chance(0.2) ? 2 : 1 }, () => ['x-forwarded-for', chain()] as const)
}

function bodyOf(random: Random, method: string): BodySpec {
  const likely = method === 'POST' || method === 'PUT' || method === 'PATCH'
  if (!random.chance(likely ? 0.7 : 0.05)) return { kind: 'none' }
  const text = random.pick(['', 'abc', '0123456789', '01234567890', 'x'.repeat(200), '{"a":1}', '\xff\xfe'])
  if (random.chance(0.6)) return { kind: 'length', text }
  const half = Math.floor(text.length / 2)
  const chunks = [text.slice(0, half), text.slice(half)].filter((chunk) => chunk !== '')
  return { kind: 'chunked', chunks }
}
