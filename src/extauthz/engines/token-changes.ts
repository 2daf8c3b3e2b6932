import type { HeaderMap } from '../../match/header-map.ts'
import type { AllowOptions } from '../server/answer.ts'

/** What became of a request's headers on the way, as changes that the proxy is to make. Both are bytes as Latin-1. */
export function changesBetween(before: HeaderMap, after: HeaderMap): Pick<AllowOptions, 'headers' | 'removeHeaders'> {
  const headers: Record<string, string> = Object.create(null)
  const removeHeaders: string[] = []
  let changed = false
  for (const name of new Set([...before, ...after].map(([name]) => name))) {
    const was = before.all(name)
    const is = after.all(name)
    if (was.length === is.length && was.every((line, i) => line === is[i])) continue
    changed = true
    if (is.length === 0) removeHeaders.push(name)
    else headers[name] = Buffer.from(is.join(','), 'latin1').toString('utf8')
  }
  return changed ? { headers, removeHeaders } : NO_CHANGES
}

export const NO_CHANGES: Pick<AllowOptions, 'headers' | 'removeHeaders'> = {}
