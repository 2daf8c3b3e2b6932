import { parseIp } from '../../match/ip.ts'

/** What is wrong with an address of JWT keys, as Go's `net/url` and Istio read it. Null: nothing. */
export type UriProblem =
  | { readonly kind: 'refused'; readonly message: string }
  /** Istio takes it, and nobody can fetch it. */
  | { readonly kind: 'unusable'; readonly message: string }

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it looks for.
const control = /[\x00-\x1f\x7f]/
const badEscape = /%(?![0-9a-fA-F]{2})/
/** In a host, only bytes beyond ASCII may be escaped, and `%25` for the zone of an address. */
const badHostEscape = /%(?!25|[89a-fA-F][0-9a-fA-F])/
/** ASCII that a host cannot hold unescaped. */
const badHostCharacter = /[^\w.~!$&'()*+,;=:[\]<>"%\-\u0080-\u{10ffff}]/u
const userinfo = /^[\w\-.:~!$&'()*+,;=%@]*$/

export function jwksUriProblem(uri: string): UriProblem | null {
  if (control.test(uri)) return refused('it holds a control character')
  const hash = uri.indexOf('#')
  const [text, fragment] = hash === -1 ? [uri, ''] : [uri.slice(0, hash), uri.slice(hash + 1)]
  if (badEscape.test(fragment)) return refused('it holds a `%` that is no escape')
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]*):/.exec(text)?.[1]?.toLowerCase() ?? ''
  if (scheme !== 'http' && scheme !== 'https') return refused(`URI scheme ${JSON.stringify(scheme)} is not supported`)
  const rest = text.slice(scheme.length + 1).split('?', 1)[0] as string
  if (!rest.startsWith('//')) {
    if (rest.startsWith('/') && badEscape.test(rest)) return refused('it holds a `%` that is no escape')
    return { kind: 'unusable', message: 'it names no host' }
  }
  const slash = rest.indexOf('/', 2)
  const authority = slash === -1 ? rest.slice(2) : rest.slice(2, slash)
  const path = slash === -1 ? '' : rest.slice(slash)
  if (badEscape.test(path)) return refused('it holds a `%` that is no escape')
  const at = authority.lastIndexOf('@')
  const user = authority.slice(0, Math.max(at, 0))
  if (!userinfo.test(user) || badEscape.test(user)) return refused('its user name is not one')
  return hostProblem(authority.slice(at + 1))
}

function hostProblem(host: string): UriProblem | null {
  const bracket = host.lastIndexOf('[')
  const close = host.lastIndexOf(']')
  if (bracket > 0 || (bracket === 0 && close === -1)) return refused('its brackets hold no address')
  const colon = bracket === 0 ? close + 1 : host.indexOf(':')
  const port = colon === -1 ? '' : host.slice(colon)
  if (!/^(?::[0-9]*)?$/.test(port)) return refused('its port is not a number')
  if (badHostCharacter.test(host) || badHostEscape.test(host)) return refused('its host is not a name')
  const name = colon === -1 ? host : host.slice(0, colon)
  if (bracket === 0 && !isIpv6(name.slice(1, -1).split('%', 1)[0] as string)) {
    return refused('its brackets hold no address')
  }
  if (name === '') return { kind: 'unusable', message: 'it names no host' }
  return Number(port.slice(1)) > 65535 ? { kind: 'unusable', message: 'its port is beyond 65535' } : null
}

function isIpv6(text: string): boolean {
  return text.includes(':') && parseIp(text) !== null
}

function refused(message: string): UriProblem {
  return { kind: 'refused', message }
}
