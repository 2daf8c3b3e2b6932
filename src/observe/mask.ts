/** What stands in place of a secret. */
export const MASKED = '[masked]'

/** Longest header value, and longest target, that is shown; what is longer ends in an ellipsis. */
const VALUE_LIMIT = 512
const TARGET_LIMIT = 2048
const LINE_LIMIT = 128

const secretHeaders: ReadonlySet<string> = new Set([
  'authorization',
  'proxy-authorization',
  'cookie',
  'set-cookie',
  'x-api-key',
  'x-auth-request-access-token',
  'x-csrf-token',
  'x-forwarded-access-token',
])

const secretParameters: ReadonlySet<string> = new Set([
  'assertion',
  'auth',
  'authorization',
  'code',
  'credential',
  'key',
  'pass',
  'pwd',
  'sid',
  'sig',
  'signature',
])

/** Parts of a name that tell a secret wherever they stand: `id_token`, `client_secret`, `x-goog-api-key`. */
const secretWord = /token|secret|session|jwt|passw|passphrase|api[-_]?key|credential|signature/

/** A JSON Web Token, or the beginning of one: base64url of `{"`. */
const webToken = /eyJ[\w-]{10,}[\w.-]*/g

/**
 * Header lines as a log may show them: values of headers that carry credentials are hidden, as are tokens in any other.
 * At most 128 lines and 512 characters a value. `also` names further headers to hide, in lower case, such as those that
 * a RequestAuthentication reads tokens from.
 */
export function maskHeaders(
  lines: Iterable<readonly [name: string, value: string]>,
  also: ReadonlySet<string> = new Set(),
): [name: string, value: string][] {
  const shown: [string, string][] = []
  for (const [name, value] of lines) {
    if (shown.length === LINE_LIMIT) break
    shown.push([cut(name, VALUE_LIMIT), maskHeader(name.toLowerCase(), value, also)])
  }
  return shown
}

/** One header's value as `maskHeaders` shows it. `name` is lower-case. */
export function maskHeader(name: string, value: string, also: ReadonlySet<string> = new Set()): string {
  if (also.has(name) || isSecretHeader(name)) return MASKED
  // It holds a target, with whatever stood in its parameters.
  return name === 'referer' ? cut(maskTarget(value), VALUE_LIMIT) : maskText(cut(value, VALUE_LIMIT))
}

/** Whether the names of headers that came before tell a secret: most requests have the same. */
const judged = new Map<string, boolean>()
const MOST_JUDGED = 512
const LONGEST_JUDGED = 64

function isSecretHeader(name: string): boolean {
  const known = judged.get(name)
  if (known !== undefined) return known
  const secret = secretHeaders.has(name) || secretWord.test(name)
  if (name.length <= LONGEST_JUDGED) {
    if (judged.size === MOST_JUDGED) judged.clear()
    judged.set(name, secret)
  }
  return secret
}

/**
 * A request target as a log may show it: values of parameters that carry credentials, user information and tokens
 * anywhere are hidden. At most 2048 characters. `also` names further parameters to hide, in lower case.
 */
export function maskTarget(target: string, also: ReadonlySet<string> = new Set()): string {
  const shown = cut(target, TARGET_LIMIT)
  const mark = shown.search(/[?#]/)
  const path = mark === -1 ? shown : shown.slice(0, mark)
  const visible = maskText(path.replace(/^([a-z][a-z0-9+.-]*:\/\/)[^/]*@/i, `$1${MASKED}@`))
  if (mark === -1) return visible
  return visible + maskText(maskParameters(shown.slice(mark), also))
}

/** The beginning of any text as a log may show it: at most 512 characters, without tokens. */
export function maskBody(text: string): string {
  return maskText(cut(text, VALUE_LIMIT))
}

/** Applications read `;`, what follows a `#`, and a second `?` inside a value, as parameters too. */
function maskParameters(query: string, also: ReadonlySet<string>): string {
  let masked = ''
  let from = 0
  for (const { 0: start, 1: name = '', index } of query.matchAll(/[?#&;]([^?#&;=]*)=/g)) {
    const at = index + start.length
    if (index < from || !isSecretParameter(name, also)) continue
    const length = query.slice(at).search(/[#&;]/)
    masked += query.slice(from, at) + MASKED
    from = length === -1 ? query.length : at + length
  }
  return masked + query.slice(from)
}

function isSecretParameter(name: string, also: ReadonlySet<string>): boolean {
  const lower = decoded(name).toLowerCase()
  return secretParameters.has(lower) || also.has(lower) || secretWord.test(lower)
}

function maskText(text: string): string {
  return text.includes('eyJ') ? text.replace(webToken, MASKED) : text
}

function cut(text: string, limit: number): string {
  return text.length <= limit ? text : `${text.slice(0, limit)}…`
}

function decoded(name: string): string {
  if (!name.includes('%')) return name
  try {
    return decodeURIComponent(name)
  } catch {
    return name
  }
}
