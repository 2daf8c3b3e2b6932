import type { HeaderMap } from '../../match/header-map.ts'

export interface HeaderChanges {
  readonly headers: Readonly<Record<string, string>>
  readonly removeHeaders: readonly string[]
}

/** What became of a request's headers, as changes that the proxy is to make; null when nothing did. */
export function changesBetween(before: HeaderMap, after: HeaderMap): HeaderChanges | null {
  const headers: Record<string, string> = {}
  const removeHeaders: string[] = []
  for (const name of new Set([...before, ...after].map(([name]) => name))) {
    const was = before.all(name)
    const is = after.all(name)
    if (was.length === is.length && was.every((line, i) => line === is[i])) continue
    if (is.length === 0) removeHeaders.push(name)
    else headers[name] = Buffer.from(is.join(','), 'latin1').toString('utf8')
  }
  return removeHeaders.length === 0 && Object.keys(headers).length === 0 ? null : { headers, removeHeaders }
}
