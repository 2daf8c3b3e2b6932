import { unescape as decodeQuery } from 'node:querystring'
import { type Answer, allow, deny } from '../../server/answer.ts'
import { isStatus } from './status.ts'

/** What the result of a policy means. */
export type Reading =
  | { readonly kind: 'answer'; readonly answer: Answer }
  /** It is no result of OPA's plug-in for Envoy, which then answers with an error. Quotes no value. */
  | { readonly kind: 'unreadable'; readonly message: string }

/**
 * Reads a result as OPA's plug-in for Envoy does: true or false, or an object with `allowed` and what to change. Every
 * entry of `headers` that has several values sets the header to its last one when the request is allowed, because that
 * is what Envoy makes of them; of a denial and of `response_headers_to_add` each value is a line.
 */
export function readResult(result: unknown): Reading {
  if (typeof result === 'boolean') return answer(result ? allow() : deny())
  if (!isObject(result)) return unreadable('the result is neither true or false nor an object')
  if (!Object.hasOwn(result, 'allowed')) return unreadable('the result has no `allowed`')
  if (typeof result.allowed !== 'boolean') return unreadable('`allowed` is neither true nor false')
  try {
    return answer(result.allowed ? readAllow(result) : readDeny(result))
  } catch (error) {
    if (error instanceof Unreadable) return unreadable(error.message)
    throw error
  }
}

type Members = Readonly<Record<string, unknown>>

class Unreadable extends Error {}

function readAllow(result: Members): Answer {
  const query = new Map<string, string>()
  for (const [name, value] of lines(result, 'query_parameters_to_set', false)) query.set(meant(name), meant(value))
  return allow({
    headers: Object.fromEntries(lines(result, 'headers')),
    removeHeaders: strings(result, 'request_headers_to_remove'),
    responseHeaders: gathered(lines(result, 'response_headers_to_add')),
    query: Object.fromEntries(query),
    removeQuery: strings(result, 'query_parameters_to_remove').map(meant),
    metadata: metadata(result),
  })
}

function readDeny(result: Members): Answer {
  const { body = '', http_status: status = 403 } = result
  if (typeof body !== 'string') throw new Unreadable('`body` is no string')
  if (typeof status !== 'number' || !isStatus(status)) throw new Unreadable('`http_status` is no status')
  return deny({ status, headers: gathered(lines(result, 'headers')), body, metadata: metadata(result) })
}

/** Policies give parameters as they are to stand in the query; answers give them as they are meant, to be encoded. */
function meant(text: string): string {
  return decodeQuery(text.replaceAll('+', ' '))
}

type Line = readonly [name: string, value: string]

/** Of an object whose values are strings or lists of strings; `listed`: or of a list of such objects. */
function lines(result: Members, field: string, listed = true): readonly Line[] {
  const value = Object.hasOwn(result, field) ? result[field] : {}
  const objects = listed && Array.isArray(value) ? value : [value]
  return objects.flatMap((object: unknown) => {
    if (!isObject(object)) throw new Unreadable(`\`${field}\` is no object`)
    return Object.entries(object).flatMap(([name, values]) => {
      const list: readonly unknown[] = Array.isArray(values) ? values : [values]
      return list.map((one): Line => {
        if (typeof one !== 'string') throw new Unreadable(`\`${field}\` has a value that is no string`)
        return [name, one]
      })
    })
  })
}

function gathered(all: readonly Line[]): Record<string, string[]> {
  const names = new Map<string, string[]>()
  for (const [name, value] of all) {
    const values = names.get(name)
    if (values === undefined) names.set(name, [value])
    else values.push(value)
  }
  return Object.fromEntries(names)
}

function strings(result: Members, field: string): readonly string[] {
  const value = Object.hasOwn(result, field) ? result[field] : []
  if (!Array.isArray(value) || value.some((one) => typeof one !== 'string')) {
    throw new Unreadable(`\`${field}\` is no list of strings`)
  }
  return value
}

type Metadata = NonNullable<Parameters<typeof allow>[0]>['metadata'] & object

function metadata(result: Members): Metadata {
  const value = Object.hasOwn(result, 'dynamic_metadata') ? result.dynamic_metadata : {}
  if (!isObject(value)) throw new Unreadable('`dynamic_metadata` is no object')
  return value as Metadata
}

function isObject(value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function answer(given: Answer): Reading {
  return { kind: 'answer', answer: given }
}

function unreadable(message: string): Reading {
  return { kind: 'unreadable', message }
}
