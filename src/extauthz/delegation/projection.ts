import { asBytes, asciiLower } from '../../match/bytes.ts'
import { HeaderMap } from '../../match/header-map.ts'
import { foldHeaderName } from '../../match/header-name.ts'
import type { View } from '../../mesh/delegation.ts'
import type { Claims } from '../../policy/facts.ts'
import type { CheckBody, CheckHttpRequest, CheckPeer, CheckRequest } from '../check.ts'
import { compileNames, type NameList } from './name-list.ts'

/** What a provider is asked in place of the whole: nothing that is not in it reaches the provider. */
export type Projection = (request: CheckRequest, claims: Claims | null) => CheckRequest

/**
 * Builds anew, part by part, so that what a check comes to hold later is not shown unless it is added here. What differs
 * from request to request without telling anything (time, id, the client's port) is left out.
 */
export function createProjection(view: View): Projection {
  const headers = compileNames(view.headers.map((name) => foldHeaderName(name.toLowerCase())))
  const parameters = compileNames(view.queryParameters.map((name) => asciiLower(asBytes(name))))
  const claimNames = view.claims.length === 0 ? null : compileNames(view.claims)
  const [withPrincipal, withIp] = [view.source.includes('principal'), view.source.includes('ip')]
  const source = ({ ip, principal }: CheckPeer): CheckPeer => ({
    ip: withIp ? ip : '',
    port: 0,
    principal: withPrincipal ? principal : '',
  })
  const httpOf = (http: CheckHttpRequest): CheckHttpRequest => ({
    id: '',
    method: http.method,
    path: shownPath(http.path, parameters),
    host: http.host,
    scheme: http.scheme,
    protocol: http.protocol,
    headers: shownHeaders(http.headers, headers),
    body: view.body ? shownBody(http.body) : null,
  })
  return ({ source: from, destination: { ip, port, principal }, http }, claims) => ({
    source: source(from),
    destination: { ip, port, principal },
    time: 0,
    http: http === null ? null : httpOf(http),
    claims: claims === null || claimNames === null ? null : shownClaims(claims, claimNames),
  })
}

/** Without how much more has come by now, which differs for bodies that are cut short at the same place. */
function shownBody(body: CheckBody | null): CheckBody | null {
  return body === null ? null : { bytes: body.bytes, partial: body.partial }
}

/** Also those that an application may read under a listed name, and must not read where the provider could not. */
function shownHeaders(headers: HeaderMap, shown: NameList): HeaderMap {
  const kept = new HeaderMap()
  for (let i = 0; i < headers.size; i++) {
    const name = headers.nameAt(i)
    if (shown(foldHeaderName(name))) kept.append(name, headers.valueAt(i))
  }
  return kept
}

/** The path with those of its query's parameters that are shown, byte for byte. */
function shownPath(path: string, shown: NameList): string {
  const mark = path.indexOf('?')
  if (mark === -1) return path
  const kept = path
    .slice(mark + 1)
    .split('&')
    .filter((pair) => isShown(pair, shown))
  const bare = path.slice(0, mark)
  return kept.length === 0 ? bare : `${bare}?${kept.join('&')}`
}

/**
 * Whether any reader would find a listed name in it: the application may decode it, ignore its case, take a semicolon for
 * a separator, or `a[]` for a list that is called `a`, and must not read what the provider was not shown.
 */
function isShown(pair: string, shown: NameList): boolean {
  if (isRead(nameOf(pair), shown)) return true
  return pair.includes(';') && pair.split(';').some((part) => isRead(nameOf(part), shown))
}

/**
 * As it is written, and as frameworks read what is in it besides: an index in brackets is no part of the name. For PHP
 * neither are a space before it and whatever follows a NUL, and a space or a dot within it is an underscore.
 */
function isRead(name: string, shown: NameList): boolean {
  if (shown(name)) return true
  if (!READ_OTHERWISE.test(name)) return false
  const [bare = ''] = name.trim().split(INDEX, 1)
  return shown(bare.trim()) || shown(bare.trim().replace(/[ .]/g, '_'))
}

const READ_OTHERWISE = /[[\s.\0]/
const INDEX = /[[\0]/

/** Decoded to bytes as Latin-1, in lower case. */
function nameOf(pair: string): string {
  const equals = pair.indexOf('=')
  const name = equals === -1 ? pair : pair.slice(0, equals)
  return asciiLower(
    name
      .replaceAll('+', ' ')
      .replace(/%([0-9a-fA-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
  )
}

/** In the order of their names, which is not the token's. */
function shownClaims(claims: Claims, shown: NameList): Claims {
  // A plain object would lose a claim that is called `__proto__`.
  const kept: Record<string, Claims[string]> = Object.create(null)
  for (const name of Object.keys(claims).filter(shown).sort()) kept[name] = claims[name] as Claims[string]
  return kept
}
