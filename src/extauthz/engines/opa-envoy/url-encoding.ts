import { Buffer } from 'node:buffer'

/** As many parameters as Go reads. */
const MAX_PARAMETERS = 10_000

/**
 * The parameters of a query or a form, each with all its values, in the order of their first: null when it is malformed.
 * A semicolon is refused, as Go refuses it: servers disagree about what it separates.
 */
export function parseParameters(text: string): ReadonlyMap<string, readonly string[]> | null {
  const parameters = new Map<string, string[]>()
  if (text === '') return parameters
  const parts = text.split('&', MAX_PARAMETERS + 1)
  if (parts.length > MAX_PARAMETERS) return null
  for (const part of parts) {
    if (part.includes(';')) return null
    if (part === '') continue
    const equals = part.indexOf('=')
    const key = unescapeForm(equals === -1 ? part : part.slice(0, equals))
    const value = equals === -1 ? '' : unescapeForm(part.slice(equals + 1))
    if (key === null || value === null) return null
    const values = parameters.get(key)
    if (values === undefined) parameters.set(key, [value])
    else values.push(value)
  }
  return parameters
}

/** Without percent-encoding, and with spaces for `+`. */
export function unescapeForm(text: string): string | null {
  return unescapePercent(text.includes('+') ? text.replaceAll('+', ' ') : text)
}

/** Without percent-encoding; null when a `%` is not followed by two digits. Bytes that are no UTF-8 become U+FFFD. */
export function unescapePercent(text: string): string | null {
  if (!text.includes('%')) return text
  if (/%(?![0-9a-fA-F]{2})/.test(text)) return null
  try {
    return decodeURIComponent(text)
  } catch {
    const bytes = Buffer.from(text, 'utf8').toString('latin1')
    const decoded = bytes.replace(/%(..)/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)))
    return Buffer.from(decoded, 'latin1').toString('utf8')
  }
}
