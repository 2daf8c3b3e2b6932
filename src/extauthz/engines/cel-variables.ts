import type { CelInput } from '@bufbuild/cel'
import { timestampFromMs } from '@bufbuild/protobuf/wkt'
import type { Claims } from '../../policy/facts.ts'
import type { Json } from '../../source/document.ts'
import type { AuthorizerConnection, AuthorizerPeer, AuthorizerRequest } from '../server/request.ts'
import { sniOf } from './request-facts.ts'
import type { SeenRequest } from './seen-request.ts'
import { principalOf } from './token-principal.ts'

/** The fields of each variable, by Envoy's names; null: any. */
export const VARIABLES: Readonly<Record<string, readonly string[] | null>> = {
  request: [
    ...['path', 'url_path', 'host', 'scheme', 'method', 'headers', 'referer', 'useragent', 'time', 'id', 'protocol'],
    ...['query', 'size', 'parameters', 'body', 'auth'],
  ],
  source: ['address', 'ip', 'port', 'principal'],
  destination: ['address', 'ip', 'port', 'principal'],
  connection: ['mtls', 'requested_server_name', 'uri_san_peer_certificate', 'uri_san_local_certificate'],
  metadata: ['filter_metadata'],
  attributes: null,
}

/** Variables that an expression looks at, with their fields; `all` where the whole of one is meant. */
export type Uses = ReadonlyMap<string, ReadonlySet<string> | 'all'>

type Values = Record<string, CelInput>

/** What a request lacks is absent: looking at it is an error, which refuses, unless `has` asks first. */
export function requestVariables(seen: SeenRequest, uses: Uses): Values {
  const { request } = seen
  return {
    ...connectionVariables(request, () => sniOf(request.attributes), uses),
    request: fieldsOf(uses.get('request'), VARIABLES.request ?? [], (name) => requestField(seen, name)),
  }
}

export function tcpVariables(connection: AuthorizerConnection, uses: Uses): Values {
  return { ...connectionVariables(connection, () => connection.sni, uses), request: new Map() }
}

function connectionVariables(asked: AuthorizerRequest | AuthorizerConnection, sni: () => string, uses: Uses): Values {
  const { source, destination } = asked
  return {
    source: fieldsOf(uses.get('source'), VARIABLES.source ?? [], (name) => peerField(source, name)),
    destination: fieldsOf(uses.get('destination'), VARIABLES.destination ?? [], (name) => peerField(destination, name)),
    connection: fieldsOf(uses.get('connection'), VARIABLES.connection ?? [], (name) => {
      switch (name) {
        case 'mtls':
          return source.principal !== ''
        case 'requested_server_name':
          return text(sni())
        case 'uri_san_peer_certificate':
          return uri(source.principal)
        case 'uri_san_local_certificate':
          return uri(destination.principal)
        default:
          return undefined
      }
    }),
    metadata: fieldsOf(uses.get('metadata'), VARIABLES.metadata ?? [], () => {
      const context = asked.attributes.metadataContext as { readonly filterMetadata?: Json } | undefined
      return celOf(context?.filterMetadata ?? {})
    }),
    attributes: uses.has('attributes') ? celOf(asked.attributes as Json) : new Map(),
  }
}

function fieldsOf(
  used: ReadonlySet<string> | 'all' | undefined,
  all: readonly string[],
  read: (name: string) => CelInput | undefined,
): CelInput {
  const fields = new Map<string, CelInput>()
  for (const name of used === 'all' ? all : (used ?? [])) {
    const value = read(name)
    if (value !== undefined) fields.set(name, value)
  }
  return fields
}

function requestField({ request, path, headers, claims }: SeenRequest, name: string): CelInput | undefined {
  const query = path.indexOf('?')
  switch (name) {
    case 'path':
      return path
    case 'url_path':
      return query === -1 ? path : path.slice(0, query)
    case 'query':
      return query === -1 ? '' : path.slice(query + 1)
    case 'parameters':
      return parametersOf(query === -1 ? '' : path.slice(query + 1))
    case 'host':
      return request.host
    case 'scheme':
      return text(request.scheme)
    case 'method':
      return request.method
    case 'headers':
      return new Map([...headers, ...pseudoHeaders(request, path)])
    case 'referer':
      return headers.get('referer')
    case 'useragent':
      return headers.get('user-agent')
    case 'id':
      return headers.get('x-request-id')
    case 'time':
      return request.time === 0 ? undefined : timestampFromMs(request.time)
    case 'protocol':
      return text(request.protocol)
    case 'size':
      return BigInt(request.body.bytes.length)
    case 'body':
      return request.body.text()
    case 'auth':
      return authOf(claims)
    default:
      return undefined
  }
}

function pseudoHeaders(request: AuthorizerRequest, path: string): readonly (readonly [string, string])[] {
  return [
    [':authority', request.host],
    [':method', request.method],
    [':path', path],
    [':scheme', request.scheme],
  ]
}

/** Each with all of its values, so that a repeated one cannot pass for its first or last. */
function parametersOf(query: string): CelInput {
  const parameters = new Map<string, string[]>()
  for (const [name, value] of new URLSearchParams(query)) {
    const known = parameters.get(name)
    if (known === undefined) parameters.set(name, [value])
    else known.push(value)
  }
  return parameters
}

function authOf(claims: Claims | null): CelInput {
  if (claims === null) return new Map()
  const { principal, audiences, presenter } = principalOf(claims)
  const auth = new Map<string, CelInput>([
    ['audiences', [...audiences]],
    ['claims', celOf(claims)],
  ])
  if (principal !== undefined) auth.set('principal', principal)
  if (presenter !== undefined) auth.set('presenter', presenter)
  return auth
}

/** JSON whatever its prototypes; numbers are doubles, which compare with integers. */
function celOf(json: Json): CelInput {
  if (typeof json !== 'object' || json === null) return json
  if (Array.isArray(json)) return (json as readonly Json[]).map(celOf)
  return new Map(Object.entries(json).map(([name, value]) => [name, celOf(value)]))
}

function peerField({ ip, port, principal }: AuthorizerPeer, name: string): CelInput | undefined {
  switch (name) {
    case 'address':
      return ip === '' ? undefined : `${ip.includes(':') ? `[${ip}]` : ip}:${port}`
    case 'ip':
      return text(ip)
    case 'port':
      return ip === '' ? undefined : BigInt(port)
    case 'principal':
      return text(principal)
    default:
      return undefined
  }
}

function uri(principal: string): string | undefined {
  return principal.includes('://') ? principal : undefined
}

function text(value: string): string | undefined {
  return value === '' ? undefined : value
}
