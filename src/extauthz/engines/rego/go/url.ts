import { Buffer } from 'node:buffer'
import { isIPv6 } from 'node:net'
import { unescapePercent } from '../../opa-envoy/url-encoding.ts'

/** A URL as Go's `url.Parse` takes it apart; what is not there is empty. */
export interface GoUrl {
  readonly scheme: string
  readonly hostname: string
  readonly port: string
  readonly path: string
  readonly rawPath: string
  readonly rawQuery: string
  readonly fragment: string
}

const nowhere = { hostname: '', port: '' }

/** Null for what Go refuses. */
export function parseUrl(text: string): GoUrl | null {
  const [whole = '', ...after] = text.split('#')
  const rawFragment = after.join('#')
  const fragment = unescapePercent(rawFragment)
  if (fragment === null || hasControls(whole)) return null
  const scheme = /^[A-Za-z][A-Za-z0-9+.-]*(?=:)/.exec(whole)?.[0] ?? ''
  if (whole.startsWith(':')) return null
  let rest = scheme === '' ? whole : whole.slice(scheme.length + 1)
  const question = rest.indexOf('?')
  const rawQuery = question === -1 ? '' : rest.slice(question + 1)
  if (question !== -1) rest = rest.slice(0, question)
  const parts = { scheme: scheme.toLowerCase(), rawQuery, fragment }
  if (!rest.startsWith('/')) {
    // `mailto:someone`: what follows the scheme is no path.
    if (scheme !== '') return { ...parts, ...nowhere, path: '', rawPath: '' }
    if (rest.split('/', 1)[0]?.includes(':')) return null
  }
  let host: { readonly hostname: string; readonly port: string } | null = nowhere
  if (rest.startsWith('//') && (scheme !== '' || !rest.startsWith('///'))) {
    const slash = rest.indexOf('/', 2)
    host = parseAuthority(scheme.toLowerCase(), rest.slice(2, slash === -1 ? undefined : slash))
    rest = slash === -1 ? '' : rest.slice(slash)
  }
  const path = unescapePercent(rest)
  if (host === null || path === null) return null
  // Where the escapes are those that Go would make, it forgets that there were any.
  return { ...parts, ...host, path, rawPath: escapePath(path) === rest ? path : rest }
}

function hasControls(text: string): boolean {
  return [...text].some((char) => char < ' ' || char === '\x7f')
}

function parseAuthority(scheme: string, authority: string) {
  const at = authority.lastIndexOf('@')
  if (at !== -1) {
    const user = authority.slice(0, at)
    if (!/^[A-Za-z0-9\-._:~!$&'()*+,;=%@]*$/.test(user) || unescapePercent(user) === null) return null
  }
  return parseHost(scheme, authority.slice(at + 1))
}

function parseHost(scheme: string, host: string) {
  if (host.lastIndexOf('[') > 0) return null
  if (host.startsWith('[')) return parseLiteral(host)
  const colon = scheme === 'http' || scheme === 'https' ? host.indexOf(':') : host.lastIndexOf(':')
  const port = colon === -1 ? '' : host.slice(colon)
  if (!/^(?::[0-9]*)?$/.test(port)) return null
  const name = unescapeHost(host)
  if (name === null) return null
  const end = name.lastIndexOf(':')
  return port === '' ? { hostname: name, port: '' } : { hostname: name.slice(0, end), port: name.slice(end + 1) }
}

/** `[::1]:80`, perhaps with a zone (RFC 6874). */
function parseLiteral(host: string) {
  const parts = /^\[(.*)\](?::([0-9]*))?$/.exec(host)
  const [, literal = '', port = ''] = parts ?? []
  const zone = literal.indexOf('%25')
  const address = unescapeHost(zone === -1 ? literal : literal.slice(0, zone))
  const name = zone === -1 ? '' : unescapePercent(literal.slice(zone))
  if (parts === null || address === null || name === null || !isIPv6(address)) return null
  return name === '%' ? null : { hostname: address + name, port }
}

/** In a host only what is no ASCII may be escaped, and not everything may stand as it is. */
function unescapeHost(host: string): string | null {
  if (/%(?!25)[0-7]/.test(host) || !/^[A-Za-z0-9\-._~!$&'()*+,;=:[\]<>"%\u0080-\u{10ffff}]*$/u.test(host)) return null
  return unescapePercent(host)
}

function escapePath(path: string): string {
  return encodeURIComponent(path)
    .replace(/%(?:24|26|2B|2C|2F|3A|3B|3D|40)/g, decodeURIComponent)
    .replace(/[!'()*]/g, escapeAscii)
}

function escapeAscii(char: string): string {
  return `%${char.charCodeAt(0).toString(16).toUpperCase()}`
}

/** As Go's `url.QueryEscape`. */
export function escapeQuery(text: string): string {
  const escaped = encodeURIComponent(Buffer.from(text).toString()).replaceAll('%20', '+')
  return escaped.replace(/[!'()*]/g, escapeAscii)
}
