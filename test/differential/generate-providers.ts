import type { Random } from './random.ts'
import type { GrpcAnswer, HttpAnswer, Json, Line, Script } from './spec.ts'

/** A provider of the mesh configuration, and what the requests to it need to know. */
export interface GeneratedProvider {
  readonly kind: 'grpc' | 'http'
  readonly name: string
  readonly patient: boolean
  readonly config: Json
}

/** How long providers wait, in milliseconds: only those with a short patience meet silence. */
const SHORT = 1000
const LONG = 12_000

export function generateProvider(random: Random, name: string): GeneratedProvider {
  const kind = random.chance(0.5) ? 'grpc' : 'http'
  const patient = random.chance(0.85)
  const unreachable = random.chance(0.06)
  const port = unreachable ? '@closed-port@' : `@${kind}-port@`
  const common = {
    service: random.pick([`${kind}.authz`, `foo/${kind}.authz`]),
    port,
    timeout: `${(patient ? LONG : SHORT) / 1000}s`,
    ...(random.chance(0.25) ? { failOpen: true } : {}),
    ...(random.chance(0.25) ? { statusOnError: random.pick(['503', '500', '429', '403']) } : {}),
    ...(random.chance(0.35) ? { includeRequestBodyInCheck: bodyLimit(random) } : {}),
  }
  const fields = kind === 'grpc' ? common : { ...common, ...httpFields(random) }
  return {
    kind,
    name,
    patient,
    config: { name, [kind === 'grpc' ? 'envoyExtAuthzGrpc' : 'envoyExtAuthzHttp']: fields },
  }
}

function bodyLimit(random: Random): Json {
  return {
    maxRequestBytes: random.pick([4, 10, 100]),
    ...(random.chance(0.6) ? { allowPartialMessage: true } : {}),
    ...(random.chance(0.4) ? { packAsBytes: true } : {}),
  }
}

const LISTS = [
  'x-user',
  'x-*',
  '*-role',
  'X-User',
  'set-cookie',
  'content-type',
  'location',
  'x-dup',
  'authorization',
  'cookie',
]

function httpFields(random: Random): { readonly [name: string]: Json } {
  const list = () => random.some(LISTS, 1, 3)
  return {
    ...(random.chance(0.4) ? { pathPrefix: random.pick(['/check', '/check/', '/a?b=']) } : {}),
    ...(random.chance(0.6) ? { includeRequestHeadersInCheck: list() } : {}),
    ...(random.chance(0.15) ? { includeHeadersInCheck: list() } : {}),
    ...(random.chance(0.3) ? { includeAdditionalHeadersInCheck: { 'x-extra': 'e', 'x-user': 'override' } } : {}),
    ...(random.chance(0.6) ? { headersToUpstreamOnAllow: list() } : {}),
    ...(random.chance(0.4) ? { headersToDownstreamOnAllow: list() } : {}),
    ...(random.chance(0.5) ? { headersToDownstreamOnDeny: list() } : {}),
  }
}

export function generateScript(random: Random, { kind, patient }: GeneratedProvider): Script {
  const delay = random.chance(0.03) ? 20 : 0
  return kind === 'grpc'
    ? { kind, delay, answer: grpcAnswer(random, patient) }
    : { kind, delay, answer: httpAnswer(random, patient) }
}

function grpcAnswer(random: Random, patient: boolean): GrpcAnswer {
  return random.weighted<GrpcAnswer>([
    [10, () => ({ kind: 'message', message: { status: { code: 0 }, okResponse: okResponse(random) } })],
    [1, () => ({ kind: 'message', message: {} })],
    [1, () => ({ kind: 'message', message: { deniedResponse: deniedResponse(random) } })],
    [
      7,
      () => ({
        kind: 'message',
        message: { status: { code: random.pick([7, 16, 5]) }, deniedResponse: deniedResponse(random) },
      }),
    ],
    [2, () => ({ kind: 'message', message: { status: { code: 7 } } })],
    [1, () => ({ kind: 'message', message: { status: { code: 7 }, okResponse: okResponse(random) } })],
    [1, () => ({ kind: 'message', message: { status: { code: 13 }, errorResponse: deniedResponse(random) } })],
    [1.5, () => ({ kind: 'status', code: random.pick([7, 14, 16, 2]) })],
    [0.7, () => ({ kind: 'garbage' })],
    [0.7, () => ({ kind: 'close' })],
    [patient ? 0 : 1, () => ({ kind: 'silence' })],
  ])
}

