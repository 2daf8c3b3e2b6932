import { Buffer } from 'node:buffer'
import { BuiltinError } from './builtin.ts'

/** Decodes padded base64 of either alphabet as Go does: line ends count for nothing, anything else must fit. */
export function decodeBase64(text: string, alphabet: 'standard' | 'url'): Buffer {
  const compact = /[\r\n]/.test(text) ? text.replace(/[\r\n]/g, '') : text
  const syntax = alphabet === 'url' ? urlSyntax : standardSyntax
  if (compact.length % 4 !== 0 || !syntax.test(compact)) throw new BuiltinError('illegal base64')
  return Buffer.from(compact, 'base64')
}

const urlSyntax = /^(?:[A-Za-z0-9_-]{4})*(?:[A-Za-z0-9_-]{2}==|[A-Za-z0-9_-]{3}=)?$/
const standardSyntax = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/

/** base64url with or without its padding (RFC 7515, appendix C). */
export function decodeBase64Url(text: string): Buffer {
  if (text.endsWith('=')) return decodeBase64(text, 'url')
  const missing = (4 - (text.length % 4)) % 4
  if (missing === 3) throw new BuiltinError('illegal base64')
  return decodeBase64(text + '='.repeat(missing), 'url')
}
