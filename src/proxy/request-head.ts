import { randomUUID } from 'node:crypto'
import { HeaderMap } from '../match/header-map.ts'
import type { PathMode } from '../match/request-path.ts'
import { normalizePath } from '../match/request-path.ts'
import { joinRepeatedHeaders } from '../policy/header-lines.ts'
import { removeHopByHop } from './hop-by-hop.ts'
import { MAX_FIELDS } from './limits.ts'
import { isHttp1Method } from './methods.ts'
import { isAuthority } from './request-line.ts'

/** What Node's parser has told about a request. */
export interface RawHead {
  readonly method?: string | undefined
  readonly url?: string | undefined
  readonly httpVersionMajor: number
  readonly httpVersionMinor: number
  readonly rawHeaders: readonly string[]
  /** It did not come over HTTP/1.1, whose parsers know their methods. */
  readonly anyMethod?: boolean
}

/** A request that the proxy will serve: one host, one normalized path, no connection fields. */
export interface RequestHead {
  readonly kind: 'head'
  readonly id: string
  readonly method: string
  readonly path: string
  readonly host: string
  readonly scheme: string
  readonly protocol: string
  /** Without `host`. */
  readonly headers: HeaderMap
  /** In bytes; null when it is chunked, 0 when there is no body. */
  readonly contentLength: number | null
}

/** `details` is Envoy's response code details. */
export interface RefusedHead {
  readonly kind: 'refused'
  readonly status: number
  readonly body: string
  readonly details: string
}

export interface HeadOptions {
  readonly pathMode: PathMode
  readonly secure: boolean
  /** What is added to X-Forwarded-Client-Cert; null removes the field, which only mTLS may carry. */
  readonly clientCertificate: string | null
  /** WebSocket is being asked for: Connection and Upgrade are then the application's too. */
  readonly upgrade: boolean
}

/** Reads and cleans a head in Envoy's order, before any policy looks at it. */
export function readHead(raw: RawHead, options: HeadOptions): RequestHead | RefusedHead {
  if (raw.anyMethod !== true && !isHttp1Method(raw.method ?? '')) return MALFORMED
  if (raw.rawHeaders.length / 2 > MAX_FIELDS) return TOO_MANY_FIELDS
  const headers = HeaderMap.fromRaw(raw.rawHeaders)
  joinRepeatedHeaders(headers)
  const encoding = headers.get('transfer-encoding')
  if (encoding !== undefined && encoding.toLowerCase() !== 'chunked') return BAD_ENCODING
  const length = headers.get('content-length')
  // What follows could not be counted.
  if (length !== undefined && Number(length) > Number.MAX_SAFE_INTEGER) return BAD_LENGTH
  const hosts = headers.all('host')
  if (hosts.length > 1) return refuse(400, 'Bad Request', 'http1.duplicate_host')
  const target = readTarget(raw.method ?? '', raw.url ?? '', hosts[0] ?? '')
  const normalized = target.kind === 'refused' ? target : normalizePath(target.path, options.pathMode)
  // Envoy's parser has refused its part before anybody looks at the version or the host.
  const byParser = normalized.kind !== 'path' && normalized.details.startsWith('http1.')
  if (!byParser && (raw.httpVersionMajor !== 1 || raw.httpVersionMinor !== 1)) return LOW_VERSION
  if (target.kind === 'refused') return target
  if (byParser) return refuse(400, 'Bad Request', normalized.details)
  // An empty Host is there all the same (RFC 9112, 3.2), and Envoy serves it.
  if (target.host === '' && hosts.length === 0) return refuse(400, '', 'missing_host_header')
  if (target.host !== '' && !isAuthority(target.host)) return refuse(400, 'Bad Request', 'http.invalid_authority')
  if (!removeHopByHop(headers, options.upgrade)) return refuse(400, 'Bad Request', 'http1.connection_header_rejected')
  headers.delete('host')
  if (raw.method === 'QUERY' && !headers.has('content-type')) return refuse(400, '', 'query_missing_content_type')
  if (normalized.kind !== 'path') return refuse(400, '', normalized.details)
  removeEnvoyFields(headers)
  const forwarded = forwardedScheme(headers, options.secure)
  const scheme = target.scheme ?? forwarded
  if (options.clientCertificate === null) headers.delete('x-forwarded-client-cert')
  else appendTo(headers, 'x-forwarded-client-cert', options.clientCertificate)
  let id = headers.get('x-request-id')
  if (id === undefined || id === '') {
    id = randomUUID()
    headers.set('x-request-id', id)
  }
  return {
    kind: 'head',
    id,
    method: raw.method ?? '',
    path: normalized.path,
    host: target.host,
    scheme,
    protocol: 'HTTP/1.1',
    headers,
    contentLength: encoding !== undefined ? null : length === undefined ? 0 : Number(length),
  }
}

