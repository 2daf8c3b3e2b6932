/**
 * Trust domain aliases (istio/istio pilot/pkg/security/trustdomain). `trustDomains` is the mesh's own domain, then its
 * aliases.
 */
export function expandPrincipals(values: readonly string[], trustDomains: readonly string[]): readonly string[] {
  return values.flatMap((value) => {
    const slash = value.indexOf('/')
    const written = value.slice(0, slash)
    // Only `TD/ns/NS/sa/SA` names a trust domain; with a lone `*` there, every domain is meant anyway.
    if (value.split('/').length !== 5 || written === '*') return [value]
    if (written !== 'cluster.local' && !trustDomains.some((domain) => overlaps(written, domain))) return [value]
    const rest = value.slice(slash)
    return [...new Set(trustDomains.map((domain) => (isSuffix(domain, written) ? value : domain + rest)))]
  })
}

/** An exact member of the bundle stands for the whole bundle; `cluster.local` is nothing special here. */
export function expandTrustDomains(values: readonly string[], trustDomains: readonly string[]): readonly string[] {
  return [...new Set(values.flatMap((value) => (trustDomains.includes(value) ? trustDomains : [value])))]
}

/** Either may carry the wildcard. */
function overlaps(written: string, domain: string): boolean {
  return (
    written === domain ||
    domain === '*' ||
    isPrefix(written, domain) ||
    isPrefix(domain, written) ||
    isSuffix(written, domain) ||
    isSuffix(domain, written)
  )
}

function isPrefix(text: string, pattern: string): boolean {
  return pattern.endsWith('*') && text.startsWith(pattern.slice(0, -1))
}

function isSuffix(text: string, pattern: string): boolean {
  return pattern.startsWith('*') && text.endsWith(pattern.slice(1))
}
