import type { ValueProblem } from './impossible-value.ts'

/**
 * Why no peer has a principal, or null. Principals of a mesh are `TRUST-DOMAIN/ns/NAMESPACE/sa/ACCOUNT`; those of other
 * trust domains can have any form.
 */
export function principalProblem(value: string, trustDomains: readonly string[]): ValueProblem | null {
  const [trustDomain = 'cluster.local'] = trustDomains
  if (value.startsWith('spiffe://')) {
    return { reason: '`spiffe://` is put before the value', help: `write \`${value.slice('spiffe://'.length)}\`` }
  }
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(value)) {
    return {
      reason: 'a principal here is of a certificate',
      help: "a token's issuer and subject belong in `requestPrincipals`",
    }
  }
  const user = /^system:serviceaccount:([^:/]+):([^:/]+)$/.exec(value)
  if (user !== null) {
    return { reason: "that is Kubernetes' name for it", help: `write \`${trustDomain}/ns/${user[1]}/sa/${user[2]}\`` }
  }
  const bare = /^\/?(ns\/[^/]+(?:\/.*)?)$/.exec(value)
  if (bare !== null) {
    return { reason: 'a principal begins with its trust domain', help: `write \`${trustDomain}/${bare[1]}\`` }
  }
  const parts = value.split('/')
  // Another star than one at an end is told of as such.
  if (value.slice(1, -1).includes('*')) return null
  if (!isKnown(parts[0] as string, trustDomains) || parts.length === 1) return null
  const pattern = value.endsWith('*')
  const whole = pattern ? parts.slice(0, -1) : parts
  const misplaced = (whole[1] ?? 'ns') !== 'ns' || (whole[3] ?? 'sa') !== 'sa' || parts.length > 5
  if (!misplaced && (pattern || parts.length === 5)) return null
  const help = `write \`${parts[0]}/ns/NAMESPACE/sa/ACCOUNT\``
  return { reason: 'that is not the form of a principal of this mesh', help }
}

function isKnown(trustDomain: string, trustDomains: readonly string[]): boolean {
  return trustDomain === 'cluster.local' || trustDomains.includes(trustDomain)
}

export function serviceAccountProblem(value: string): ValueProblem | null {
  const user = /^system:serviceaccount:([^:/]+):([^:/]+)$/.exec(value)
  if (user === null) return null
  return { reason: "that is Kubernetes' name for it", help: `write \`${user[1]}/${user[2]}\`` }
}

export function trustDomainProblem(value: string): ValueProblem | null {
  const slash = value.indexOf('/')
  if (slash === -1) return null
  const name = value.replace(/^spiffe:\/\//, '').split('/', 1)[0] as string
  return { reason: 'a trust domain has no `/`', help: name === '' ? 'write its name' : `write \`${name}\`` }
}

/** Istio splits a value at its last `/` into the token's issuer and subject, each with a `*` of its own. */
export function requestPrincipalProblem(value: string): ValueProblem | null {
  if (/\/ns\/[^/]+\/sa\/[^/]+$/.test(value)) {
    return { reason: 'it is of a token, `ISSUER/SUBJECT`', help: 'a workload belongs in `principals`' }
  }
  if (value === '*/*') return { reason: 'the subject would be `*` itself', help: 'write `*` for any token' }
  if (value === '*') return null
  const slash = value.lastIndexOf('/')
  if (slash === -1) {
    if (value.startsWith('*') || value.endsWith('*')) return null
    return { reason: 'it is `ISSUER/SUBJECT`, and no token has an empty subject', help: `write \`${value}/*\`` }
  }
  if (!/^https?:\/$/i.test(value.slice(0, slash))) return null
  const help = `write \`${value.replace(/\*$/, '')}${value === 'https://*' || value === 'http://*' ? 'ISSUER' : ''}/*\``
  return { reason: `it is split at its last \`/\`, so that the issuer would be \`${value.slice(0, slash)}\``, help }
}
