import type { Json, Path } from '../../source/document.ts'
import type { JwtRule, RequestAuthentication } from '../request-authentication.ts'
import { validateAttachment } from './attachment.ts'
import type { Findings } from './findings.ts'

/** Limit of the custom resource's schema. */
const MOST_DELIMITED_CLAIMS = 64

/** What Istio's validation refuses in a RequestAuthentication. */
export function validateRequestAuthentication(policy: RequestAuthentication, findings: Findings): void {
  validateAttachment(findings)
  for (const [index, rule] of policy.jwtRules.entries()) validateRule(rule, ['spec', 'jwtRules', index], findings)
}

function validateRule(rule: JwtRule, path: Path, findings: Findings): void {
  const uri = writtenUri(path, findings)
  if (rule.issuer === null && uri === null) {
    const help = 'write `issuer: https://..` (the `iss` of the tokens), or `jwksUri` to take any issuer'
    findings.atValue('SP220', path, 'issuer or jwksUri must be non-empty string', help)
  }
  if (uri !== null && !isHttpUri(uri.text)) {
    const scheme = /^([^:/]*):/.exec(uri.text)?.[1] ?? ''
    const message = `URI scheme ${JSON.stringify(scheme)} is not supported`
    findings.atValue('SP221', [...path, uri.key], message, 'write an `https://` or `http://` address')
  }
  if (rule.keys.kind === 'inline') validateKeys(rule.keys.jwks, [...path, 'jwks'], findings)
  const nonEmpty = (field: string, values: readonly string[], message: string) => {
    for (const [index, value] of values.entries()) {
      if (value === '') findings.atValue('SP222', [...path, field, index], message, 'write a name, or remove the entry')
    }
  }
  nonEmpty('audiences', rule.audiences, 'audience must be non-empty string')
  nonEmpty('fromParams', rule.fromParams, 'location query must be non-empty string')
  nonEmpty('fromCookies', rule.fromCookies, 'cookie name must be non-empty string')
  for (const [index, { name }] of rule.fromHeaders.entries()) {
    if (name !== '') continue
    const message = 'location header name must be non-empty string'
    findings.atValue('SP222', [...path, 'fromHeaders', index], message, 'write `name: x-token`')
  }
  for (const [index, { header, claim }] of rule.outputClaimToHeaders.entries()) {
    const at = [...path, 'outputClaimToHeaders', index]
    if (header === '' || claim === '') {
      const message = 'outputClaimToHeaders header and claim value must be non-empty string'
      findings.atValue('SP222', at, message, 'write both `header` and `claim`')
    } else if (!/^[-_A-Za-z0-9]+$/.test(header)) {
      const message = `header name ${JSON.stringify(header)} is not a valid header name`
      findings.atValue('SP222', [...at, 'header'], message, 'use letters, digits, `-` and `_`')
    }
  }
  if (rule.spaceDelimitedClaims.length > MOST_DELIMITED_CLAIMS) {
    const message = `spaceDelimitedClaims may not have more than ${MOST_DELIMITED_CLAIMS} values`
    findings.atKey('SP217', [...path, 'spaceDelimitedClaims'], message, 'name only the claims that policies read')
  }
}

function writtenUri(path: Path, findings: Findings): { readonly key: string; readonly text: string } | null {
  for (const key of ['jwksUri', 'jwks_uri']) {
    const text = findings.written([...path, key])
    if (typeof text === 'string' && text !== '') return { key, text }
  }
  return null
}

function isHttpUri(text: string): boolean {
  return /^https?:\/\//i.test(text) && URL.canParse(text)
}

const publicKeyFields: Readonly<Record<string, readonly string[]>> = {
  RSA: ['n', 'e'],
  EC: ['crv', 'x', 'y'],
  OKP: ['crv', 'x'],
  oct: ['k'],
}

function validateKeys(jwks: string, path: Path, findings: Findings): void {
  const help = 'write a JSON Web Key Set: `{"keys": [{"kty": "RSA", "n": "..", "e": "AQAB"}]}`'
  const keys = keysOf(jwks)
  if (typeof keys === 'string') {
    findings.atValue('SP221', path, `jwks parse error: ${keys}`, help)
    return
  }
  for (const [index, key] of keys.entries()) {
    const object = asObject(key)
    const kty = object?.kty
    const fields = typeof kty === 'string' && Object.hasOwn(publicKeyFields, kty) ? publicKeyFields[kty] : undefined
    if (object === null || fields === undefined) {
      findings.atValue('SP221', path, `jwks parse error: the key at index ${index} has no known \`kty\``, help)
      continue
    }
    const missing = fields.find((field) => typeof object[field] !== 'string' || object[field] === '')
    if (missing !== undefined) {
      const message = `jwks parse error: the ${String(kty)} key at index ${index} has no \`${missing}\``
      findings.atValue('SP221', path, message, help)
    } else if (kty === 'oct' || Object.hasOwn(object, 'd')) {
      const message = `jwks key at index ${index} contains private key material; only public keys are used for verification`
      findings.atValue('SP252', path, message, 'publish only the public part of the key')
    }
  }
}

/** The keys of a set, or of a single key that stands alone; else what is wrong. */
function keysOf(jwks: string): readonly Json[] | string {
  let parsed: Json
  try {
    parsed = JSON.parse(jwks) as Json
  } catch {
    return 'it is not JSON'
  }
  const object = asObject(parsed)
  if (object === null) return 'it is not a JSON object'
  if (Array.isArray(object.keys)) return object.keys as readonly Json[]
  return Object.hasOwn(object, 'kty') ? [parsed] : 'it has no list `keys`'
}

function asObject(value: Json): { readonly [key: string]: Json } | null {
  return value !== null && typeof value === 'object' && !Array.isArray(value)
    ? (value as { readonly [key: string]: Json })
    : null
}
