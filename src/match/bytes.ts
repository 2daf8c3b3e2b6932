/**
 * A policy's text as the bytes that a request carries: UTF-8, one Latin-1 character a byte. Headers, paths, hosts and
 * methods are compared in this form; claims are text on both sides.
 */
export function asBytes(text: string): string {
  for (let i = 0; i < text.length; i++) {
    if (text.charCodeAt(i) > 0x7f) return Buffer.from(text, 'utf8').toString('latin1')
  }
  return text
}

/** Lower-cases A to Z only: what Envoy means by ignoring case. Returns `text` itself when nothing changes. */
export function asciiLower(text: string): string {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code >= 0x41 && code <= 0x5a) return text.replace(/[A-Z]/g, (letter) => letter.toLowerCase())
  }
  return text
}
