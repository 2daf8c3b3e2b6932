import assert from 'node:assert/strict'
import type { Server } from 'node:http'
import { after, before, describe, test } from 'node:test'
import type { Answer, Authorizer, AuthorizerRequest } from '#src/extauthz/index.ts'
import {
  allow,
  bearerToken,
  cookies,
  createAuthorizer,
  deny,
  error,
  redirect,
  unauthorized,
} from '#src/extauthz/index.ts'
import { check as ask, type CheckResult, type TestRequest } from '#src/testing/index.ts'
import { cluster, type Line, type RunningEnvoy, send, startApp, startEnvoy } from './envoy.ts'
import { peer } from './peers.ts'

const found = peer('envoy')
const binary = 'path' in found ? found.path : ''

/** What the provider's lists let through over HTTP; the same to Envoy and to the test kit. */
const upstreamHeaders = ['x-user', 'x-roles', 'x-absent', 'cookie']
const responseHeaders = ['x-up', 'x-new', 'set-cookie']
const exactly = (names: readonly string[]) => ({ patterns: names.map((exact) => ({ exact })) })

const extAuthz = 'type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz'
const grpcService = { grpc_service: { envoy_grpc: { cluster_name: 'authz' }, timeout: '2s' } }
const httpService = {
  http_service: {
    server_uri: { uri: 'http://authz', cluster: 'authz', timeout: '2s' },
    authorization_response: {
      allowed_upstream_headers: exactly(upstreamHeaders),
      allowed_client_headers_on_success: exactly(responseHeaders),
    },
  },
}

/** The filter, and behind it a header that tells of its metadata. */
function filters(service: object, open: boolean): object[] {
  const value = '%DYNAMIC_METADATA(envoy.filters.http.ext_authz:user:id)%'
  return [
    {
      name: 'envoy.filters.http.ext_authz',
      typed_config: {
        '@type': extAuthz,
        transport_api_version: 'V3',
        ...service,
        allowed_headers: { patterns: [{ safe_regex: { regex: '.*' } }] },
        failure_mode_allow: open,
        status_on_error: { code: 503 },
      },
    },
    {
      name: 'envoy.filters.http.header_mutation',
      typed_config: {
        '@type': 'type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation',
        mutations: { request_mutations: [{ append: { header: { key: 'x-metadata', value } } }] },
      },
    },
  ]
}

const request: TestRequest = {
  method: 'GET',
  path: '/a?z=1&%64ebug=1&tenant=x&%74enant=y',
  host: 'app.example',
  headers: { 'x-user': ['mallory', 'eve'], 'x-roles': 'a', cookie: 'b=1', 'x-other': ['1', '2'], 'x-empty': '' },
}

const changes = {
  headers: { 'x-user': 'zoë' },
  appendHeaders: { 'x-roles': 'b', 'x-absent': 'c', cookie: 'c=2' },
  removeHeaders: ['x-other'],
  responseHeaders: { 'x-up': 'ours', 'x-new': ['1', '2'], 'set-cookie': ['a=1', 'b=2'] },
}

const cases: [string, (request: AuthorizerRequest) => Answer, TestRequest][] = [
  ['nothing changed', () => allow(), request],
  ['headers of both ways', () => allow(changes), request],
  ['the query', () => allow({ query: { tenant: 'a b&c' }, removeQuery: ['debug'] }), request],
  ['metadata', () => allow({ metadata: { user: { id: 'u-7' } } }), request],
  ['another host', () => allow({ headers: { host: 'other.example' } }), request],
  ['text', () => deny({ body: 'später' }), request],
  ['JSON', () => deny({ status: 429, body: { error: 'slow down' } }), request],
  ['a challenge', () => unauthorized(['Basic realm="a"', 'Bearer']), request],
  ['a redirect', () => redirect('/login', { status: 303, headers: { 'set-cookie': ['a=1', 'b=2'] } }), request],
  ['a failure of the server in a denial', () => deny({ status: 503, body: 'no' }), request],
  ['no answer', () => error(), request],
  ['a line break', () => allow({ headers: { 'x-user': 'a\r\nx-admin: 1' } }), request],
  [
    'two tokens',
    (asked) => (bearerToken(asked) === null ? deny() : allow()),
    { ...request, headers: { authorization: ['Bearer a', 'Bearer b'] } },
  ],
  [
    'two lines of cookies',
    (asked) => (cookies(asked).has('b') ? allow() : deny()),
    { ...request, headers: { cookie: ['a=1', 'b=2'] } },
  ],
]

