import type { HeaderMap } from '../../match/header-map.ts'

export interface HeaderChanges {
  readonly headers: Readonly<Record<string, string>>
  readonly removeHeaders: readonly string[]
}

/** What became of a request's headers, as changes that the proxy is to make; null when nothing did. */
export function changesBetween(before: HeaderMap, after: HeaderMap): HeaderChanges | null {
  if (sameLines(before, after)) return null
  const is = valuesOf(after)
  const headers: [string, string][] = []
  const removeHeaders: string[] = []
  for (const [name, was] of valuesOf(before)) {
    const now = is.get(name)
    is.delete(name)
    if (now === undefined) removeHeaders.push(name)
    else if (now !== was) headers.push([name, textOf(now)])
  }
  for (const [name, value] of is) headers.push([name, textOf(value)])
  return { headers: Object.fromEntries(headers), removeHeaders }
}

function sameLines(a: HeaderMap, b: HeaderMap): boolean {
  if (a.size !== b.size) return false
  for (let i = 0; i < a.size; i++) if (a.nameAt(i) !== b.nameAt(i) || a.valueAt(i) !== b.valueAt(i)) return false
  return true
}

/** Lines of one name are joined: an answer has room for one. */
function valuesOf(headers: HeaderMap): Map<string, string> {
  const values = new Map<string, string>()
  for (let i = 0; i < headers.size; i++) {
    const name = headers.nameAt(i)
    const before = values.get(name)
    values.set(name, before === undefined ? headers.valueAt(i) : `${before},${headers.valueAt(i)}`)
  }
  return values
}

function textOf(bytes: string): string {
  return Buffer.from(bytes, 'latin1').toString('utf8')
}
