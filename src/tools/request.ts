import { HeaderMap } from '../match/header-map.ts'
import type { IpAddress } from '../match/ip.ts'
import type { Claims } from '../policy/facts.ts'
import { unlogged } from './logged-request.ts'
import {
  bytes,
  type Fields,
  fail,
  headerLines,
  integer,
  ip,
  known,
  object,
  oneOf,
  string,
  TOKEN,
  UnreadableField,
} from './request-fields.ts'

/** One request or connection to decide about, with every default filled in. */
export interface TestRequest {
  /** As it was given; null when it was not. */
  readonly id: string | number | null
  readonly source: {
    /** SPIFFE id with its scheme; empty without mTLS. */
    readonly peer: string
    readonly ip: IpAddress
    readonly ipText: string
  }
  readonly destination: {
    readonly ip: IpAddress
    readonly ipText: string
    /** Null: as the command says. */
    readonly port: number | null
    readonly sni: string
  }
  /** Null for a TCP connection. */
  readonly http: TestHttpRequest | null
  readonly providers: ReadonlyMap<string, ProviderAnswer>
  /** What whoever reads the decision should know about how the request was read. */
  readonly notes: readonly string[]
}

export interface TestHttpRequest {
  readonly method: string
  readonly path: string
  /** Null: NAME.NAMESPACE of the workload. */
  readonly host: string | null
  readonly scheme: 'http' | 'https'
  readonly protocol: Protocol
  readonly headers: HeaderMap
  readonly body: string | null
  readonly remoteIp: IpAddress | null
  /** Replaces the token. */
  readonly claims: Claims | null
}

const PROTOCOLS = ['HTTP/1.1', 'HTTP/1.0', 'HTTP/2', 'HTTP/3'] as const

export type Protocol = (typeof PROTOCOLS)[number]

/** What a provider would say, given in the request instead of asking it. */
export type ProviderAnswer =
  | {
      readonly kind: 'answer'
      readonly allow: boolean
      readonly status: number
      readonly headers: readonly (readonly [string, string])[]
      readonly body: string
    }
  | { readonly kind: 'error'; readonly error: 'timeout' | 'unavailable' }

/** Why a request cannot be read. */
export interface RequestProblem {
  /** `no_port`: neither the request nor the workload says which port is meant. */
  readonly code: 'bad_json' | 'bad_request' | 'no_port'
  readonly message: string
}

/**
 * Reads the request format of the command line, in which every field has a default and an unknown one is an error. Also
 * reads a line of the decision log, which holds the same object under `request`.
 */
export function parseRequest(text: string): TestRequest | RequestProblem {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    return { code: 'bad_json', message: jsonFault(text, error) }
  }
  return decodeRequest(value)
}

export function decodeRequest(value: unknown): TestRequest | RequestProblem {
  try {
    return decode(value)
  } catch (error) {
    if (error instanceof UnreadableField) return { code: 'bad_request', message: error.message }
    throw error
  }
}

export function isProblem(result: object): result is RequestProblem {
  return 'code' in result
}

/** The engine's own message quotes the text, which may hold a token. */
function jsonFault(text: string, error: unknown): string {
  if (text.trim() === '') return 'there is no text where a JSON object is expected'
  const message = error instanceof Error ? error.message : ''
  const position = /at position (\d+)/.exec(message)
  if (position !== null) return `not valid JSON at column ${Number(position[1]) + 1}`
  const token = /^Unexpected token '(.)'/su.exec(message)
  if (token !== null) return `not valid JSON: unexpected ${JSON.stringify(token[1])}`
  return /end of JSON/.test(message) ? 'not valid JSON: it ends too early' : 'not valid JSON'
}

const FIELDS = [
  ...['id', 'source', 'destination', 'method', 'path', 'host', 'scheme', 'protocol', 'headers', 'body'],
  ...['remoteIp', 'claims', 'providers'],
]

function decode(value: unknown): TestRequest {
  const { fields, notes } = unlogged(object(value, 'the request'))
  known(fields, FIELDS, 'a request')
  const source = object(fields.source ?? {}, '`source`')
  known(source, ['principal', 'ip'], '`source`')
  const destination = object(fields.destination ?? {}, '`destination`')
  known(destination, ['ip', 'port', 'sni'], '`destination`')
  const sourceIp = string(source.ip, '`source.ip`') ?? '127.0.0.1'
  const destinationIp = string(destination.ip, '`destination.ip`') ?? '127.0.0.1'
  const isHttp = fields.method != null || fields.path != null
  return {
    id: id(fields.id),
    source: { peer: peer(source.principal), ip: ip(sourceIp, '`source.ip`'), ipText: sourceIp },
    destination: {
      ip: ip(destinationIp, '`destination.ip`'),
      ipText: destinationIp,
      port: integer(destination.port, 0, 65535, '`destination.port`'),
      sni: (bytes(destination.sni, '`destination.sni`') ?? '').toLowerCase(),
    },
    http: isHttp ? http(fields) : null,
    providers: providers(fields.providers),
    notes: isHttp ? notes : [...notes, ...ignoredOnTcp(fields)],
  }
}

