import { SPIFFE_SCHEME } from './spiffe.ts'

/** One SPIFFE id, or all that begin with a text which holds a whole trust domain. */
export type SpiffeAllowance =
  | { readonly kind: 'exact'; readonly id: string }
  | { readonly kind: 'prefix'; readonly start: string }

export type ParsedSpiffeAllowance = SpiffeAllowance | { readonly kind: 'invalid'; readonly reason: string }

/** `spiffe://DOMAIN/PATH`, where the path may end in `*`. A star in the trust domain would let in domains of others. */
export function parseSpiffeAllowance(text: string): ParsedSpiffeAllowance {
  const invalid = (reason: string) => ({ kind: 'invalid', reason }) as const
  if (!text.startsWith(SPIFFE_SCHEME)) return invalid('it does not begin with `spiffe://`')
  const slash = text.indexOf('/', SPIFFE_SCHEME.length)
  const domain = slash === -1 ? text.slice(SPIFFE_SCHEME.length) : text.slice(SPIFFE_SCHEME.length, slash)
  if (!/^[A-Za-z0-9._-]+$/.test(domain)) return invalid('it has no whole trust domain')
  const path = slash === -1 ? '' : text.slice(slash)
  const prefix = path.endsWith('*')
  const literal = prefix ? path.slice(0, -1) : path
  if (!/^[A-Za-z0-9._/-]*$/.test(literal)) {
    return invalid(literal.includes('*') ? 'a `*` may stand at its end only' : 'it has a character that no id has')
  }
  if (prefix) return { kind: 'prefix', start: text.slice(0, -1) }
  return path === '' ? invalid('it has no path after the trust domain') : { kind: 'exact', id: text }
}

/** Whether an id is one of those. */
export function spiffeAllowed(allowances: readonly SpiffeAllowance[], id: string): boolean {
  return allowances.some((one) => (one.kind === 'exact' ? id === one.id : id.startsWith(one.start)))
}
