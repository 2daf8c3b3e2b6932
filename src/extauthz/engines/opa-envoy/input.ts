import { Buffer } from 'node:buffer'
import type { Attributes } from '../../server/request.ts'
import { pluginAttributes } from './attributes.ts'
import { type ParsedBody, parseBody } from './body.ts'
import { parseParameters, unescapePercent } from './url-encoding.ts'

/** The input document of OPA's plug-in for Envoy. */
export type Input =
  /** Its JSON. */
  | { readonly kind: 'input'; readonly json: string }
  /** What the plug-in answers with 400: the request cannot be read as it says it is. Quotes nothing of the request. */
  | { readonly kind: 'malformed'; readonly message: string }

/** Says of a check what OPA's plug-in for Envoy says of it, so that a policy for the plug-in can read it. */
export function toInput(attributes: Attributes): Input {
  const http = field(field(attributes, 'request'), 'http')
  const path = textOf(http, 'path')
  const question = path.indexOf('?')
  const decoded = unescapePercent(question === -1 ? path : path.slice(0, question))
  if (decoded === null) return malformed('the path has an invalid escape')
  const query = parseParameters(question === -1 ? '' : path.slice(question + 1))
  if (query === null) return malformed('the query is malformed')
  const body = parseBody(field(http, 'headers'), bodyOf(http))
  if (body.kind === 'malformed') return body
  return { kind: 'input', json: write(attributes, decoded.replace(/^\/+/, '').split('/'), query, body) }
}

function write(
  attributes: Attributes,
  path: readonly string[],
  query: ReadonlyMap<string, readonly string[]>,
  body: Exclude<ParsedBody, { kind: 'malformed' }>,
): string {
  const principal = textOf(field(attributes, 'source'), 'principal')
  const parts = [
    `"attributes":${json(pluginAttributes(attributes))}`,
    '"version":{"ext_authz":"v3","encoding":"protojson"}',
    `"parsed_path":${json(path)}`,
    `"parsed_query":${json(Object.fromEntries(query))}`,
    `"parsed_body":${body.kind === 'parsed' ? body.json : 'null'}`,
    `"truncated_body":${body.kind === 'truncated'}`,
  ]
  if (principal !== '') parts.push(`"source_principal":${json(principal)}`)
  return `{${parts.join(',')}}`
}

/** The body as text where the proxy sent text, else its bytes. */
function bodyOf(http: unknown): Buffer {
  const text = textOf(http, 'body')
  return text === '' ? Buffer.from(textOf(http, 'rawBody'), 'base64') : Buffer.from(text, 'utf8')
}

const loneSurrogate = /\p{Surrogate}/u

/** Half of a surrogate pair is no text that a policy could read. */
function json(value: unknown): string {
  const text = JSON.stringify(value)
  // JSON.stringify escapes such halves, and OPA's reader would stop at them.
  return /\\ud[89a-f]/.test(text) ? JSON.stringify(replaceSurrogates(JSON.parse(text))) : text
}

function replaceSurrogates(value: unknown): unknown {
  if (typeof value === 'string') return loneSurrogate.test(value) ? Buffer.from(value).toString() : value
  if (Array.isArray(value)) return value.map(replaceSurrogates)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map((entry) => entry.map(replaceSurrogates)))
}

function field(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined
  return Object.hasOwn(value, name) ? (value as Readonly<Record<string, unknown>>)[name] : undefined
}

function textOf(value: unknown, name: string): string {
  const text = field(value, name)
  return typeof text === 'string' ? text : ''
}

function malformed(message: string): Input {
  return { kind: 'malformed', message }
}
