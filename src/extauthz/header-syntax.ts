import { Buffer } from 'node:buffer'

/** RFC 9110, section 5.6.2: the characters of a token. */
const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/

/** RFC 9110, section 5.5: no control character but HTAB. CR, LF and NUL are how responses are split. */
const fieldValue = /^[\t\x20-\x7e\x80-\xff]*$/

export function isHeaderName(name: string): boolean {
  return token.test(name)
}

/** Of a value as Latin-1 bytes. */
export function isHeaderValue(value: string): boolean {
  return fieldValue.test(value)
}

/**
 * Headers that frame the message or belong to one hop. No authorizer decides about those: applied as Envoy applies them,
 * they hang the connection or leave bytes behind that become a second request.
 */
const framing: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

/** Expects a lower-case name. */
export function isFramingHeader(name: string): boolean {
  return framing.has(name)
}

const beyondAscii = /[\x80-\uffff]/

/** A string of a protobuf message as the Latin-1 form of its UTF-8 bytes, which is what header maps hold. */
export function latin1FromUtf8(text: string): string {
  return beyondAscii.test(text) ? Buffer.from(text, 'utf8').toString('latin1') : text
}

/**
 * Bytes (as Latin-1) as a valid UTF-8 string: every byte that belongs to no well-formed sequence (RFC 3629, section 4)
 * becomes `!`, as Envoy repairs what it sends to an authorizer.
 */
export function repairUtf8(bytes: string): string {
  if (!beyondAscii.test(bytes)) return bytes
  let repaired = ''
  for (let i = 0; i < bytes.length; ) {
    const length = sequenceLength(bytes, i)
    repaired += length === 0 ? '!' : bytes.slice(i, i + length)
    i += Math.max(length, 1)
  }
  return Buffer.from(repaired, 'latin1').toString('utf8')
}

/** The length of the well-formed sequence that starts at `i`, or 0. */
function sequenceLength(bytes: string, i: number): number {
  const lead = bytes.charCodeAt(i)
  if (lead < 0x80) return 1
  const second = bytes.charCodeAt(i + 1)
  const continues = (offset: number) => (bytes.charCodeAt(i + offset) & 0xc0) === 0x80
  if (lead >= 0xc2 && lead <= 0xdf) return continues(1) ? 2 : 0
  if (lead >= 0xe0 && lead <= 0xef) {
    // Overlong forms and surrogates are no UTF-8.
    if ((lead === 0xe0 && second < 0xa0) || (lead === 0xed && second > 0x9f)) return 0
    return continues(1) && continues(2) ? 3 : 0
  }
  if (lead >= 0xf0 && lead <= 0xf4) {
    if ((lead === 0xf0 && second < 0x90) || (lead === 0xf4 && second > 0x8f)) return 0
    return continues(1) && continues(2) && continues(3) ? 4 : 0
  }
  return 0
}
