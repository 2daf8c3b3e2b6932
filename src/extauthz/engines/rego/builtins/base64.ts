import { Buffer } from 'node:buffer'
import { BuiltinError } from './builtin.ts'

const syntax = /^[A-Za-z0-9_-]*={0,2}$/

/**
 * Decodes base64url, with its padding or without (RFC 7515, appendix C), as Go does: line ends count for nothing, and
 * bits that are left over may be anything.
 */
export function decodeBase64Url(text: string): Buffer {
  const padded = text.endsWith('=') ? text : text + '='.repeat((4 - (text.length % 4)) % 4)
  const compact = /[\r\n]/.test(padded) ? padded.replace(/[\r\n]/g, '') : padded
  if (compact.length % 4 !== 0 || !syntax.test(compact)) throw new BuiltinError('illegal base64')
  return Buffer.from(compact, 'base64')
}
