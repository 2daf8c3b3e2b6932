import type { CurlRequest } from '../curl.ts'
import type { Draft } from './draft.ts'
import { parseUrl, type Url } from './url.ts'

/** What curl would put on the wire; a message where it would put nothing. */
export function requestOf(draft: Draft): CurlRequest | { readonly problem: string } {
  if (draft.url === null) return { problem: 'there is no URL in it' }
  const url = parseUrl(draft.url, draft)
  if ('problem' in url) return url
  const content = contentOf(draft)
  const headers = headersOf(draft, url, content)
  const given = draft.headers.findLast(({ name }) => name.toLowerCase() === 'host')
  return {
    method: draft.method ?? methodOf(draft),
    path: asBytes(draft.target ?? pathOf(url, draft)),
    host: asBytes(given?.value ?? url.host),
    scheme: url.scheme,
    protocol: protocolOf(draft, url),
    headers: headers.map(([name, value]) => [name, asBytes(value)]),
    body: content === null ? null : asBytes(content.text),
  }
}

function methodOf({ mode, dataInQuery }: Draft): string {
  if (mode === 'head') return 'HEAD'
  return mode === 'body' && !dataInQuery ? 'POST' : 'GET'
}

function protocolOf({ version }: Draft, { scheme }: Url): CurlRequest['protocol'] {
  // Without TLS curl offers an upgrade that proxies do not take.
  if (version === 'HTTP/2 over TLS') return scheme === 'https' ? 'HTTP/2' : 'HTTP/1.1'
  return version
}

function pathOf({ path, query }: Url, { data, dataInQuery, query: added }: Draft): string {
  const parts = [query, dataInQuery ? data : null, ...added].filter((part) => part !== null && part !== '')
  return parts.length === 0 ? path + (query === null ? '' : '?') : `${path}?${parts.join('&')}`
}

interface Content {
  readonly text: string
  readonly type: string
}

function contentOf({ data, dataInQuery, parts }: Draft): Content | null {
  if (parts.length > 0) return multipart(parts)
  return data === null || dataInQuery ? null : { text: data, type: 'application/x-www-form-urlencoded' }
}

/** curl's boundary is random; a policy cannot depend on it. */
const BOUNDARY = '------------------------0123456789abcdef'

function multipart(parts: Draft['parts']): Content {
  const written = parts.map(({ name, value, type }) => {
    const quoted = name.replace(/["\r\n]/g, (c) => encodeURIComponent(c))
    const contentType = type === null ? '' : `\r\nContent-Type: ${type}`
    return `--${BOUNDARY}\r\nContent-Disposition: form-data; name="${quoted}"${contentType}\r\n\r\n${value}\r\n`
  })
  return { text: `${written.join('')}--${BOUNDARY}--\r\n`, type: `multipart/form-data; boundary=${BOUNDARY}` }
}

/** curl's own lines, each unless it was given or taken away, then those that were given. */
function headersOf(draft: Draft, url: Url, content: Content | null): [string, string][] {
  const own = new Map<string, string>()
  const user = draft.user ?? url.user
  if (user !== null) own.set('authorization', `Basic ${Buffer.from(user, 'utf8').toString('base64')}`)
  if (draft.bearer !== null) own.set('authorization', `Bearer ${draft.bearer}`)
  for (const [name, value] of draft.own) if (value !== '') own.set(name, value)
  if (draft.cookies.length > 0) own.set('cookie', draft.cookies.join(';'))
  const given = new Set(draft.headers.map(({ name }) => name.toLowerCase()))
  if (content !== null) {
    if (!own.has('content-type')) own.set('content-type', content.type)
    if (!given.has('transfer-encoding')) own.set('content-length', String(Buffer.byteLength(content.text, 'utf8')))
  }
  const lines = draft.headers.flatMap(({ name, value }): [string, string][] =>
    value === null || name.toLowerCase() === 'host' ? [] : [[name, value]],
  )
  return [...[...own].filter(([name]) => !given.has(name)), ...lines]
}

/** A shell's text is UTF-8; a request's strings are bytes as Latin-1. */
function asBytes(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1')
}
