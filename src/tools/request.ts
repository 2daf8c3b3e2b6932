import { HeaderMap } from '../match/header-map.ts'
import { type IpAddress, parseSocketIp } from '../match/ip.ts'
import type { Claims } from '../policy/facts.ts'
import type { Json } from '../source/document.ts'
import { suggest } from '../source/suggest.ts'

/** One request or connection to decide about, with every default filled in. */
export interface TestRequest {
  readonly id: string
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
}

export interface TestHttpRequest {
  readonly method: string
  readonly path: string
  /** Null: NAME.NAMESPACE of the workload. */
  readonly host: string | null
  readonly scheme: string
  readonly protocol: string
  readonly headers: HeaderMap
  readonly body: string | null
  readonly remoteIp: IpAddress | null
  /** Replaces the token. */
  readonly claims: Claims | null
}

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
  readonly code: 'bad_json' | 'bad_request'
  readonly message: string
}

type Fail = (message: string) => never

class Unreadable extends Error {}

/**
 * Reads the request format of the command line. Also reads a line of the decision log, which holds the same object
 * under `request`. A misspelt field is an error: it would otherwise decide about another request than was meant.
 */
export function parseRequest(text: string): TestRequest | RequestProblem {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    return { code: 'bad_json', message: error instanceof Error ? error.message : String(error) }
  }
  return decodeRequest(value)
}

export function decodeRequest(value: unknown): TestRequest | RequestProblem {
  try {
    return decode(value)
  } catch (error) {
    if (error instanceof Unreadable) return { code: 'bad_request', message: error.message }
    throw error
  }
}

export function isProblem(result: TestRequest | RequestProblem): result is RequestProblem {
  return 'code' in result
}

const fail: Fail = (message) => {
  throw new Unreadable(message)
}

const FIELDS = [
  ...['id', 'source', 'destination', 'method', 'path', 'host', 'scheme', 'protocol', 'headers', 'body'],
  ...['remoteIp', 'claims', 'providers'],
]

function decode(value: unknown): TestRequest {
  const outer = object(value, 'the request')
  const logged = outer.request
  if (logged !== undefined) return decode({ id: outer.id, ...object(logged, '`request`') })
  known(outer, FIELDS, 'a request')
  const source = object(outer.source ?? {}, '`source`')
  known(source, ['principal', 'ip'], '`source`')
  const destination = object(outer.destination ?? {}, '`destination`')
  known(destination, ['ip', 'port', 'sni'], '`destination`')
  const sourceIp = string(source.ip, '`source.ip`') ?? '127.0.0.1'
  const destinationIp = string(destination.ip, '`destination.ip`') ?? '127.0.0.1'
  const port = destination.port ?? null
  if (port !== null && !(Number.isInteger(port) && (port as number) >= 0 && (port as number) <= 65535)) {
    fail('`destination.port` must be a number from 0 to 65535')
  }
  const isHttp = outer.method != null || outer.path != null
  return {
    id: id(outer.id),
    source: { peer: peer(source.principal), ip: ip(sourceIp, '`source.ip`'), ipText: sourceIp },
    destination: {
      ip: ip(destinationIp, '`destination.ip`'),
      ipText: destinationIp,
      port: port as number | null,
      sni: (string(destination.sni, '`destination.sni`') ?? '').toLowerCase(),
    },
    http: isHttp ? http(outer) : null,
    providers: providers(outer.providers),
  }
}

function http(outer: Readonly<Record<string, unknown>>): TestHttpRequest {
  const method = string(outer.method, '`method`') ?? 'GET'
  if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(method)) fail('`method` is no HTTP method')
  const headers = headerLines(outer.headers)
  const host = string(outer.host, '`host`') ?? null
  if (headers.some(([name]) => name.toLowerCase() === 'host')) fail('give the host as `host`, not among `headers`')
  const remoteIp = string(outer.remoteIp, '`remoteIp`')
  const claims = outer.claims == null ? null : (object(outer.claims, '`claims`') as Claims)
  return {
    method,
    path: string(outer.path, '`path`') ?? '/',
    host,
    scheme: string(outer.scheme, '`scheme`') ?? 'http',
    protocol: string(outer.protocol, '`protocol`') ?? 'HTTP/1.1',
    headers: HeaderMap.from(headers),
    body: string(outer.body, '`body`') ?? null,
    remoteIp: remoteIp === undefined ? null : ip(remoteIp, '`remoteIp`'),
    claims,
  }
}

function providers(value: unknown): ReadonlyMap<string, ProviderAnswer> {
  const answers = new Map<string, ProviderAnswer>()
  for (const [name, raw] of Object.entries(object(value ?? {}, '`providers`'))) {
    const where = `\`providers.${name}\``
    const answer = object(raw, where)
    known(answer, ['allow', 'status', 'headers', 'body', 'error'], where)
    const { allow, error } = answer
    if (error !== undefined) {
      if (error !== 'timeout' && error !== 'unavailable') fail(`${where}.error must be timeout or unavailable`)
      answers.set(name, { kind: 'error', error: error as 'timeout' | 'unavailable' })
      continue
    }
    if (typeof allow !== 'boolean') fail(`${where} needs \`allow\` (true or false) or \`error\``)
    const status = answer.status ?? 403
    if (!Number.isInteger(status)) fail(`${where}.status must be a number`)
    answers.set(name, {
      kind: 'answer',
      allow: allow as boolean,
      status: status as number,
      headers: headerLines(answer.headers),
      body: string(answer.body, `${where}.body`) ?? '',
    })
  }
  return answers
}

function id(value: unknown): string {
  if (value === undefined || value === null) return ''
  return typeof value === 'string' || typeof value === 'number' ? String(value) : fail('`id` must be text or a number')
}

/** With or without its scheme. */
function peer(value: unknown): string {
  const text = string(value, '`source.principal`') ?? ''
  return text === '' || text.startsWith('spiffe://') ? text : `spiffe://${text}`
}

function headerLines(value: unknown): [string, string][] {
  if (value === undefined || value === null) return []
  if (!Array.isArray(value)) return fail('`headers` must be a list of [name, value]')
  return value.map((line: unknown, i) => {
    const pair = Array.isArray(line) && line.length === 2 && line.every((part: Json) => typeof part === 'string')
    if (!pair) return fail(`\`headers[${i}]\` must be [name, value]`)
    const [name, text] = line as [string, string]
    if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name)) fail(`\`headers[${i}]\` has no valid name`)
    return [name, text]
  })
}

function ip(text: string, where: string): IpAddress {
  return parseSocketIp(text) ?? fail(`${where} is no IP address: \`${text}\``)
}

function string(value: unknown, where: string): string | undefined {
  if (value === undefined || value === null) return undefined
  return typeof value === 'string' ? value : fail(`${where} must be text`)
}

function object(value: unknown, where: string): Readonly<Record<string, unknown>> {
  const fine = typeof value === 'object' && value !== null && !Array.isArray(value)
  return fine ? (value as Readonly<Record<string, unknown>>) : fail(`${where} must be an object`)
}

function known(value: Readonly<Record<string, unknown>>, fields: readonly string[], where: string): void {
  for (const name of Object.keys(value)) {
    if (fields.includes(name)) continue
    const close = suggest(name, fields)
    fail(`unknown field \`${name}\` in ${where}${close === null ? '' : `; did you mean \`${close}\`?`}`)
  }
}