function http(fields: Fields): TestHttpRequest {
  const method = string(fields.method, '`method`') ?? 'GET'
  if (!TOKEN.test(method)) fail('`method` is no HTTP method')
  const headers = HeaderMap.from(headerLines(fields.headers, '`headers`'))
  if (headers.has('host')) fail('give the host as `host`, not among `headers`')
  const remoteIp = string(fields.remoteIp, '`remoteIp`')
  const protocol = fields.protocol === 'HTTP/2.0' ? 'HTTP/2' : fields.protocol
  return {
    method,
    path: bytes(fields.path, '`path`') ?? '/',
    host: bytes(fields.host, '`host`') ?? null,
    scheme: oneOf(fields.scheme, ['http', 'https'], '`scheme`') ?? 'http',
    protocol: oneOf(protocol, PROTOCOLS, '`protocol`') ?? 'HTTP/1.1',
    headers,
    body: bytes(fields.body, '`body`') ?? null,
    remoteIp: remoteIp === undefined ? null : ip(remoteIp, '`remoteIp`'),
    claims: claims(fields.claims, headers),
  }
}

/** Whether tokens are elsewhere in the request depends on the workload's rules, and is asked there. */
function claims(value: unknown, headers: HeaderMap): Claims | null {
  if (value === undefined || value === null) return null
  const given = object(value, '`claims`')
  if (deeperThan(given, CLAIMS_DEPTH)) fail('`claims` is nested too deeply')
  if (headers.all('authorization').some((line) => /^bearer /i.test(line))) fail(BOTH)
  return given as Claims
}

export const BOTH = '`claims` replaces the token: give one of them, not both'

/** As deep as the JSON of a token may be. */
const CLAIMS_DEPTH = 100

function deeperThan(value: unknown, depth: number): boolean {
  let level: unknown[] = [value]
  for (let i = 0; i <= depth; i++) {
    level = level.flatMap((one) => (typeof one === 'object' && one !== null ? Object.values(one) : []))
    if (level.length === 0) return false
  }
  return true
}

function ignoredOnTcp(fields: Fields): readonly string[] {
  const ignored = ['host', 'headers', 'body', 'claims', 'scheme', 'protocol'].filter((name) => fields[name] != null)
  const [first] = ignored
  return first === undefined
    ? []
    : [`a request without \`method\` and \`path\` is a TCP connection: \`${first}\` is not looked at`]
}

function providers(value: unknown): ReadonlyMap<string, ProviderAnswer> {
  const answers = Object.entries(object(value ?? {}, '`providers`'))
  return new Map(answers.map(([name, answer]) => [name, providerAnswer(answer, `\`providers.${name}\``)]))
}

function providerAnswer(value: unknown, where: string): ProviderAnswer {
  const fields = object(value, where)
  known(fields, ['allow', 'status', 'headers', 'body', 'error'], where)
  const { allow } = fields
  const error = oneOf(fields.error, ['timeout', 'unavailable'], `${where}.error`)
  if (error !== undefined) {
    if (allow !== undefined) fail(`${where} is an answer (\`allow\`) or an \`error\`, not both`)
    return { kind: 'error', error }
  }
  if (typeof allow !== 'boolean') return fail(`${where} needs \`allow\` (true or false) or \`error\``)
  return {
    kind: 'answer',
    allow,
    status: integer(fields.status, 200, 599, `${where}.status`) ?? (allow ? 200 : 403),
    headers: headerLines(fields.headers, `${where}.headers`),
    body: bytes(fields.body, `${where}.body`) ?? '',
  }
}

function id(value: unknown): string | number | null {
  if (value === undefined || value === null) return null
  return typeof value === 'string' || typeof value === 'number' ? value : fail('`id` must be text or a number')
}

/** With or without its scheme. */
function peer(value: unknown): string {
  const text = string(value, '`source.principal`') ?? ''
  return text === '' || text.startsWith('spiffe://') ? text : `spiffe://${text}`
}
