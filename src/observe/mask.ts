/** What stands in a log where a secret was. */
export const MASKED = '[masked]'

/** Header fields that carry credentials. */
const SECRET_FIELDS: ReadonlySet<string> = new Set([
  'authorization',
  'proxy-authorization',
  'cookie',
  'set-cookie',
  'x-api-key',
  'x-auth-request-access-token',
  'x-forwarded-access-token',
])

/** Words that make a field or query parameter a secret wherever they stand in its name. */
const SECRET_WORD = /token|secret|passw|api[-_]?key|credential|signature|session|jwt/i

/** A JSON Web Token, wherever it was put. */
const JWT = /eyJ[\w-]*\.[\w-]+\.[\w-]*/g

/** A header value for a log. `name` is lower-case. */
export function maskHeader(name: string, value: string): string {
  if (SECRET_FIELDS.has(name) || SECRET_WORD.test(name)) return MASKED
  return value.includes('eyJ') ? value.replace(JWT, MASKED) : value
}

/** A request target for a log: values of query parameters that look like secrets are masked, the rest is kept. */
export function maskTarget(target: string): string {
  const question = target.indexOf('?')
  if (question === -1) return target.includes('eyJ') ? target.replace(JWT, MASKED) : target
  const query = target
    .slice(question + 1)
    .split('&')
    .map(maskParameter)
    .join('&')
  return `${maskTarget(target.slice(0, question))}?${query}`
}

function maskParameter(pair: string): string {
  const equals = pair.indexOf('=')
  if (equals === -1) return pair.replace(JWT, MASKED)
  const name = pair.slice(0, equals)
  const secret = SECRET_WORD.test(decodeName(name)) || name === 'code'
  return `${name}=${secret ? MASKED : pair.slice(equals + 1).replace(JWT, MASKED)}`
}

function decodeName(name: string): string {
  try {
    return decodeURIComponent(name)
  } catch {
    return name
  }
}
