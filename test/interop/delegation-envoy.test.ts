import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { type Answer, type AuthorizerRequest, allow, deny } from '#src/extauthz/index.ts'
import {
  delegation,
  meshOf,
  startProvider,
  startSidecar,
  TestIssuer,
  type TestProvider,
} from '#src/proxy/delegation.test.fixture.ts'
import { echo } from '#src/proxy/support.test.fixture.ts'
import { cluster, type Line, type RunningEnvoy, send, startApp, startEnvoy } from './envoy.ts'
import { peer } from './peers.ts'

const found = peer('envoy')
const TYPE = 'type.googleapis.com/envoy.extensions.filters.http'
const JWT = 'envoy.filters.http.jwt_authn'
const issuer = new TestIssuer()

/** Envoy's own way to verify tokens and ask two authorizers behind that, with the claims. */
const filters = [
  {
    name: JWT,
    typed_config: {
      '@type': `${TYPE}.jwt_authn.v3.JwtAuthentication`,
      providers: {
        one: {
          issuer: 'https://issuer.test',
          local_jwks: { inline_string: issuer.jwks },
          payload_in_metadata: 'payload',
        },
      },
      rules: [
        {
          match: { prefix: '/' },
          requires: { requires_any: { requirements: [{ provider_name: 'one' }, { allow_missing: {} }] } },
        },
      ],
    },
  },
  ...['first', 'second'].map((name) => ({
    name: `check-${name}`,
    typed_config: {
      '@type': `${TYPE}.ext_authz.v3.ExtAuthz`,
      transport_api_version: 'V3',
      grpc_service: { envoy_grpc: { cluster_name: name }, timeout: '2s' },
      metadata_context_namespaces: [JWT],
    },
  })),
]

type Decide = TestProvider['decide']

/** What a provider says and what it saw, with what becomes of the request. */
const rows: readonly { readonly title: string; readonly first: Decide; readonly second: Decide }[] = [
  { title: 'both allow', first: () => allow(), second: () => allow() },
  {
    title: 'the second sees what the first has set',
    first: () => allow({ headers: { 'x-user': 'first' }, removeHeaders: ['x-gone'] }),
    second: ({ headers }) => allow({ headers: { 'x-saw': `${headers['x-user']} ${headers['x-gone']}` } }),
  },
  {
    title: 'both set headers of request and answer',
    first: () =>
      allow({ headers: { 'x-user': 'first' }, responseHeaders: { 'x-answer': 'first', 'x-more': ['first'] } }),
    second: () =>
      allow({ headers: { 'x-user': 'second' }, responseHeaders: { 'x-answer': 'second', 'x-more': ['second'] } }),
  },
  { title: 'the first denies', first: () => deny({ status: 401, body: 'no' }), second: () => allow() },
  {
    title: 'the second denies behind changes of the first',
    first: () => allow({ responseHeaders: { 'x-answer': 'first' } }),
    second: () => deny({ status: 429, headers: { 'x-why': 'slow' }, body: 'slow' }),
  },
  {
    title: 'both read the claims',
    first: (request) => (claimsOf(request)?.groups?.[1] === 'b' ? allow() : deny()),
    second: (request) => allow({ headers: { 'x-user': claimsOf(request)?.sub ?? 'nobody' } }),
  },
]

function claimsOf({
  attributes,
}: AuthorizerRequest): { readonly sub?: string; readonly groups?: string[] } | undefined {
  const { filterMetadata } = (attributes.metadataContext ?? {}) as {
    filterMetadata?: Record<string, { payload: object }>
  }
  return filterMetadata?.[JWT]?.payload
}

describe('a Delegation in order, beside Envoy with a filter for each provider', {
  skip: 'skip' in found && found.skip,
}, () => {
  const ends: (() => unknown)[] = []
  /** What the providers need of a test. */
  const context = { after: (end: () => unknown) => ends.push(end) } as never
  let envoy: RunningEnvoy
  let ours = 0
  let first: TestProvider
  let second: TestProvider

  before(async () => {
    if ('skip' in found) return
    first = await startProvider(context, 'first', () => allow())
    second = await startProvider(context, 'second', () => allow())
    const app = await startApp(echo)
    ends.push(() => app.server.close())
    envoy = await startEnvoy(found.path, filters, [
      cluster('first', first.port, true),
      cluster('second', second.port, true),
      cluster('app', app.port),
    ])
    const sees = 'sees: { source: [ip], headers: ["*"], queryParameters: ["*"], claims: ["*"] }'
    const spec = `providers: [{ name: first, ${sees} }, { name: second, ${sees} }]`
    const text = meshOf([first, second]) + issuer.requestAuthentication + delegation(spec)
    ours = (await startSidecar(context, text, app.port)).port
  })
  after(async () => {
    await envoy?.stop()
    for (const end of ends.reverse()) await end()
  })

  /** What the client got, what reached the application, and what each provider was told of the token. */
  async function outcome(port: number, token: boolean) {
    const calls: (readonly [string, unknown])[] = []
    const listen = (provider: TestProvider) => {
      const { decide } = provider
      provider.decide = (request): Answer | Promise<Answer> => {
        calls.push([provider.name, claimsOf(request) ?? null])
        return decide(request)
      }
      return () => {
        provider.decide = decide
      }
    }
    const undo = [first, second].map(listen)
    const headers: Line[] = [
      ['host', 'web.test'],
      ['x-user', 'client'],
      ['x-gone', '1'],
      ...(token
        ? [['authorization', issuer.bearer({ sub: 'ann', groups: ['a', 'b'], exp: 4_000_000_000 })] as Line]
        : []),
    ]
    const { status, body, lines } = await send(port, '/a?b=c', headers)
    for (const one of undo) one()
    const application = status === 200 ? (JSON.parse(body) as { rawHeaders: string[]; url: string }) : null
    const own = (name: string) => name.startsWith('x-') && !/^x-(envoy|request-id|forwarded)/.test(name)
    const reached = application?.rawHeaders.flatMap((name, i, all) =>
      i % 2 === 0 && own(name.toLowerCase()) ? [`${name.toLowerCase()}: ${all[i + 1]}`] : [],
    )
    return {
      status,
      body: application === null ? body : application.url,
      // Which name stands before which tells nothing (RFC 9110, section 5.3).
      answer: lines
        .filter(([name]) => own(name))
        .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
        .map(([name, value]) => `${name}: ${value}`),
      reached: reached?.sort(),
      calls,
    }
  }

  for (const { title, first: one, second: two } of rows) {
    test(title, async () => {
      first.decide = one
      second.decide = two
      for (const token of [true, false]) {
        const theirs = await outcome(envoy.port, token)
        assert.deepEqual(await outcome(ours, token), theirs)
      }
    })
  }
})
