import {
  createHash,
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  generateKeyPairSync,
  type JsonWebKey,
  type KeyObject,
  randomBytes,
} from 'node:crypto'
import { mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { findAlgorithm } from '../../authn/jwt/algorithm.ts'
import { createFile, readFileIfThere } from '../../authn/whole-file.ts'
import { readFailure } from '../../source/read-text.ts'
import { InvalidInput } from '../input.ts'
import { ALGORITHMS } from './algorithms.ts'

/** A key that tokens are signed with, and the JWK that verifies them: for HS algorithms that is the secret itself. */
export interface StoredKey {
  readonly alg: string
  readonly kid: string
  readonly key: KeyObject
  readonly jwk: JsonWebKey
  readonly secret: boolean
}

const suffix = '.private.jwk.json'

/** The key for `alg` in the folder, made when there is none. Throws InvalidInput. */
export function openSigningKey(folder: string, alg: string): StoredKey & { readonly made: boolean } {
  const path = join(folder, `${alg}${suffix}`)
  try {
    const known = readFileIfThere(path)
    if (known !== null) return { ...parse(known, alg, path), made: false }
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    const text = `${JSON.stringify({ ...generate(alg).export({ format: 'jwk' }), alg })}\n`
    const made = createFile(path, text, 0o600)
    return { ...parse(made ? text : (readFileIfThere(path) ?? ''), alg, path), made }
  } catch (error) {
    if (error instanceof InvalidInput) throw error
    throw new InvalidInput(`${path}: ${readFailure(error)}`)
  }
}

/** The algorithms that the folder has keys for. Throws InvalidInput. */
export function storedAlgorithms(folder: string): readonly string[] {
  try {
    const names = new Set(readdirSync(folder))
    return ALGORITHMS.filter((alg) => names.has(`${alg}${suffix}`))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw new InvalidInput(`${folder}: ${readFailure(error)}`)
  }
}

function generate(alg: string): KeyObject {
  const algorithm = findAlgorithm(alg)
  switch (algorithm?.kind) {
    case 'rsa':
    case 'rsa-pss':
      return generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
    case 'ecdsa':
      return generateKeyPairSync('ec', { namedCurve: algorithm.curve }).privateKey
    case 'eddsa':
      return generateKeyPairSync('ed25519').privateKey
    case 'hmac':
      return createSecretKey(randomBytes(64))
    case undefined:
      throw new Error(`${alg} is no algorithm`)
    default:
      return algorithm satisfies never
  }
}

/** The reason for a refusal never quotes the key. */
function parse(text: string, alg: string, path: string): StoredKey {
  const refused = () => new InvalidInput(`${path} is no private key for ${alg} as a JWK`)
  let jwk: JsonWebKey
  try {
    jwk = JSON.parse(text)
  } catch {
    throw refused()
  }
  const secret = alg.startsWith('HS')
  let key: KeyObject
  let shared: JsonWebKey
  try {
    key = secret ? createSecretKey(String(jwk.k), 'base64url') : createPrivateKey({ key: jwk, format: 'jwk' })
    shared = secret ? key.export({ format: 'jwk' }) : createPublicKey(key).export({ format: 'jwk' })
  } catch {
    throw refused()
  }
  if (!fits(key, alg)) throw refused()
  const kid = thumbprint(shared)
  return { alg, kid, key, secret, jwk: { ...shared, use: 'sig', alg, kid } }
}

function fits(key: KeyObject, alg: string): boolean {
  const algorithm = findAlgorithm(alg)
  switch (algorithm?.kind) {
    case 'rsa':
    case 'rsa-pss':
      return key.asymmetricKeyType === 'rsa'
    case 'ecdsa':
      return key.asymmetricKeyType === 'ec' && key.export({ format: 'jwk' }).crv === algorithm.curve
    case 'eddsa':
      return key.asymmetricKeyType === 'ed25519'
    case 'hmac':
      return (key.symmetricKeySize ?? 0) >= 32
    case undefined:
      return false
    default:
      return algorithm satisfies never
  }
}

/**
 * RFC 7638: the same key has the same id wherever it is written. That of a secret tells no more of it than a token does.
 */
function thumbprint(jwk: JsonWebKey): string {
  const members = ['crv', 'e', 'k', 'kty', 'n', 'x', 'y'].filter((name) => jwk[name] !== undefined)
  const canonical = JSON.stringify(Object.fromEntries(members.map((name) => [name, jwk[name]])))
  return createHash('sha256').update(canonical).digest('base64url')
}
