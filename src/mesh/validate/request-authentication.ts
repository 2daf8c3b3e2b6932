import type { Path } from '../../source/document.ts'
import { parseDuration } from '../decode/duration.ts'
import type { JwtRule, RequestAuthentication } from '../request-authentication.ts'
import { length, validateAttachment } from './attachment.ts'
import type { Findings } from './findings.ts'
import { bySchema } from './findings.ts'
import { jwksProblems } from './jwks.ts'
import { jwksUriProblem } from './jwks-uri.ts'
import { validateMetadata } from './metadata.ts'

/** Limits of the custom resource's schema. */
const MOST_DELIMITED_CLAIMS = 64
const MOST_RULES = 4096
const LONGEST_URI = 2048

/** What Istio's validation refuses in a RequestAuthentication. */
export function validateRequestAuthentication(policy: RequestAuthentication, findings: Findings): void {
  validateMetadata(policy.meta, null, findings)
  validateAttachment(findings)
  if (policy.jwtRules.length > MOST_RULES) {
    const message = bySchema(`jwtRules may not have more than ${MOST_RULES} entries, found ${policy.jwtRules.length}`)
    findings.report('SP217', ['spec', 'jwtRules'], message, 'split the resource')
  }
  for (const [index, rule] of policy.jwtRules.entries()) validateRule(rule, ['spec', 'jwtRules', index], findings)
}

function validateRule(rule: JwtRule, path: Path, findings: Findings): void {
  const named = rule.issuer !== null || uriKeys.some((key) => textAt(findings, [...path, key]) !== '')
  if (!named && !findings.hasOther(path, ruleFields)) {
    const help = 'write `issuer: https://..` (the `iss` of the tokens), or `jwksUri` to take any issuer'
    findings.report('SP220', path, 'issuer or jwksUri must be non-empty string', help)
  } else if (findings.written([...path, 'issuer']) === '') {
    const message = bySchema('issuer must be non-empty string')
    findings.report('SP220', [...path, 'issuer'], message, 'remove `issuer` to take any')
  }
  validateKeySource(rule, path, findings)
  validateTimeout([...path, 'timeout'], findings)
  const nonEmpty = (field: string, values: readonly string[], message: string) => {
    for (const [index, value] of values.entries()) {
      if (value === '') findings.report('SP222', [...path, field, index], message, 'write a name, or remove the entry')
    }
  }
  nonEmpty('audiences', rule.audiences, 'audience must be non-empty string')
  nonEmpty('fromParams', rule.fromParams, 'location query must be non-empty string')
  nonEmpty('fromCookies', rule.fromCookies, 'cookie name must be non-empty string')
  nonEmpty('spaceDelimitedClaims', rule.spaceDelimitedClaims, bySchema('a claim must be non-empty string'))
  for (const [index, { name }] of rule.fromHeaders.entries()) {
    if (name !== '') continue
    const message = 'location header name must be non-empty string'
    findings.report('SP222', [...path, 'fromHeaders', index], message, 'write `name: x-token`')
  }
  for (const [index, { header, claim }] of rule.outputClaimToHeaders.entries()) {
    const at = [...path, 'outputClaimToHeaders', index]
    if (header === '' || claim === '') {
      const message = 'outputClaimToHeaders header and claim value must be non-empty string'
      findings.report('SP222', at, message, 'write both `header` and `claim`')
    } else if (!/^[-_A-Za-z0-9]+$/.test(header)) {
      const message = `header name ${JSON.stringify(header)} is not a valid header name`
      findings.report('SP222', [...at, 'header'], message, 'use letters, digits, `-` and `_`')
    }
  }
  if (rule.spaceDelimitedClaims.length > MOST_DELIMITED_CLAIMS) {
    const message = bySchema(`spaceDelimitedClaims may not have more than ${MOST_DELIMITED_CLAIMS} values`)
    findings.report('SP217', [...path, 'spaceDelimitedClaims'], message, 'name only the claims that policies read')
  }
}

const ruleFields = [
  ...['issuer', 'audiences', 'jwksUri', 'jwks_uri', 'jwks', 'fromHeaders', 'fromParams', 'fromCookies', 'timeout'],
  ...['outputPayloadToHeader', 'outputClaimToHeaders', 'forwardOriginalToken', 'spaceDelimitedClaims'],
]

/** `jwks_uri` is the name that the first release of the kind had. */
const uriKeys = ['jwksUri', 'jwks_uri'] as const

function validateKeySource(rule: JwtRule, path: Path, findings: Findings): void {
  const written = [...uriKeys, 'jwks'].filter((key) => findings.written([...path, key]) !== undefined)
  if (written.length > 1) {
    const message = bySchema('only one of jwks or jwksUri can be set')
    const help = 'keep one of them: with both, only `jwks` counts'
    findings.report('SP221', [...path, written.at(-1) as string], message, help)
  }
  for (const key of uriKeys) {
    if (findings.written([...path, key]) === undefined) continue
    const text = textAt(findings, [...path, key])
    const help = 'write an `https://` or `http://` address'
    const problem = text === '' ? null : jwksUriProblem(text)
    if (text === '') findings.report('SP221', [...path, key], bySchema(`${key} must not be empty`), help)
    else if (problem?.kind === 'refused') findings.report('SP221', [...path, key], problem.message, help)
    else if (problem?.kind === 'unusable') {
      findings.report('SP254', [...path, key], `no keys can be fetched from the address: ${problem.message}`, help)
    }
    if (length(text) > LONGEST_URI) {
      const message = bySchema(`${key} may not have more than ${LONGEST_URI} characters`)
      findings.report('SP221', [...path, key], message, help)
    }
  }
  if (rule.keys.kind === 'inline') validateKeys(rule.keys.jwks, [...path, 'jwks'], findings)
}

function textAt(findings: Findings, path: Path): string {
  const text = findings.written(path)
  return typeof text === 'string' ? text : ''
}

function validateKeys(jwks: string, path: Path, findings: Findings): void {
  for (const problem of jwksProblems(jwks)) {
    switch (problem.kind) {
      case 'refused': {
        const help = 'write a JSON Web Key Set: `{"keys": [{"kty": "RSA", "n": "..", "e": "AQAB"}]}`'
        findings.report('SP221', path, `jwks parse error: ${problem.message}`, help)
        break
      }
      case 'unusable':
        findings.report(
          'SP254',
          path,
          `these keys verify no token: ${problem.message}`,
          "write the issuer's public keys",
        )
        break
      case 'private': {
        const message = `jwks key at index ${problem.index} contains private key material; only public keys are used for verification`
        findings.report('SP252', path, message, 'publish only the public part of the key')
        break
      }
      default:
        problem satisfies never
    }
  }
}

/** Istio takes no fraction of a millisecond. */
function validateTimeout(path: Path, findings: Findings): void {
  const text = findings.written(path)
  const milliseconds = typeof text === 'string' ? parseDuration(text) : null
  if (milliseconds === null) return
  if (milliseconds < 1) {
    findings.report(
      'SP223',
      path,
      'duration must be greater than 1ms',
      'write `5s`, or remove it for the default of 5s',
    )
  } else if (Math.round(milliseconds * 1e6) % 1e6 !== 0) {
    findings.report('SP223', path, 'only durations to ms precision are supported', 'write whole milliseconds: `1500ms`')
  }
}
