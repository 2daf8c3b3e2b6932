import { createHash } from 'node:crypto'
import type { CheckPeer, CheckRequest } from '../check.ts'

/**
 * The digest of all that a provider is shown, for requests as a projection makes them. A digest, because keys would
 * otherwise hold tokens and bodies for as long as answers are kept.
 */
export function cacheKey(shown: CheckRequest): string {
  // Two bytes a character: no two texts have the same bytes, also where half a surrogate pair is among them.
  return createHash('sha256').update(encodeKey(shown), 'utf16le').digest('base64url')
}

/** Every part with its length before it, so that no part can take on the look of another. */
export function encodeKey({ source, destination, time, http, claims }: CheckRequest): string {
  let key = ''
  const text = (part: string) => {
    key += `${part.length}:${part}`
  }
  const absent = () => {
    key += '-'
  }
  const peer = ({ ip, port, principal }: CheckPeer) => {
    text(ip)
    text(String(port))
    text(principal)
  }
  peer(source)
  peer(destination)
  text(String(time))
  if (claims == null) absent()
  else text(JSON.stringify(claims))
  if (http === null) {
    absent()
    return key
  }
  const { id, method, path, host, scheme, protocol, headers, body } = http
  for (const part of [id, method, path, host, scheme, protocol]) text(part)
  text(String(headers.size))
  for (let i = 0; i < headers.size; i++) {
    text(headers.nameAt(i))
    text(headers.valueAt(i))
  }
  if (body === null) absent()
  else {
    text(String(body.partial))
    const { buffer, byteOffset, length } = body.bytes
    text(Buffer.from(buffer, byteOffset, length).toString('latin1'))
  }
  return key
}
