import type { Outcome } from './outcome.ts'
import type { Random } from './random.ts'
import { failedHttpCheck, type Row, rewritings } from './rewritings.ts'
import type { HttpSpec, Json, RequestSpec, Script, TokenSpec } from './spec.ts'

/** A difference from Envoy that a request is made to show, and what exactly both sides must do. */
export interface Listed {
  readonly row: Row
  readonly make: (random: Random) => RequestSpec
  readonly shows: (envoy: Outcome, ours: Outcome) => boolean
}

const plain: RequestSpec['source'] = { ip: '127.0.0.1', certificate: null, sni: '', alpn: [] }

const http: HttpSpec = {
  method: 'GET',
  target: '/a',
  version: 'HTTP/1.1',
  hosts: ['e.com'],
  headers: [],
  body: { kind: 'none' },
  raw: null,
}

interface Parts {
  readonly http?: Partial<HttpSpec>
  readonly source?: RequestSpec['source']
  readonly script?: Script
  readonly tokens?: readonly TokenSpec[]
}

function request(row: Row, parts: Parts): RequestSpec {
  return {
    source: parts.source ?? plain,
    port: 'main',
    http: { ...http, ...parts.http },
    tokens: parts.tokens ?? [],
    script: parts.script ?? allowing({}),
    listed: row,
  }
}

function allowing(okResponse: Json): Script {
  return { kind: 'grpc', delay: 0, answer: { kind: 'message', message: { status: { code: 0 }, okResponse } } }
}

function denying(deniedResponse: Json): Script {
  return { kind: 'grpc', delay: 0, answer: { kind: 'message', message: { status: { code: 7 }, deniedResponse } } }
}

const answered = (outcome: Outcome) => outcome.status !== null
const served = (outcome: Outcome) => outcome.decision === 'allow' && outcome.status === 200
const refused = (status: number) => (outcome: Outcome) => outcome.decision === 'deny' && outcome.status === status
const refusedByGrpc = (outcome: Outcome) => outcome.details === 'ext_authz_error' && outcome.grpc?.status === 7
const closed = (outcome: Outcome) => outcome.decision === 'deny' && outcome.status === null

/** The row whose requests Envoy serves, or answers as `theirs` says, and we answer as `mine` says. */
function listed(
  row: Row,
  theirs: (o: Outcome) => boolean,
  mine: (o: Outcome) => boolean,
  make: (random: Random) => Parts,
): Listed {
  return { row, make: (random) => request(row, make(random)), shows: (envoy, ours) => theirs(envoy) && mine(ours) }
}

/** Bytes of a head and what follows. */
function raw(...lines: readonly string[]): Parts {
  return { http: { raw: lines.join('\r\n') } }
}

function withCertificate(certificate: string): Parts {
  return { source: { ...plain, certificate, alpn: ['istio'] } }
}

const hasHeader = (name: string) => (outcome: Outcome) => outcome.wire?.headers.some(([one]) => one === name) === true
const received = (name: string) => (outcome: Outcome) =>
  outcome.wire?.received.some(({ headers }) => headers.some(([one]) => one === name)) === true

const LATER = 4_102_444_800

function bearer(token: Partial<TokenSpec>): Parts {
  const claims = `{"iss":"https://idp","sub":"u","exp":${LATER}}`
  const whole: TokenSpec = { key: 'ec', header: '{"alg":"ES256","kid":"ec"}', claims, damage: 'none', ...token }
  return { tokens: [whole], http: { headers: [['authorization', 'Bearer @token:0@']] } }
}

const header = (key: string, value: string): Json => ({ header: { key, value } })

