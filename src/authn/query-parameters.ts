/**
 * Reads and cuts query parameters on the raw target. Names and values are compared and returned percent-decoded, as
 * Envoy does (`+` stays, an escape that is none stays); what is not cut keeps its bytes.
 */

/** The first value of parameter `name`; empty when it has no `=`. Undefined when it is not there. */
export function readParameter(target: string, name: string): string | undefined {
  return readParameters(target, name, 1)[0]
}

/** The first `most` values of parameter `name`. */
export function readParameters(target: string, name: string, most: number): readonly string[] {
  const query = queryOf(target)
  const values: string[] = []
  if (query === null) return values
  for (let start = query.start; start < query.end && values.length < most; ) {
    const end = pairEnd(target, start, query.end)
    if (nameMatches(target, start, end, name)) {
      const equals = target.indexOf('=', start)
      values.push(equals === -1 || equals >= end ? '' : percentDecode(target.slice(equals + 1, end)))
    }
    start = end + 1
  }
  return values
}

/** The target without any parameter `name`; without its `?` when none is left. */
export function cutParameter(target: string, name: string): string {
  const query = queryOf(target)
  if (query === null) return target
  const kept: string[] = []
  let cut = false
  for (let start = query.start; start < query.end; ) {
    const end = pairEnd(target, start, query.end)
    if (nameMatches(target, start, end, name)) cut = true
    else kept.push(target.slice(start, end))
    start = end + 1
  }
  if (!cut) return target
  const path = target.slice(0, query.start - 1)
  const rest = target.slice(query.end)
  return kept.length === 0 ? path + rest : `${path}?${kept.join('&')}${rest}`
}

/** A `#` ends the query, and one before the `?` means that there is none. */
function queryOf(target: string): { readonly start: number; readonly end: number } | null {
  const mark = target.indexOf('?')
  if (mark === -1) return null
  const hash = target.indexOf('#')
  if (hash !== -1 && hash < mark) return null
  return { start: mark + 1, end: hash === -1 ? target.length : hash }
}

function pairEnd(target: string, start: number, limit: number): number {
  const end = target.indexOf('&', start)
  return end === -1 || end > limit ? limit : end
}

function nameMatches(target: string, start: number, end: number, name: string): boolean {
  const equals = target.indexOf('=', start)
  const nameEnd = equals === -1 || equals > end ? end : equals
  if (nameEnd - start < name.length) return false
  if (nameEnd - start === name.length) return target.startsWith(name, start)
  return percentDecode(target.slice(start, nameEnd)) === name
}

/** To bytes as Latin-1. */
function percentDecode(text: string): string {
  if (!text.includes('%')) return text
  return text.replace(/%([0-9a-fA-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
}
