import { createHttpFetch } from '../../authn/http-fetch.ts'
import { createJwksCache } from '../../authn/jwks-cache.ts'
import { createTokenVerifier, type TokenVerifier } from '../../authn/jwt/token-verifier.ts'
import type { KeySource } from '../../authn/key-source.ts'
import type { Logger } from '../../observe/log.ts'
import { MetricsRegistry } from '../../observe/metrics.ts'
import { consoleLogger } from '../server/console-logger.ts'

/** Where tokens are verified, and with whose keys. */
export interface TokenKeys {
  readonly keys: KeySource
  readonly verifier: TokenVerifier
}

/** An hour: what loaded its checks anew leaves keys behind that nobody asks for any more. */
const idle = 60 * 60_000

export function createTokenKeys(logger: Logger, ca: readonly string[]): TokenKeys {
  const fetch = createHttpFetch({ ca })
  return {
    keys: createJwksCache({ fetch, logger, timing: { idle } }),
    verifier: createTokenVerifier({ logger, metrics: new MetricsRegistry() }),
  }
}

let shared: TokenKeys | null = null

/** One for the process, so that checks that are loaded anew find keys and tokens as the last ones left them. */
export function sharedTokenKeys(): TokenKeys {
  shared ??= createTokenKeys(consoleLogger, [])
  return shared
}
