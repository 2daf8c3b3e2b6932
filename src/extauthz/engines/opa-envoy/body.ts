import type { Buffer } from 'node:buffer'
import { parseJson, printValue } from '../rego/text.ts'
import { parseMediaType } from './media-type.ts'
import { parseMultipart } from './multipart.ts'
import { parseParameters } from './url-encoding.ts'

export type ParsedBody =
  /** JSON of what the body says. */
  | { readonly kind: 'parsed'; readonly json: string }
  /** It says nothing that can be read: there is none, or it is of another type. */
  | { readonly kind: 'none' }
  /** It is longer than what came. */
  | { readonly kind: 'truncated' }
  | { readonly kind: 'malformed'; readonly message: string }

const none = { kind: 'none' } as const

/** Reads a body of JSON or of a form (`headers` are those of the request, by lower-case name). */
export function parseBody(headers: unknown, body: Buffer): ParsedBody {
  if (header(headers, 'x-envoy-auth-partial-body') === 'true') return { kind: 'truncated' }
  const type = header(headers, 'content-type')
  const parse = type === undefined ? undefined : parserOf(type)
  if (parse === undefined || type === undefined || body.length === 0) return none
  const length = header(headers, 'content-length')
  if (length !== undefined) {
    if (!/^[+-]?[0-9]{1,18}$/.test(length)) return malformed('the content-length is no number')
    if (Number(length) > body.length) return { kind: 'truncated' }
  }
  return parse(body, type)
}

type Parse = (body: Buffer, type: string) => ParsedBody

/** In the plug-in's order: whichever type is named somewhere in the header. */
function parserOf(type: string): Parse | undefined {
  if (type.includes('application/json')) return parseJsonBody
  // Of gRPC the plug-in reads only messages that it was given descriptors of.
  if (type.includes('application/grpc')) return undefined
  if (type.includes('application/x-www-form-urlencoded')) return parseForm
  if (type.includes('multipart/form-data')) return parseMultipartForm
  return undefined
}

function parseJsonBody(body: Buffer): ParsedBody {
  const json = normalJson(body.toString('utf8'))
  return json === null ? malformed('the body is no JSON') : { kind: 'parsed', json }
}

/** JSON that says the same, with every number as it was written; null when the text is no JSON. */
function normalJson(text: string): string | null {
  const parsed = parseJson(text)
  return parsed === null ? null : printValue(parsed.value)
}

function parseForm(body: Buffer): ParsedBody {
  const parameters = parseParameters(body.toString('utf8'))
  if (parameters === null) return malformed('the form is malformed')
  return { kind: 'parsed', json: printValue(new Map(parameters)) }
}

function parseMultipartForm(body: Buffer, type: string): ParsedBody {
  const mediaType = parseMediaType(type)
  if (mediaType === null) return malformed('the content-type is malformed')
  const boundary = mediaType.parameters.get('boundary')
  if (boundary === undefined) return none
  const parts = parseMultipart(body, boundary)
  if (parts === null) return malformed('the multipart form is malformed')
  const fields = new Map<string, string[]>()
  for (const { name, contentType, content } of parts) {
    const text = content.toString('utf8')
    const json = contentType.includes('application/json') ? normalJson(text) : printValue(text)
    if (json === null) return malformed('a field of the form is no JSON')
    const values = fields.get(name)
    if (values === undefined) fields.set(name, [json])
    else values.push(json)
  }
  const members = [...fields].map(([name, values]) => `${printValue(name)}:[${values.join(',')}]`)
  return { kind: 'parsed', json: `{${members.join(',')}}` }
}

function header(headers: unknown, name: string): string | undefined {
  if (typeof headers !== 'object' || headers === null || !Object.hasOwn(headers, name)) return undefined
  const value = (headers as Readonly<Record<string, unknown>>)[name]
  return typeof value === 'string' ? value : undefined
}

function malformed(message: string): ParsedBody {
  return { kind: 'malformed', message }
}