/** What does not come from the answer: framing, and what a proxy tells of itself. */
const ownHeaders =
  /^(?:host|content-length|connection|transfer-encoding|date|server|x-envoy-.*|x-request-id|x-forwarded-proto)$/

function sorted(lines: readonly (readonly [string, string])[]): string[] {
  const own = lines.filter(([name]) => !ownHeaders.test(name) && name !== 'x-metadata')
  return own.map(([name, value]) => `${name}: ${value}`).sort()
}

interface Told {
  readonly status: number
  readonly body: string
  readonly headers: readonly string[]
  readonly upstream: { readonly target: string; readonly headers: readonly string[] } | null
  readonly metadata: string
}

function fromKit(result: CheckResult): Told {
  const { upstream, metadata } = result
  const user = metadata.user as { readonly id?: string } | undefined
  return {
    status: result.status,
    body: result.body,
    headers: sorted(result.headerLines),
    upstream: upstream && {
      target: `${upstream.method} ${upstream.host} ${upstream.path}`,
      headers: sorted(upstream.headerLines),
    },
    metadata: user?.id ?? '',
  }
}

const utf8 = (text: string) => Buffer.from(text, 'latin1').toString('utf8')

describe('the test kit says what real Envoy does', { skip: 'skip' in found ? found.skip : false }, () => {
  let app: Server
  let authorizer: Authorizer
  const envoys = new Map<string, RunningEnvoy>()
  let check: (request: AuthorizerRequest) => Answer

  before(async () => {
    const upstream = await startApp((incoming, response) => {
      const { method, url, headers, rawHeaders } = incoming
      response.writeHead(200, ['x-up', '1'])
      response.end(JSON.stringify({ target: `${method} ${headers.host} ${url}`, rawHeaders }), 'latin1')
    })
    app = upstream.server
    const silent = { level: 'error', debug() {}, info() {}, warn() {}, error() {} } as const
    authorizer = createAuthorizer({ logger: silent, check: (asked) => check(asked) })
    const { grpc, http } = await authorizer.listen({ grpc: '127.0.0.1:0', http: '127.0.0.1:0' })
    assert(grpc && http)
    const forms = [
      ['grpc', grpcService, cluster('authz', grpc.port, true)],
      ['http', httpService, cluster('authz', http.port)],
    ] as const
    for (const [form, service, authz] of forms) {
      for (const open of [false, true]) {
        const clusters = [cluster('app', upstream.port), authz]
        envoys.set(`${form} ${open}`, await startEnvoy(binary, filters(service, open), clusters))
      }
    }
  })

  after(async () => {
    for (const envoy of envoys.values()) await envoy.stop()
    await authorizer?.close()
    app?.closeAllConnections()
    app?.close()
  })

  async function fromEnvoy(port: number, { path = '', host = '', headers = {} }: TestRequest): Promise<Told> {
    const lines = Object.entries(headers).flatMap(([name, value]) =>
      (typeof value === 'string' ? [value] : value).map((one): Line => [name, one]),
    )
    const reply = await send(port, path, [['host', host], ...lines])
    const replied = sorted(reply.lines.map(([name, value]): Line => [name, utf8(value)]))
    if (reply.status !== 200)
      return { status: reply.status, body: utf8(reply.body), headers: replied, upstream: null, metadata: '' }
    const { target, rawHeaders } = JSON.parse(reply.body) as { target: string; rawHeaders: string[] }
    const seen: Line[] = []
    for (let i = 0; i + 1 < rawHeaders.length; i += 2) seen.push([rawHeaders[i] ?? '', utf8(rawHeaders[i + 1] ?? '')])
    const metadata = seen.find(([name]) => name === 'x-metadata')?.[1] ?? ''
    return { status: 200, body: '', headers: replied, upstream: { target, headers: sorted(seen) }, metadata }
  }

  for (const form of ['grpc', 'http'] as const) {
    for (const open of [false, true]) {
      for (const [what, answer, asking] of cases) {
        test(`${what} (${form}${open ? ', fail open' : ''})`, async () => {
          check = answer
          const envoy = envoys.get(`${form} ${open}`)
          assert(envoy)
          const http = { headersToUpstreamOnAllow: upstreamHeaders, headersToDownstreamOnAllow: responseHeaders }
          const caller = { form, failOpen: open, statusOnError: 503, responseHeaders: { 'x-up': '1' }, http }
          assert.deepEqual(fromKit(await ask(authorizer, asking, caller)), await fromEnvoy(envoy.port, asking))
        })
      }
    }
  }
})
