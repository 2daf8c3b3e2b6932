import { Buffer } from 'node:buffer'
import { latin1FromUtf8 } from '../header-syntax.ts'
import type { AuthorizerRequest } from './request.ts'
import type { AllowVerdict, Line, Verdict } from './verdict.ts'

/** A verdict as a response. */
export interface HttpAnswer {
  readonly status: number
  /** Flat, values as Latin-1. */
  readonly rawHeaders: readonly string[]
  readonly body: Buffer
}

/**
 * Only a 200 allows, and only a 5xx means that there is no answer. A refusal must not look like either, because the
 * latter may let the request pass.
 */
export function httpAnswer(verdict: Verdict, request: Pick<AuthorizerRequest, 'headers'>): HttpAnswer {
  switch (verdict.kind) {
    case 'allow':
      return allowed(verdict, request)
    case 'deny': {
      const { status, headers, body } = verdict
      const meansSomethingElse = status === 200 || status >= 500
      return answer(meansSomethingElse ? 403 : status, headers, body)
    }
    case 'error':
      return answer(verdict.status, [], '')
    default:
      return verdict satisfies never
  }
}

function allowed(verdict: AllowVerdict, request: Pick<AuthorizerRequest, 'headers'>): HttpAnswer {
  const { set, append, remove, responseSet, responseAdd } = verdict
  const removals: Line[] = remove.length === 0 ? [] : [['x-envoy-auth-headers-to-remove', remove.join(', ')]]
  const changed = append.length === 0 ? set : appended(set, append, request)
  return answer(200, [...changed, ...responseSet, ...responseAdd, ...removals], '')
}

/** The proxy sets what it is answered, so that what is joined goes out joined. */
function appended(
  set: readonly Line[],
  append: readonly Line[],
  { headers }: Pick<AuthorizerRequest, 'headers'>,
): readonly Line[] {
  const lines = new Map(set.map((line): [string, Line] => [line[0].toLowerCase(), line]))
  for (const [name, value] of append) {
    const lower = name.toLowerCase()
    const before = lines.get(lower)?.[1] ?? headers[lower]
    if (before === undefined || value === '') continue
    const joint = before === '' ? '' : lower === 'cookie' ? '; ' : ','
    lines.set(lower, [name, `${before}${joint}${value}`])
  }
  return [...lines.values()]
}

function answer(status: number, headers: readonly Line[], body: string): HttpAnswer {
  const rawHeaders = headers.flatMap(([name, value]) => [name, latin1FromUtf8(value)])
  return { status, rawHeaders, body: Buffer.from(body, 'utf8') }
}
