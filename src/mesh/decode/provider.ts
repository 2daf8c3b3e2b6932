import type { Json } from '../../source/document.ts'
import type { Provider, RequestBodyLimit } from '../provider.ts'
import type { Cursor } from './cursor.ts'
import { anything, boolean, list, map, mapping, string, strings, uint32 } from './decoder.ts'
import { duration } from './duration.ts'
import { optional, record } from './record.ts'

/** Istio's default for asking a provider: ten minutes. */
const DEFAULT_TIMEOUT = 600_000
const DEFAULT_STATUS_ON_ERROR = 403

const protoNames = { protoNames: true }

const requestBody = map(
  record(
    {
      maxRequestBytes: optional(uint32, 0),
      allowPartialMessage: optional(boolean, false),
      packAsBytes: optional(boolean, false),
    },
    protoNames,
  ),
  (value): RequestBodyLimit => value,
)

const statusOnError = map(string, (text, at): number | undefined => {
  if (text === '') return DEFAULT_STATUS_ON_ERROR
  if (/^[0-9]{1,9}$/.test(text)) return Number(text)
  at.report('SP106', `\`${text}\` is not an HTTP status`, { help: 'write the status as text: `"503"`' })
  return undefined
})

const common = {
  service: optional(string, ''),
  port: optional(uint32, 0),
  timeout: optional(duration, DEFAULT_TIMEOUT),
  failOpen: optional(boolean, false),
  // Istio does not compile it, so it has no effect.
  clearRouteCache: optional(boolean, false),
  statusOnError: optional(statusOnError, DEFAULT_STATUS_ON_ERROR),
  includeRequestBodyInCheck: optional(requestBody, null),
}

const grpc = record(common, protoNames)

const headers = optional(strings, [])

const http = record(
  {
    ...common,
    pathPrefix: optional(string, ''),
    includeHeadersInCheck: headers,
    includeRequestHeadersInCheck: headers,
    includeAdditionalHeadersInCheck: optional(mapping(string), {}),
    headersToUpstreamOnAllow: headers,
    headersToDownstreamOnAllow: headers,
    headersToDownstreamOnDeny: headers,
  },
  protoNames,
)

/** The kinds of provider that Istio has for other purposes than authorization. */
export const otherProviderKinds = [
  'zipkin',
  'lightstep',
  'datadog',
  'stackdriver',
  'opencensus',
  'skywalking',
  'opentelemetry',
  'prometheus',
  'envoyFileAccessLog',
  'envoyHttpAls',
  'envoyTcpAls',
  'envoyOtelAls',
  'sds',
] as const

const others = Object.fromEntries(otherProviderKinds.map((kind) => [kind, optional(anything, null)])) as Record<
  (typeof otherProviderKinds)[number],
  ReturnType<typeof optional<Json, null>>
>

export type DecodedProvider = Provider | { readonly kind: 'other'; readonly name: string }

const extensionProvider = map(
  record(
    {
      name: optional(string, ''),
      envoyExtAuthzGrpc: optional(grpc, null),
      envoyExtAuthzHttp: optional(http, null),
      ...others,
    },
    { protoNames: true, hint: providerHint },
  ),
  (value, at): DecodedProvider | undefined => {
    if (value.name === '') at.report('SP105', '`name` is required', { help: 'write `name`' })
    const written = ['envoyExtAuthzGrpc', 'envoyExtAuthzHttp', ...otherProviderKinds].filter((kind) =>
      hasKind(at, kind),
    )
    if (written.length > 1) {
      const kinds = written.map((kind) => `\`${kind}\``).join(' and ')
      at.report('SP106', `a provider has one kind, not ${kinds}`, { help: 'declare each as a provider of its own' })
      return undefined
    }
    if (written.length === 0) {
      // Another field than the name is an unknown kind, which has been reported.
      if (Object.keys(at.value as object).some((field) => field !== 'name')) return undefined
      const help = 'an authorization service is declared with `envoyExtAuthzGrpc` or `envoyExtAuthzHttp`'
      at.report('SP105', 'the provider has no kind', { help })
      return undefined
    }
    const { name } = value
    if (value.envoyExtAuthzGrpc !== null) return { kind: 'grpc', name, ...base(value.envoyExtAuthzGrpc) }
    if (value.envoyExtAuthzHttp === null) return { kind: 'other', name }
    const http = value.envoyExtAuthzHttp
    return {
      kind: 'http',
      name,
      ...base(http),
      pathPrefix: http.pathPrefix,
      // The deprecated list counts only where the other is empty.
      includeRequestHeaders:
        http.includeRequestHeadersInCheck.length > 0 ? http.includeRequestHeadersInCheck : http.includeHeadersInCheck,
      includeAdditionalHeaders: Object.entries(http.includeAdditionalHeadersInCheck).sort(([a], [b]) =>
        a < b ? -1 : 1,
      ),
      headersToUpstreamOnAllow: http.headersToUpstreamOnAllow,
      headersToDownstreamOnAllow: http.headersToDownstreamOnAllow,
      headersToDownstreamOnDeny: http.headersToDownstreamOnDeny,
    }
  },
)

function base(value: NonNullable<ReturnType<typeof grpc.decode>>) {
  const { service, port, timeout, failOpen, statusOnError, includeRequestBodyInCheck } = value
  return { service, port, timeout, failOpen, statusOnError, includeRequestBody: includeRequestBodyInCheck }
}

function hasKind(at: Cursor, kind: string): boolean {
  const value = at.value as { readonly [key: string]: Json }
  const protoName = kind.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
  return [kind, protoName].some((name) => Object.hasOwn(value, name) && value[name] !== null)
}

function providerHint(): string {
  return 'a provider has a `name` and one kind: `envoyExtAuthzGrpc` or `envoyExtAuthzHttp` for an authorization service'
}

/** Names are unique; a second provider of a name is refused. */
export const extensionProviders = map(list(extensionProvider), (providers, at) => {
  const seen = new Set<string>()
  return providers.filter((provider, index) => {
    if (!seen.has(provider.name)) return seen.add(provider.name)
    at.child(index, null).report('SP106', `there is another provider of the name \`${provider.name}\``, {
      help: 'give it a name of its own',
    })
    return false
  })
})
