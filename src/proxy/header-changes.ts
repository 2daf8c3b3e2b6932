import type { HeaderChange } from '../extauthz/check.ts'
import type { HeaderMap } from '../match/header-map.ts'
import { MAX_FIELDS, MAX_HEAD_BYTES } from './limits.ts'

/**
 * Framing and connection fields, which no provider may set or remove: a wrong one desynchronizes the connection, and
 * Envoy, which lets them through, is open to request smuggling here.
 */
const FRAMING = new Set([
  'connection',
  'content-length',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

export function isFraming(name: string): boolean {
  return FRAMING.has(name)
}

const NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/

export function isHeaderName(name: string): boolean {
  return NAME.test(name)
}

export function isHeaderValue(value: string): boolean {
  return VALUE.test(value)
}

/** What a provider changes besides header lines. */
export interface RequestTarget {
  method: string
  path: string
  host: string
}

/**
 * Applies a provider's changes in their order. False when one of them cannot be written as HTTP, or when the head is
 * then larger than a client's may be.
 */
export function changeRequest(target: RequestTarget, headers: HeaderMap, changes: readonly HeaderChange[]): boolean {
  for (const change of changes) {
    const name = change.name.toLowerCase()
    if (name === 'host' || name.startsWith(':')) {
      if (!changeTarget(target, name, change)) return false
    } else if (!changeLine(headers, name, change)) {
      return false
    }
  }
  return changes.length === 0 || withinLimits(headers)
}

function withinLimits(headers: HeaderMap): boolean {
  if (headers.size > MAX_FIELDS) return false
  let bytes = 0
  for (let i = 0; i < headers.size; i++) bytes += headers.nameAt(i).length + headers.valueAt(i).length
  return bytes <= MAX_HEAD_BYTES
}

/** The same for an answer, whose pseudo fields are not a provider's. */
export function changeResponse(headers: HeaderMap, changes: readonly HeaderChange[]): void {
  for (const change of changes) {
    const name = change.name.toLowerCase()
    if (!name.startsWith(':')) changeLine(headers, name, change)
  }
}

const PATH = /^\/[\x21-\x7e]*$/
const AUTHORITY = /^[A-Za-z0-9\-._~%!$&'()*+,;=:@[\]]+$/

export function isAuthority(text: string): boolean {
  return AUTHORITY.test(text)
}

function changeTarget(target: RequestTarget, name: string, change: HeaderChange): boolean {
  if (change.kind !== 'set' && change.kind !== 'setIfPresent') return true
  const value = change.value
  switch (name) {
    case ':path':
      if (!PATH.test(value)) return false
      target.path = value
      return true
    case ':method':
      if (!NAME.test(value) || value === 'CONNECT') return false
      target.method = value
      return true
    case ':authority':
    case 'host':
      if (!AUTHORITY.test(value)) return false
      target.host = value
      return true
    default:
      return true
  }
}

function changeLine(headers: HeaderMap, name: string, change: HeaderChange): boolean {
  if (FRAMING.has(name)) return true
  if (!NAME.test(name) || (change.kind !== 'remove' && !VALUE.test(change.value))) return false
  switch (change.kind) {
    case 'set':
      headers.set(name, change.value)
      return true
    case 'join': {
      const first = headers.get(name)
      if (first === undefined) return true
      const [, ...others] = headers.all(name)
      headers.set(name, `${first},${change.value}`)
      for (const other of others) headers.append(name, other)
      return true
    }
    case 'add':
      headers.append(name, change.value)
      return true
    case 'addIfAbsent':
      if (!headers.has(name)) headers.append(name, change.value)
      return true
    case 'setIfPresent':
      if (headers.has(name)) headers.set(name, change.value)
      return true
    case 'remove':
      headers.delete(name)
      return true
    default:
      return unreachable(change)
  }
}

function unreachable(value: never): never {
  throw new Error(`unknown header change ${JSON.stringify(value)}`)
}
