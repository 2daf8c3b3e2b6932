/** Istio's `pathNormalization.normalization`, with DEFAULT already resolved to BASE. */
export type PathMode = 'NONE' | 'BASE' | 'MERGE_SLASHES' | 'DECODE_AND_MERGE_SLASHES'

export type NormalizedPath =
  | { readonly kind: 'path'; readonly path: string }
  /** `details` is Envoy's response code details. */
  | { readonly kind: 'reject'; readonly status: 400; readonly details: string }

const CODEC_ERROR: NormalizedPath = { kind: 'reject', status: 400, details: 'http1.codec_error' }
const CONTROL: NormalizedPath = { kind: 'reject', status: 400, details: 'http1.invalid_characters' }
const FAILED: NormalizedPath = { kind: 'reject', status: 400, details: 'path_normalization_failed' }

/**
 * The target (path and query) that policies see and the application gets. `target` is in origin form, so it starts
 * with `/`. The query is kept as it is; a fragment is cut off in every mode. One pass, as in Envoy: `/a/%2e%2e;/b` becomes
 * `/a/..;/b` and no more, because a path that went further could reach an ALLOW that Envoy's does not.
 */
export function normalizePath(target: string, mode: PathMode): NormalizedPath {
  let end = target.length
  let pathEnd = -1
  for (let i = 0; i < end; i++) {
    const c = target.charCodeAt(i)
    if (c <= 0x20 || c >= 0x7f) return notAllowed(c)
    if (c === HASH) end = i
    else if (c === QUESTION && pathEnd === -1) pathEnd = i
  }
  if (end === 0 || target.charCodeAt(0) !== SLASH) return FAILED
  // Bytes behind the fragment are refused like any other when they are not allowed in a target.
  for (let i = end; i < target.length; i++) {
    const c = target.charCodeAt(i)
    if (c <= 0x20 || c >= 0x7f) return notAllowed(c)
  }
  const kept = end === target.length ? target : target.slice(0, end)
  if (mode === 'NONE') return { kind: 'path', path: kept }
  const query = pathEnd === -1 ? '' : kept.slice(pathEnd)
  const path = pathEnd === -1 ? kept : kept.slice(0, pathEnd)
  if (isPlain(path, mode !== 'BASE')) return { kind: 'path', path: kept }
  const normalized = normalizeOnce(path, mode)
  return normalized === null ? FAILED : { kind: 'path', path: normalized + query }
}

function notAllowed(c: number): NormalizedPath {
  return c < 0x20 || c === 0x7f ? CONTROL : CODEC_ERROR
}

const HASH = 0x23
const PERCENT = 0x25
const DOT = 0x2e
const SLASH = 0x2f
const QUESTION = 0x3f
const BACKSLASH = 0x5c

/** `"<>^{|}` and the backtick: what URL canonicalization writes as an escape. */
const ESCAPED = new Set(['"', '<', '>', '^', '`', '{', '|', '}'].map((c) => c.charCodeAt(0)))

/** Whether normalization leaves this path alone: the usual case, told without allocating. */
function isPlain(path: string, merge: boolean): boolean {
  for (let i = 0; i < path.length; i++) {
    const c = path.charCodeAt(i)
    if (c === PERCENT || c === BACKSLASH || ESCAPED.has(c)) return false
    if (c === SLASH && i + 1 < path.length) {
      const next = path.charCodeAt(i + 1)
      if (next === DOT || (merge && next === SLASH)) return false
    }
  }
  return true
}

/** Null for `%00`. */
function normalizeOnce(path: string, mode: 'BASE' | 'MERGE_SLASHES' | 'DECODE_AND_MERGE_SLASHES'): string | null {
  const unescaped = mode === 'DECODE_AND_MERGE_SLASHES' ? path.replace(ESCAPED_SLASH, decodeSlash) : path
  const canonical = canonicalize(unescaped.replace(DOT_PARAMETERS, '$1'))
  if (canonical === null) return null
  const resolved = removeDotSegments(canonical)
  if (mode === 'BASE') return resolved
  const merged = resolved.replace(SLASHES, '/')
  // Envoy joins what is between slashes and keeps the first and the last, which nothing else makes two of.
  return merged === '/' && resolved !== '/' ? '//' : merged
}

const ESCAPED_SLASH = /%2f|%5c/gi
/** `..;x` and `.;x`, which servers that know path parameters read as dot segments; Envoy sees them only unescaped. */
const DOT_PARAMETERS = /(\/\.{1,2});[^/]*/g
const SLASHES = /\/{2,}/g

function decodeSlash(escaped: string): string {
  return escaped.charCodeAt(1) === 0x32 ? '/' : '\\'
}

/**
 * `\` becomes `/`, escaped unreserved bytes are decoded, and bytes that no path may hold are escaped. A `%` that escapes
 * nothing, but would after the decoding of what follows (`%%36%31`), becomes `%25`.
 */
function canonicalize(path: string): string | null {
  let out = ''
  for (let i = 0; i < path.length; i++) {
    const c = path.charCodeAt(i)
    if (c === BACKSLASH) {
      out += '/'
    } else if (c === PERCENT) {
      const byte = hexByte(path, i + 1)
      if (byte === 0) return null
      if (byte > 0 && isUnreserved(byte)) {
        out += String.fromCharCode(byte)
        i += 2
      } else {
        out += byte < 0 && escapesOnceDecoded(path, i + 1) ? '%25' : '%'
      }
    } else if (ESCAPED.has(c)) {
      out += `%${c.toString(16).toUpperCase()}`
    } else {
      out += path[i]
    }
  }
  return out
}

/** Whether two hexadecimal digits stand at `at` once their own escapes are decoded. */
function escapesOnceDecoded(path: string, at: number): boolean {
  const first = path.charCodeAt(at) === PERCENT ? 3 : 1
  return decodesToDigit(path, at) && decodesToDigit(path, at + first)
}

function decodesToDigit(path: string, at: number): boolean {
  const c = path.charCodeAt(at)
  return hexDigit(c === PERCENT ? hexByte(path, at + 1) : c) >= 0
}

/** RFC 3986, 5.2.4. */
function removeDotSegments(path: string): string {
  const out: string[] = []
  const segments = path.split('/')
  const last = segments.length - 1
  for (let i = 1; i <= last; i++) {
    const segment = segments[i] as string
    if (segment !== '.' && segment !== '..') out.push(segment)
    else {
      if (segment === '..') out.pop()
      if (i === last) out.push('')
    }
  }
  return `/${out.join('/')}`
}

/** The value of two hexadecimal digits, or -1. */
function hexByte(text: string, at: number): number {
  const high = hexDigit(text.charCodeAt(at))
  const low = hexDigit(text.charCodeAt(at + 1))
  return high < 0 || low < 0 ? -1 : high * 16 + low
}

function hexDigit(c: number): number {
  if (c >= 0x30 && c <= 0x39) return c - 0x30
  const lower = c | 0x20
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1
}

function isUnreserved(c: number): boolean {
  const lower = c | 0x20
  return (
    (lower >= 0x61 && lower <= 0x7a) || (c >= 0x30 && c <= 0x39) || c === 0x2d || c === DOT || c === 0x5f || c === 0x7e
  )
}
