/** One entry of Node's `subjectAltName` text, such as `URI` and `spiffe://...`. */
export interface NamedEntry {
  readonly type: string
  readonly value: string
}

/**
 * Splits Node's `subjectAltName`: entries joined by `, `, of which Node writes those with unusual bytes as JSON strings
 * (CVE-2021-44532), so that a comma inside a name never starts an entry. Null when the text is not of that form.
 */
export function splitSubjectAlternativeNames(text: string | undefined): readonly NamedEntry[] | null {
  const entries: NamedEntry[] = []
  if (text === undefined || text === '') return entries
  for (let at = 0; ; ) {
    const colon = text.indexOf(':', at)
    if (colon === -1) return null
    const quoted = text[colon + 1] === '"'
    const end = quoted ? endOfString(text, colon + 1) : endOfPlain(text, colon + 1)
    const value = quoted ? unquote(text.slice(colon + 1, end)) : text.slice(colon + 1, end)
    if (value === null) return null
    entries.push({ type: text.slice(at, colon), value })
    if (end === text.length) return entries
    if (!text.startsWith(', ', end)) return null
    at = end + 2
  }
}

function endOfPlain(text: string, start: number): number {
  const end = text.indexOf(', ', start)
  return end === -1 ? text.length : end
}

function endOfString(text: string, start: number): number {
  for (let i = start + 1; i < text.length; i++) {
    if (text[i] === '\\') i++
    else if (text[i] === '"') return i + 1
  }
  return text.length
}

function unquote(text: string): string | null {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'string' ? value : null
  } catch {
    return null
  }
}