function refuse(status: number, body: string, details: string): RefusedHead {
  return { kind: 'refused', status, body, details }
}

const LOW_VERSION = refuse(426, 'Upgrade Required', 'low_version')
const TOO_MANY_FIELDS = refuse(431, 'Request Header Fields Too Large', 'http1.too_many_headers')
const BAD_LENGTH = refuse(400, 'Bad Request', 'http1.content_length_too_large')
const MALFORMED = refuse(400, 'Bad Request', 'http1.codec_error')
const INVALID_URL = refuse(400, 'Bad Request', 'http1.invalid_url')
const INVALID_SCHEME = refuse(400, 'Bad Request', 'http1.invalid_scheme')
const NO_PATH = refuse(404, '', 'absolute_path_rejected')
const BAD_ENCODING = refuse(501, 'Not Implemented', 'http1.invalid_transfer_encoding')

/** `scheme` is that of a target in absolute form, else null. */
type Target =
  | { readonly kind: 'target'; readonly path: string; readonly host: string; readonly scheme: string | null }
  | RefusedHead

/** RFC 9112, 3.2: in absolute form the URI's authority replaces Host. */
function readTarget(method: string, url: string, host: string): Target {
  if (url.charCodeAt(0) === 0x2f) return { kind: 'target', path: url, host, scheme: null }
  if (url === '*') return method === 'OPTIONS' ? NO_PATH : INVALID_URL
  const match = ABSOLUTE.exec(url)
  if (match === null) return OTHER_SCHEME.test(url) ? INVALID_SCHEME : MALFORMED
  const [, name = '', port = '', rest = ''] = match
  if (port !== '' && Number(port) > 65535) return MALFORMED
  // Without a path there can be a query, and then there is nothing to route; a fragment is no part of a target.
  if (rest.startsWith('?')) return NO_PATH
  if (rest.startsWith('#')) return MALFORMED
  const scheme = /^https:/i.test(url) ? 'https' : 'http'
  return { kind: 'target', path: rest === '' ? '/' : rest, host: port === '' ? name : `${name}:${port}`, scheme }
}

/** A URI whose scheme cannot be served. */
const OTHER_SCHEME = /^(?!https?:)[a-z][a-z0-9+.-]*:\/\//i

/** As Envoy reads it: user information is dropped, and the host is a name, an address or nothing that can be served. */
const ABSOLUTE = /^https?:\/\/(?:[^/?#@]*@)?([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?((?:[/?#].*)?)$/i

function forwardedScheme(headers: HeaderMap, secure: boolean): string {
  const forwarded = headers.get('x-forwarded-proto')
  const own = secure ? 'https' : 'http'
  if (forwarded === undefined) headers.append('x-forwarded-proto', own)
  // A scheme has no case (RFC 3986, 3.1).
  const scheme = forwarded?.toLowerCase()
  return scheme === 'http' || scheme === 'https' ? scheme : own
}

function appendTo(headers: HeaderMap, name: string, element: string): void {
  const lines = headers.all(name)
  headers.set(name, lines.length === 0 ? element : `${lines.join(',')},${element}`)
}

/**
 * Fields by which Envoy steers itself. It takes them from internal clients only, and Istio names no internal
 * addresses (envoyproxy/envoy, ConnectionManagerUtility::mutateRequestHeaders).
 */
const ENVOY_FIELDS = [
  'x-envoy-internal',
  'x-envoy-retry-on',
  'x-envoy-retry-grpc-on',
  'x-envoy-retriable-status-codes',
  'x-envoy-retriable-header-names',
  'x-envoy-max-retries',
  'x-envoy-upstream-alt-stat-name',
  'x-envoy-upstream-rq-timeout-alt-response',
  'x-envoy-upstream-rq-timeout-ms',
  'x-envoy-upstream-rq-per-try-timeout-ms',
  'x-envoy-upstream-rq-per-try-idle-timeout-ms',
  'x-envoy-upstream-stream-duration-ms',
  'x-envoy-expected-rq-timeout-ms',
  'x-envoy-force-trace',
  'x-envoy-ip-tags',
  'x-envoy-original-url',
  'x-envoy-hedge-on-per-try-timeout',
] as const

function removeEnvoyFields(headers: HeaderMap): void {
  for (let i = 0; i < headers.size; i++) {
    if (!headers.nameAt(i).startsWith('x-envoy-')) continue
    for (const name of ENVOY_FIELDS) headers.delete(name)
    return
  }
}