const SET_NAMES = [
  'x-user',
  'x-role',
  'x-a',
  'accept',
  'cookie',
  'authorization',
  'user-agent',
  'x-forwarded-for',
  'x-b',
]

function option(random: Random, name: string): Json {
  return {
    header: { key: name, value: random.pick(['v', 'w', 'admin', '', 'v,w', 'a b']) },
    ...(random.chance(0.5) ? { append: random.chance(0.5) } : {}),
    ...(random.chance(0.15)
      ? { appendAction: random.pick(['ADD_IF_ABSENT', 'OVERWRITE_IF_EXISTS_OR_ADD', 'OVERWRITE_IF_EXISTS']) }
      : {}),
  }
}

function rewriteOption(random: Random): Json {
  const [key, value] = random.pick([
    [':path', '/a'],
    [':path', '/admin?k=1'],
    [':method', 'PUT'],
    [':authority', 'e.com'],
    ['host', 'a.e.com:80'],
  ] as const)
  return { header: { key, value }, append: false }
}

function okResponse(random: Random): Json {
  const some = (chance: number, field: string, make: () => Json) => (random.chance(chance) ? { [field]: make() } : {})
  const options = (names: readonly string[]) =>
    Array.from({ length: 1 + random.int(3) }, () => option(random, random.pick(names)))
  return {
    ...some(0.6, 'headers', () => options(SET_NAMES)),
    ...some(0.08, 'headers', () => [rewriteOption(random)]),
    ...some(0.3, 'headersToRemove', () => random.some(['x-a', 'x-role', 'cookie', 'accept', 'host', 'x-none'], 1, 2)),
    ...some(0.3, 'responseHeadersToAdd', () => options(['x-up', 'x-answer', 'set-cookie', 'content-type'])),
    ...some(0.1, 'queryParametersToSet', () => [
      { key: random.pick(['x', 'k']), value: random.pick(['1', 'v%20w', '']) },
    ]),
    ...some(0.1, 'queryParametersToRemove', () => random.some(['x', 'y', 'access_token'], 1, 2)),
  }
}

function deniedResponse(random: Random): Json {
  return {
    ...(random.chance(0.8)
      ? {
          status: {
            code: random.pick([
              'Unauthorized',
              'Forbidden',
              'Found',
              'NotFound',
              'OK',
              'TooManyRequests',
              'ServiceUnavailable',
            ]),
          },
        }
      : {}),
    ...(random.chance(0.5) ? { body: random.pick(['no', '{"error":"no"}', 'a b%c']) } : {}),
    ...(random.chance(0.5)
      ? {
          headers: Array.from({ length: 1 + random.int(2) }, () =>
            option(random, random.pick(['x-why', 'set-cookie', 'content-type', 'location', 'www-authenticate'])),
          ),
        }
      : {}),
  }
}

function httpAnswer(random: Random, patient: boolean): HttpAnswer {
  const status = random.weighted<number | null>([
    [10, () => 200],
    [6, () => random.pick([401, 403, 302, 404, 429])],
    [1, () => random.pick([201, 204, 206])],
    [1.5, () => random.pick([500, 503])],
    [1, () => null],
  ])
  if (status === null) return patient || random.chance(0.5) ? { kind: 'close' } : { kind: 'silence' }
  const headers: Line[] = Array.from({ length: random.int(4) }, () => [
    random.pick(['x-user', 'X-Role', 'set-cookie', 'content-type', 'location', 'x-dup', 'x-dup', 'authorization']),
    random.pick(['v', 'w', 'admin', 'application/json']),
  ])
  if (random.chance(0.05)) headers.push(['x-envoy-auth-headers-to-remove', 'x-a, cookie'])
  return { kind: 'answer', status, headers, body: random.chance(0.5) ? random.pick(['no', '{"error":"no"}']) : '' }
}
