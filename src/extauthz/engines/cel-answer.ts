import { type CelValue, isCelList, isCelMap } from '@bufbuild/cel'
import { type Answer, allow, deny } from '../server/answer.ts'

/** What a map may hold that an expression gives. */
export const ANSWER_KEYS = ['allow', 'headers', 'removeHeaders', 'responseHeaders', 'status', 'body'] as const

/**
 * What an expression's value means: `true`, `false`, or a map with `allow`. On allow `headers` are set on the request,
 * `removeHeaders` leave it, `responseHeaders` go to the client; on deny `status`, `headers` and `body` are the answer.
 * Null, with no request allowed, for anything else.
 */
export function answerOf(value: CelValue): Answer | null {
  if (typeof value === 'boolean') return value ? allow() : deny()
  if (!isCelMap(value)) return null
  const known = new Set<string>(ANSWER_KEYS)
  if ([...value.keys()].some((key) => typeof key !== 'string' || !known.has(key))) return null
  const allowed = value.get('allow')
  const headers = headersOf(value.get('headers'))
  const responseHeaders = headersOf(value.get('responseHeaders'))
  const removeHeaders = textsOf(value.get('removeHeaders'))
  if (typeof allowed !== 'boolean' || headers === null || responseHeaders === null || removeHeaders === null)
    return null
  if (allowed) return allow({ headers, removeHeaders, responseHeaders })
  const status = value.get('status') ?? 403n
  const body = value.get('body') ?? ''
  if (typeof status !== 'bigint' || typeof body !== 'string') return null
  return deny({ status: Number(status), headers, body })
}

function headersOf(value: CelValue | undefined): Record<string, string> | null {
  if (value === undefined) return {}
  if (!isCelMap(value)) return null
  const headers: [string, string][] = []
  for (const [name, one] of value.entries()) {
    if (typeof name !== 'string' || typeof one !== 'string') return null
    headers.push([name, one])
  }
  return Object.fromEntries(headers)
}

function textsOf(value: CelValue | undefined): string[] | null {
  if (value === undefined) return []
  if (!isCelList(value)) return null
  const texts = [...value].filter((one) => typeof one === 'string')
  return texts.length === value.size ? texts : null
}
