import { Buffer } from 'node:buffer'
import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import type { Builtin, Builtins } from './builtin.ts'
import { text } from './operands.ts'

function hash(algorithm: string): Builtin {
  return (args) => createHash(algorithm).update(text(args, 0)).digest('hex')
}

function hmac(algorithm: string): Builtin {
  return (args) => createHmac(algorithm, text(args, 1)).update(text(args, 0)).digest('hex')
}

export const cryptoBuiltins: Builtins = {
  'crypto.md5': hash('md5'),
  'crypto.sha1': hash('sha1'),
  'crypto.sha256': hash('sha256'),
  'crypto.hmac.md5': hmac('md5'),
  'crypto.hmac.sha1': hmac('sha1'),
  'crypto.hmac.sha256': hmac('sha256'),
  'crypto.hmac.sha512': hmac('sha512'),
  'crypto.hmac.equal': (args) => {
    const [a, b] = [Buffer.from(text(args, 0)), Buffer.from(text(args, 1))]
    return a.length === b.length && timingSafeEqual(a, b)
  },
}
