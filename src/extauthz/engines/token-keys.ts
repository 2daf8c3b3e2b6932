import type { RequestAuthenticator } from '../../authn/authentication.ts'
import { createHttpFetch } from '../../authn/http-fetch.ts'
import { createJwksCache, type JwksCache } from '../../authn/jwks-cache.ts'
import { createTokenVerifier, type TokenVerifier } from '../../authn/jwt/token-verifier.ts'
import { createRequestAuthenticator } from '../../authn/request-authenticator.ts'
import type { Mesh } from '../../mesh/mesh.ts'
import { findOutboundService } from '../../mesh/registry.ts'
import type { JwtRule } from '../../mesh/request-authentication.ts'
import { MetricsRegistry } from '../../observe/metrics.ts'
import type { EngineOptions } from './engine.ts'

/** What one load of an engine verifies tokens with. */
export interface TokenRules {
  /** Null without rules: then no token is looked at. */
  authenticator(rules: readonly JwtRule[]): RequestAuthenticator | null
  release(): void
}

/**
 * The keys and the known tokens of one engine, which stay from one load to the next. Nothing is fetched without rules
 * that need it.
 */
export class TokenKeys {
  readonly #options: EngineOptions
  readonly #used = new Set<readonly JwtRule[]>()
  #mesh: Mesh | null = null
  #cache: JwksCache | null = null
  #verifier: TokenVerifier | null = null

  constructor(options: EngineOptions) {
    this.#options = options
  }

  /** Fetches keys for these rules until they are released. `mesh`: where hosts of key URIs are, before DNS is asked. */
  use(rules: readonly JwtRule[], mesh: Mesh): TokenRules {
    this.#mesh = mesh
    this.#used.add(rules)
    this.#refresh()
    return {
      authenticator: (some) => {
        if (some.length === 0) return null
        const { cache, verifier } = this.#start()
        return createRequestAuthenticator(some, cache, { verifier })
      },
      release: () => {
        this.#used.delete(rules)
        this.#refresh()
      },
    }
  }

  close(): void {
    this.#cache?.close()
  }

  #refresh(): void {
    const all = [...this.#used].flat()
    if (all.length > 0 || this.#cache !== null) this.#start().cache.use(all)
  }

  #start(): { readonly cache: JwksCache; readonly verifier: TokenVerifier } {
    const { logger, keys = {}, now = Date.now, metrics = new MetricsRegistry() } = this.#options
    this.#cache ??= createJwksCache({
      fetch: createHttpFetch({ ...keys, resolve: (host, port) => addressOf(this.#mesh, host, port) }),
      logger,
      now,
      metrics,
    })
    this.#verifier ??= createTokenVerifier({ logger, metrics })
    return { cache: this.#cache, verifier: this.#verifier }
  }
}

/** Where the files say that a host is; null for DNS to say. */
function addressOf(mesh: Mesh | null, host: string, port: number) {
  if (mesh === null) return null
  const found = findOutboundService(mesh, mesh.config.rootNamespace, host, port)
  const [endpoint] = found?.resolution === 'STATIC' ? found.endpoints : []
  return endpoint === undefined ? null : { address: endpoint.address, port: endpoint.port }
}
