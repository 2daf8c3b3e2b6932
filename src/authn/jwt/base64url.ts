const pad = 0x3d

/** What nearly every token is made of. */
const unpadded = /^[A-Za-z0-9_-]*$/

/**
 * Decodes base64url as Envoy's Abseil does, which RFC 7515 would refuse: ASCII white space is skipped, padding may be
 * absent or complete, and the unused bits of the last character are not checked. Null when `text` is not base64url.
 */
export function decodeBase64url(text: string): Buffer | null {
  if (unpadded.test(text)) return (text.length & 3) === 1 ? null : Buffer.from(text, 'base64url')
  let symbols = 0
  let pads = 0
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i)
    if (isSymbol(c)) {
      if (pads > 0) return null
      symbols++
    } else if (c === pad) {
      pads++
    } else if (!isSpace(c)) {
      return null
    }
  }
  const rest = symbols & 3
  if (rest === 1) return null
  if (pads !== 0 && pads !== (4 - rest) % 4) return null
  return Buffer.from(text.replace(/[\s=]/g, ''), 'base64url')
}

function isSymbol(c: number): boolean {
  return (c >= 0x61 && c <= 0x7a) || (c >= 0x41 && c <= 0x5a) || (c >= 0x30 && c <= 0x39) || c === 0x2d || c === 0x5f
}

function isSpace(c: number): boolean {
  return c === 0x20 || (c >= 0x09 && c <= 0x0d)
}
