/**
 * The blocks of one kind in a text (RFC 7468), each with its line feed. What stands between them says nothing, as in
 * OpenSSL; a block that never ends is kept as it is, for its parser to refuse.
 */
export function splitPem(text: string, label: 'CERTIFICATE' | 'PRIVATE KEY'): readonly string[] {
  const begin = `-----BEGIN ${label}-----`
  const end = `-----END ${label}-----`
  const blocks: string[] = []
  for (let at = text.indexOf(begin); at !== -1; ) {
    const found = text.indexOf(end, at)
    const stop = found === -1 ? text.length : found + end.length
    blocks.push(`${text.slice(at, stop).replaceAll('\r', '')}\n`)
    at = text.indexOf(begin, stop)
  }
  return blocks
}