/** The rows of docs/differences.md that one request shows. */
export const listedRequests: readonly Listed[] = [
  listed("a peer's certificate with several URI names", answered, closed, (random) =>
    withCertificate(
      `uri:${random.some(['spiffe://cluster.local/ns/a/sa/s', 'spiffe://other/ns/b/sa/t', 'spiffe://cluster.local/ns/b/sa/t'], 2, 2).join(',')}`,
    ),
  ),
  listed('a SPIFFE id of another shape than `ns/NAMESPACE/sa/ACCOUNT`', answered, closed, (random) =>
    withCertificate(`uri:spiffe://cluster.local/${random.pick(['workload/x', 'ns/a/sa/s/x', 'x', 'ns/a'])}`),
  ),
  listed(
    'two `Host` lines',
    (o) => answered(o) && o.status !== 400,
    refused(400),
    (random) => ({
      http: { hosts: ['e.com', random.pick(['e.com', 'x'])] },
    }),
  ),
  listed(
    'an obsolete line folding in a header',
    (o) => answered(o) && o.status !== 400,
    refused(400),
    () => raw('GET /a HTTP/1.1', 'Host: e.com', 'X-A: a', ' b', 'Connection: close', '', ''),
  ),
  listed(
    "a bare CR in a header's value, a bare LF as the end of a line",
    (o) => answered(o) && o.status !== 400,
    refused(400),
    (random) =>
      random.chance(0.5)
        ? raw('GET /a HTTP/1.1', 'Host: e.com', 'X-A: a\rb', 'Connection: close', '', '')
        : raw('GET /a HTTP/1.1', 'Host: e.com\nX-A: a', 'Connection: close', '', ''),
  ),
  listed(
    'user information or half a bracket in `Host`',
    (o) => answered(o) && o.status !== 400,
    refused(400),
    (random) => ({
      http: { hosts: [random.pick(['u@e.com', '[::1'])] },
    }),
  ),
  listed(
    "a space behind a chunk's size, `;;` in it, a lone LF in chunks, a tab in the request line",
    (o) => answered(o) && o.status !== 400,
    refused(400),
    (random) => {
      const post = ['POST /a HTTP/1.1', 'Host: e.com', 'Transfer-Encoding: chunked', 'Connection: close', '']
      return random.chance(0.5)
        ? raw(...post, '3 ', 'abc', '0', '', '')
        : raw('GET\t/a\tHTTP/1.1', 'Host: e.com', 'Connection: close', '', '')
    },
  ),
  listed('`Transfer-Encoding` twice, or `chunked, gzip`', refused(501), refused(400), (random) =>
    raw(
      ...['POST /a HTTP/1.1', 'Host: e.com', 'Connection: close'],
      random.pick(['Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked', 'Transfer-Encoding: chunked, gzip']),
      ...['', '0', '', ''],
    ),
  ),
  listed(
    '`Connection: forwarded` or `Connection: content-length`',
    (o) => answered(o) && o.status !== 400,
    refused(400),
    (random) => ({
      http: { headers: [['connection', random.pick(['forwarded', 'content-length'])]] },
    }),
  ),
  listed(
    'an unknown `Expect`',
    (o) => served(o) && received('expect')(o),
    (o) => served(o) && !received('expect')(o),
    () => ({
      http: { headers: [['expect', 'something']] },
    }),
  ),
  listed('`HTTP/1.2`', refused(426), refused(400), () =>
    raw('GET /a HTTP/1.2', 'Host: e.com', 'Connection: close', '', ''),
  ),
  listed(
    "CR, LF or NUL in a header of a provider's answer",
    (o) => o.status !== 500,
    refused(500),
    (random) => {
      const bad = header('x-a', random.pick(['a\r\nb: c', 'a\nb', 'a\u0000']))
      return { script: random.chance(0.5) ? allowing({ headers: [bad] }) : denying({ headers: [bad] }) }
    },
  ),
  listed(
    '`content-length`, `transfer-encoding`, `connection` and the like from a provider',
    (o) => refused(403)(o) && hasHeader('trailer')(o),
    (o) => refused(403)(o) && !hasHeader('trailer')(o),
    () => ({ script: denying({ headers: [header('trailer', 'x')] }) }),
  ),
  listed(
    'a denial with a status below 200 or above 599',
    (o) => o.decision === 'deny' && o.status !== 403,
    refused(403),
    () => ({
      script: denying({ status: { code: 700 } }),
    }),
  ),
  listed('a key and an algorithm of another type or curve', served, refused(401), () =>
    bearer({ key: 'curve', header: '{"alg":"ES256","kid":"curve"}' }),
  ),
  listed('RSA keys under 1024 or over 16384 bits', served, refused(401), () =>
    bearer({ key: 'small', header: '{"alg":"RS256","kid":"small"}' }),
  ),
  listed(
    'a token whose header or payload is not strict JSON (unquoted names, a trailing comma)',
    served,
    refused(401),
    (random) =>
      bearer({
        claims: random.pick([`{iss:"https://idp","exp":${LATER}}`, `{"iss":"https://idp","exp":${LATER},}`]),
      }),
  ),
  listed(
    'a claim with a line break or another control character, copied to a header',
    refused(503),
    (o) => served(o) && !received('x-claim')(o),
    () => bearer({ claims: `{"iss":"https://idp","c":"a\\r\\nb: c","exp":${LATER}}` }),
  ),
]

