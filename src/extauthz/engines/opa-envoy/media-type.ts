/** A header such as `Content-Type` or `Content-Disposition`, as Go's `mime.ParseMediaType` understands it. */
export interface MediaType {
  /** Lower-case. */
  readonly type: string
  /** By lower-case name. */
  readonly parameters: ReadonlyMap<string, string>
}

const token = "[!#$%&'*+\\-.0-9A-Z^_`a-z{|}~]+"
const typeSyntax = new RegExp(`^${token}(?:/${token})?$`)
const nameSyntax = new RegExp(`\\s*;\\s*(${token})\\s*=\\s*`, 'y')
const tokenSyntax = new RegExp(token, 'y')
const quotedSyntax = /"((?:[^"\\\r\n]|\\[^\r\n]|\\(?=[\r\n]))*)"/y
/** What a backslash escapes; before anything else it stands for itself, as in the paths that browsers once sent. */
const escaped = /\\([()<>@,;:\\"/[\]?=])/g

/** Null when it is malformed. Parameters in pieces (RFC 2231) count as malformed: no client of today sends them. */
export function parseMediaType(text: string): MediaType | null {
  const semicolon = text.indexOf(';')
  const type = (semicolon === -1 ? text : text.slice(0, semicolon)).trim().toLowerCase()
  if (!typeSyntax.test(type)) return null
  const parameters = new Map<string, string>()
  let at = semicolon === -1 ? text.length : semicolon
  while (at < text.length) {
    const rest = text.slice(at).trim()
    if (rest === '' || rest === ';') break
    nameSyntax.lastIndex = at
    const name = nameSyntax.exec(text)?.[1]?.toLowerCase()
    if (name === undefined || name.includes('*')) return null
    const value = parameterValue(text, nameSyntax.lastIndex)
    if (value === null) return null
    const before = parameters.get(name)
    if (before !== undefined && before !== value.text) return null
    parameters.set(name, value.text)
    at = value.end
  }
  return { type, parameters }
}

function parameterValue(text: string, at: number): { readonly text: string; readonly end: number } | null {
  const syntax = text[at] === '"' ? quotedSyntax : tokenSyntax
  syntax.lastIndex = at
  const match = syntax.exec(text)
  if (match === null) return null
  const [whole, quoted] = match
  return { text: quoted === undefined ? whole : quoted.replace(escaped, '$1'), end: syntax.lastIndex }
}
