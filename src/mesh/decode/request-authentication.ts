import type { JwtKeys, JwtRule, RequestAuthentication } from '../request-authentication.ts'
import type { Meta, Origin } from '../resource.ts'
import { attachment, attachmentFields } from './attachment.ts'
import { boolean, list, map, string, strings } from './decoder.ts'
import { duration } from './duration.ts'
import type { RawResource } from './meta.ts'
import { customResource } from './meta.ts'
import { optional, record } from './record.ts'

/** Istio's default for fetching keys. */
const DEFAULT_TIMEOUT = 5000

const text = optional(string, '')

const jwtRule = map(
  record({
    issuer: text,
    audiences: optional(strings, []),
    jwksUri: text,
    // The name that the first release of the kind had; Protobuf's JSON still takes it.
    jwks_uri: text,
    jwks: text,
    fromHeaders: optional(list(record({ name: text, prefix: text })), []),
    fromParams: optional(strings, []),
    fromCookies: optional(strings, []),
    outputPayloadToHeader: text,
    forwardOriginalToken: optional(boolean, false),
    outputClaimToHeaders: optional(list(record({ header: text, claim: text })), []),
    timeout: optional(duration, DEFAULT_TIMEOUT),
    spaceDelimitedClaims: optional(strings, []),
  }),
  (rule): JwtRule => ({
    issuer: rule.issuer === '' ? null : rule.issuer,
    audiences: rule.audiences,
    keys: keys(rule.jwks, rule.jwksUri === '' ? rule.jwks_uri : rule.jwksUri, rule.issuer),
    fromHeaders: rule.fromHeaders,
    fromParams: rule.fromParams,
    fromCookies: rule.fromCookies,
    forwardOriginalToken: rule.forwardOriginalToken,
    outputPayloadToHeader: rule.outputPayloadToHeader === '' ? null : rule.outputPayloadToHeader,
    outputClaimToHeaders: rule.outputClaimToHeaders,
    spaceDelimitedClaims: rule.spaceDelimitedClaims,
    timeout: rule.timeout,
  }),
)

/** Inline keys win over an address, and an address over discovery. */
function keys(jwks: string, uri: string, issuer: string): JwtKeys {
  if (jwks !== '') return { kind: 'inline', jwks }
  return uri === '' ? { kind: 'discovery', issuer } : { kind: 'uri', uri }
}

const spec = record({ ...attachmentFields, jwtRules: optional(list(jwtRule), []) })

type Spec = NonNullable<ReturnType<typeof spec.decode>>

const EMPTY: Spec = { selector: null, targetRef: null, targetRefs: [], jwtRules: [] }

export const requestAuthentication = customResource(optional(spec, EMPTY))

export function toRequestAuthentication(raw: RawResource<Spec>, meta: Meta, origin: Origin): RequestAuthentication {
  return {
    kind: 'RequestAuthentication',
    meta,
    origin,
    attachment: attachment(raw.spec),
    jwtRules: raw.spec.jwtRules,
  }
}
