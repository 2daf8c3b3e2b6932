/**
 * The path of the document that a query names, as OPA's own tools write entry points: `envoy/authz/allow` for
 * `data.envoy.authz.allow`, for `data.envoy["authz"].allow`, and for the form that OPA's plug-in for Envoy takes
 * (`envoy/authz/allow`, with or without a slash before it). Null for anything else, such as an expression.
 */
export function parseQuery(text: string): readonly string[] | null {
  const trimmed = text.trim()
  if (trimmed === 'data' || trimmed.startsWith('data.') || trimmed.startsWith('data[')) return parseReference(trimmed)
  const parts = trimmed.replace(/^\/+/, '').split('/')
  return parts.every((part) => /^[^\s/?#"[\]{}()]+$/.test(part)) ? parts : null
}

function parseReference(text: string): readonly string[] | null {
  const parts: string[] = []
  const part = /\.([A-Za-z_][A-Za-z0-9_]*)|\["((?:[^"\\]|\\.)*)"\]/y
  let at = 'data'.length
  while (at < text.length) {
    part.lastIndex = at
    const match = part.exec(text)
    if (match === null) return null
    const name = match[1] ?? unquote(match[2] as string)
    if (name === null || name === '' || name.includes('/')) return null
    parts.push(name)
    at = part.lastIndex
  }
  return parts.length === 0 ? null : parts
}

function unquote(text: string): string | null {
  try {
    return JSON.parse(`"${text}"`) as string
  } catch {
    return null
  }
}
