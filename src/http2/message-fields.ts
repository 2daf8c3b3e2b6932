/** What a request or response says first, after RFC 9113, section 8.3, and what it may say at all, after 8.2. */

/** Why a list of fields is malformed; null when it is not. */
export type Malformed = string | null

const requestPseudo: ReadonlySet<string> = new Set([':method', ':scheme', ':path', ':authority'])

/** RFC 9113, section 8.2.2: what speaks of the connection has no place here. */
const ofConnection: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
])

/** `fields` are names and values in turn. */
export function checkRequest(fields: readonly string[]): Malformed {
  let method = ''
  let scheme = false
  let path = ''
  let regular = false
  const seen = new Set<string>()
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] as string
    const value = fields[i + 1] as string
    if (!name.startsWith(':')) {
      regular = true
      const malformed = checkField(name, value)
      if (malformed !== null) return malformed
      continue
    }
    if (regular) return 'a pseudo-field stands behind a field'
    if (!requestPseudo.has(name)) return 'there is no such pseudo-field'
    if (seen.has(name)) return 'a pseudo-field comes twice'
    if (!isValue(value)) return 'a pseudo-field has octets that it may not have'
    seen.add(name)
    if (name === ':method') method = value
    else if (name === ':scheme') scheme = true
    else if (name === ':path') path = value
  }
  if (method === '') return 'there is no :method'
  if (method === 'CONNECT') return scheme || path !== '' ? 'CONNECT has a :scheme or a :path' : null
  return scheme && path !== '' ? null : 'there is no :scheme or no :path'
}

export function checkResponse(fields: readonly string[]): Malformed {
  if (fields[0] !== ':status' || !/^[1-9][0-9]{2}$/.test(fields[1] as string)) return 'there is no :status'
  return checkTrailers(fields.slice(2))
}

/** No pseudo-field may come after the body. */
export function checkTrailers(fields: readonly string[]): Malformed {
  for (let i = 0; i < fields.length; i += 2) {
    const malformed = checkField(fields[i] as string, fields[i + 1] as string)
    if (malformed !== null) return malformed
  }
  return null
}

function checkField(name: string, value: string): Malformed {
  if (!isName(name)) return 'the name of a field has octets that it may not have'
  if (!isValue(value)) return 'the value of a field has octets that it may not have'
  if (ofConnection.has(name)) return 'a field speaks of the connection'
  return name === 'te' && value !== 'trailers' ? '`te` says something else than `trailers`' : null
}

/** A token in lower case (RFC 9110, section 5.6.2). */
function isName(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (nameOctets[text.charCodeAt(i)] !== 1) return false
  return text.length > 0
}

/** Without NUL, CR and LF, and without white space around it (RFC 9113, section 8.2.1). */
function isValue(text: string): boolean {
  const last = text.length - 1
  if (last < 0) return true
  if (isSpace(text.charCodeAt(0)) || isSpace(text.charCodeAt(last))) return false
  for (let i = 0; i <= last; i++) {
    const code = text.charCodeAt(i)
    if (code === 0 || code === 10 || code === 13) return false
  }
  return true
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x09
}

const nameOctets = new Uint8Array(256)
for (const character of "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz") {
  nameOctets[character.charCodeAt(0)] = 1
}
