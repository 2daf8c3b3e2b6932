/** RFC 6750, section 3: what a client that has no good token is told. */
export interface BearerChallenge {
  readonly realm?: string
  /** Left out when the client presented no token at all. */
  readonly error?: 'invalid_request' | 'invalid_token' | 'insufficient_scope'
  readonly description?: string
  /** The scopes that would be needed. */
  readonly scope?: readonly string[]
}

/** A `www-authenticate` value for `unauthorized`. What cannot stand in a quoted string is left out of it. */
export function bearerChallenge({ realm, error, description, scope }: BearerChallenge = {}): string {
  const parameters = [
    ['realm', realm],
    ['error', error],
    ['error_description', description],
    ['scope', scope?.join(' ')],
  ].flatMap(([name, value]) => (value === undefined ? [] : [`${name}="${value.replace(/[^\x20-\x7e]|["\\]/g, '')}"`]))
  return parameters.length === 0 ? 'Bearer' : `Bearer ${parameters.join(', ')}`
}