/** The one that needs an HTTP provider. */
export const listedAtHttp: readonly Listed[] = [
  listed(failedHttpCheck, served, refusedByGrpc, (random) => ({
    http: { method: 'POST', target: '/p.S/N', headers: [['content-type', 'application/grpc']] },
    script: { kind: 'http', delay: 0, answer: { kind: random.chance(0.96) ? 'close' : 'silence' } },
  })),
]

const byRow = new Map([...listedRequests, ...listedAtHttp].map((one) => [one.row, one]))

export function listedRow(row: Row): Listed {
  const found = byRow.get(row)
  if (found === undefined) throw new Error(`no listed difference ${row}`)
  return found
}

/** Every row that a run must meet. */
export const allRows: readonly Row[] = [
  ...new Set([...rewritings, ...listedRequests, ...listedAtHttp].map(({ row }) => row)),
]

/** A mesh in which each of `listedRequests` shows: a gRPC provider that is asked about everything, and keys that nobody should have. */
export const listedDocuments = documentsWith('GRPC', {
  name: 'ext',
  envoyExtAuthzGrpc: { service: 'some.authz', port: '@grpc-port@', timeout: '10s' },
})

/** The same for `listedAtHttp`. */
export const listedHttpDocuments = documentsWith('HTTP', {
  name: 'ext',
  envoyExtAuthzHttp: {
    ...{ service: 'some.authz', port: '@http-port@', timeout: '1s' },
    includeRequestHeadersInCheck: ['content-type'],
  },
})

function documentsWith(protocol: 'GRPC' | 'HTTP', provider: Json): readonly Json[] {
  const port = protocol === 'GRPC' ? '@grpc-port@' : '@http-port@'
  return [
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'web', namespace: 'foo' },
      spec: {
        selector: { matchLabels: { app: 'web' } },
        template: {
          metadata: { labels: { app: 'web' } },
          spec: { serviceAccountName: 'web', containers: [{ name: 'app', image: 'example/web:1' }] },
        },
      },
    },
    {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'istio', namespace: 'istio-system' },
      data: {
        mesh: {
          extensionProviders: [provider],
        },
      },
    },
    {
      apiVersion: 'networking.istio.io/v1',
      kind: 'ServiceEntry',
      metadata: { name: 'authz', namespace: 'foo' },
      spec: {
        hosts: ['some.authz'],
        ports: [{ number: port, name: protocol.toLowerCase(), protocol }],
        resolution: 'STATIC',
        endpoints: [{ address: '@self@' }],
      },
    },
    {
      apiVersion: 'security.istio.io/v1',
      kind: 'AuthorizationPolicy',
      metadata: { name: 'ask', namespace: 'foo' },
      spec: { action: 'CUSTOM', provider: { name: 'ext' }, rules: [{}] },
    },
    {
      apiVersion: 'security.istio.io/v1',
      kind: 'RequestAuthentication',
      metadata: { name: 'jwt', namespace: 'foo' },
      spec: {
        jwtRules: [
          {
            issuer: 'https://idp',
            jwks: '@jwks:odd@',
            outputClaimToHeaders: [{ header: 'x-claim', claim: 'c' }],
          },
        ],
      },
    },
  ]
}
