import type { CheckFailure } from '../extauthz/check.ts'
import type { Provider } from '../mesh/provider.ts'

/** A provider that could not be asked is forgiven; an answer that must not be applied, or a client that left, is not. */
export function failsOpen(provider: Provider, reason: CheckFailure): boolean {
  return provider.failOpen && (reason === 'timeout' || reason === 'unavailable')
}
