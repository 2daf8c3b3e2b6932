import { Buffer } from 'node:buffer'
import { printGoJson } from '../go/json.ts'
import { parseJson } from '../text.ts'
import type { RegoValue } from '../value.ts'
import { type Builtin, BuiltinError, type Builtins } from './builtin.ts'
import { importJwk, parseJwks } from './jwt-keys.ts'
import { decodeHeader, decodeSignature, decodeText, parseObject, splitToken } from './jwt-token.ts'
import { decodeVerify, verifyBuiltins } from './jwt-verify.ts'
import { asText, operand, text } from './operands.ts'
import { makeSignature, parseAlgorithm } from './signature.ts'

/** Reads a token without verifying it; one that wraps another (`cty: JWT`) gives the one within. */
const decode: Builtin = (args) => {
  for (let token: RegoValue = operand(args, 0); ; ) {
    const parts = splitToken(token)
    const header = decodeHeader(parts)
    const payload = decodeText(parts.payload)
    const cty = header.get('cty')
    if (cty === undefined || asText(cty) !== 'JWT') {
      return [header, parseObject(payload), decodeSignature(parts).toString('hex')]
    }
    token = payload.replace(/^["']+|["']+$/g, '')
  }
}

function encodeSign(header: string, payload: string, jwk: string): string {
  const [first] = parseJwks(jwk)
  if (first === undefined) throw new BuiltinError('no key')
  const key = importJwk(first, 'private')
  const parsed = parseObject(header)
  const algorithm = parseAlgorithm(asText(parsed.get('alg')))
  if (algorithm === null) throw new BuiltinError('unknown algorithm')
  const typ = parsed.get('typ')
  if ((typeof typ !== 'string' || typ === 'JWT') && parseJson(payload) === null) {
    throw new BuiltinError('type is JWT but payload is not JSON')
  }
  const signed = [header, payload].map((part) => Buffer.from(part).toString('base64url')).join('.')
  const signature = makeSignature(algorithm, key, Buffer.from(signed))
  if (signature === null) throw new BuiltinError('the key is not one for the algorithm')
  return `${signed}.${signature.toString('base64url')}`
}

export const jwtBuiltins: Builtins = {
  'io.jwt.decode': decode,
  'io.jwt.decode_verify': decodeVerify,
  ...verifyBuiltins,
  'io.jwt.encode_sign': (args) => {
    const [header, payload, key] = args.map((value) => printGoJson(value))
    return encodeSign(header as string, payload as string, key as string)
  },
  'io.jwt.encode_sign_raw': (args) => encodeSign(text(args, 0), text(args, 1), text(args, 2)),
}
