import { X509Certificate } from 'node:crypto'
import type { Json } from '../../source/document.ts'

/** What is to be said of the text of JWT keys. No part of the text is repeated: it may hold private keys. */
export type JwksProblem =
  /** Istio's parser refuses it. */
  | { readonly kind: 'refused'; readonly message: string }
  /** Istio takes it, and it verifies no token. */
  | { readonly kind: 'unusable'; readonly message: string }
  | { readonly kind: 'private'; readonly index: number }

type Fields = { readonly [name: string]: Json }

interface KeyType {
  readonly required: readonly string[]
  /** Base64 text; `d` and its companions count in private keys only. */
  readonly bytes: readonly string[]
  readonly privateBytes: readonly string[]
}

const keyTypes: ReadonlyMap<string, KeyType> = new Map([
  ['RSA', { required: ['n', 'e'], bytes: ['n', 'e'], privateBytes: ['d', 'p', 'q', 'dp', 'dq', 'qi'] }],
  ['EC', { required: ['crv', 'x', 'y'], bytes: ['x', 'y'], privateBytes: ['d'] }],
  ['OKP', { required: ['crv', 'x'], bytes: ['x'], privateBytes: ['d'] }],
  ['oct', { required: ['k'], bytes: ['k'], privateBytes: [] }],
])

const textFields = ['alg', 'kid', 'use', 'crv', 'x5t', 'x5t#S256', 'x5u']

/** The text of `jwks`, read as Istio reads it (a key set, or a single key). */
export function jwksProblems(text: string): readonly JwksProblem[] {
  const { value, trailing } = firstJson(text)
  if (value === undefined) return [refused('it is not JSON')]
  const set = asObject(value)
  if (set === null) return [refused('it is not a JSON object')]
  const problems: JwksProblem[] = []
  if (trailing) problems.push({ kind: 'unusable', message: 'there is more text after the keys' })
  const keys = Object.hasOwn(set, 'keys') ? (set.keys as Json) : null
  if (!Object.hasOwn(set, 'keys')) {
    if (keyTypeOf(set) === null) return [refused('it has no list `keys`')]
    return [...problems, ...keyProblems(set, 0)]
  }
  if (keys !== null && !Array.isArray(keys)) return [refused('`keys` is not a list')]
  const list = (keys ?? []) as readonly Json[]
  if (list.length === 0) problems.push({ kind: 'unusable', message: 'there are no keys' })
  for (const [index, key] of list.entries()) problems.push(...keyProblems(asObject(key), index))
  return problems
}

function keyProblems(key: Fields | null, index: number): readonly JwksProblem[] {
  const name = key === null ? null : keyTypeOf(key)
  const type = name === null ? undefined : keyTypes.get(name)
  if (key === null || name === null || type === undefined) {
    return [refused(`the key at index ${index} has no known \`kty\``)]
  }
  const what = `the ${name} key at index ${index}`
  const isPrivate = name !== 'oct' && Object.keys(key).some((field) => field.toLowerCase() === 'd')
  const required = isPrivate ? [...type.required, 'd'] : type.required
  const missing = required.find((field) => !Object.hasOwn(key, field))
  if (missing !== undefined) return [refused(`${what} has no \`${missing}\``)]
  for (const field of isPrivate ? [...type.bytes, ...type.privateBytes] : type.bytes) {
    if (!isBase64(own(key, field))) return [refused(`\`${field}\` of ${what} is not base64`)]
  }
  const wrong = textFields.find((field) => !isText(own(key, field)))
  if (wrong !== undefined) return [refused(`\`${wrong}\` of ${what} is not text`)]
  const operations = own(key, 'key_ops')
  if (operations !== null && !(Array.isArray(operations) && operations.every(isText))) {
    return [refused(`\`key_ops\` of ${what} is not a list of texts`)]
  }
  const chain = own(key, 'x5c')
  if (chain !== null && !(Array.isArray(chain) && chain.every(isCertificate))) {
    return [refused(`\`x5c\` of ${what} is not a list of certificates`)]
  }
  if (isPrivate || name === 'oct') return [{ kind: 'private', index }]
  if (type.bytes.some((field) => own(key, field) === null || own(key, field) === '')) {
    return [{ kind: 'unusable', message: `${what} is empty` }]
  }
  return []
}

/** Go's JSON finds the type under `kty` in any case. */
function keyTypeOf(key: Fields): string | null {
  const field = Object.keys(key).findLast((name) => name.toLowerCase() === 'kty')
  const value = field === undefined ? null : key[field]
  return typeof value === 'string' ? value : null
}

/** Go reads the first value of a text and leaves what follows. */
function firstJson(text: string): { readonly value: Json | undefined; readonly trailing: boolean } {
  const whole = parse(text)
  if (whole !== undefined) return { value: whole, trailing: false }
  const end = endOfObject(text)
  return { value: end === -1 ? undefined : parse(text.slice(0, end)), trailing: true }
}

function parse(text: string): Json | undefined {
  try {
    return JSON.parse(text) as Json
  } catch {
    return undefined
  }
}

/** Behind the brace that closes the first one; -1 where there is none. */
function endOfObject(text: string): number {
  let depth = 0
  for (let at = 0; at < text.length; at++) {
    const c = text[at]
    if (c === '"') at = endOfString(text, at)
    else if (c === '{') depth++
    else if (c === '}' && --depth <= 0) return at + 1
  }
  return -1
}

function endOfString(text: string, start: number): number {
  let at = start + 1
  while (at < text.length && text[at] !== '"') at += text[at] === '\\' ? 2 : 1
  return at
}

function isText(value: Json): boolean {
  return value === null || typeof value === 'string'
}

/** With or without padding, of either alphabet, as Istio's parser guesses it. */
function isBase64(value: Json): boolean {
  if (value === null) return true
  if (typeof value !== 'string') return false
  const text = value.replaceAll(/[\r\n]/g, '')
  const padded = text.endsWith('=')
  if (padded ? text.length % 4 !== 0 : text.length % 4 === 1) return false
  const alphabet = /[+/]/.test(text) ? /^[A-Za-z0-9+/]*={0,2}$/ : /^[\w-]*={0,2}$/
  return alphabet.test(text)
}

function isCertificate(value: Json): boolean {
  if (typeof value !== 'string' || !isBase64(value)) return false
  try {
    return new X509Certificate(Buffer.from(value, 'base64')).subject !== null
  } catch {
    return false
  }
}

function own(object: Fields, name: string): Json {
  return Object.hasOwn(object, name) ? (object[name] as Json) : null
}

function asObject(value: Json): Fields | null {
  return value !== null && typeof value === 'object' && !Array.isArray(value) ? (value as Fields) : null
}

function refused(message: string): JwksProblem {
  return { kind: 'refused', message }
}
