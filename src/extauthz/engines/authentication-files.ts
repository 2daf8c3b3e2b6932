import type { RequestAuthenticator } from '../../authn/authentication.ts'
import { diagnostic } from '../../source/diagnostic.ts'
import type { EngineLoading, EngineOptions } from './engine.ts'
import { failedWith, PolicyFiles } from './policy-files.ts'
import { TokenKeys } from './token-keys.ts'

export type LoadedAuthentication =
  | {
      readonly kind: 'read'
      /** Null without files: then no token is looked at. */
      readonly authenticator: RequestAuthenticator | null
      release(): void
    }
  | Extract<EngineLoading, { readonly kind: 'failed' }>

/**
 * The RequestAuthentications of files, by whose rules an engine of another language has tokens verified. All of their
 * rules count: there is no workload to select.
 */
export class AuthenticationFiles {
  readonly #files: PolicyFiles | null
  readonly #keys: TokenKeys

  constructor(paths: readonly string[], options: EngineOptions) {
    this.#files = paths.length === 0 ? null : new PolicyFiles(paths, 'default', options.logger)
    this.#keys = new TokenKeys(options)
  }

  async load(): Promise<LoadedAuthentication> {
    if (this.#files === null) return { kind: 'read', authenticator: null, release() {} }
    const read = await this.#files.read()
    if (read.kind === 'failed') return read
    const { authorizationPolicies, requestAuthentications } = read.mesh
    if (authorizationPolicies.length > 0) {
      return failedWith(
        authorizationPolicies.map(({ origin: { document, path } }) =>
          diagnostic(
            'SP502',
            { document, path: [...path, 'kind'] },
            'files of `tokens` hold RequestAuthentication only',
            {
              help: 'this engine decides by its own policies; the engine `istio` decides by AuthorizationPolicy',
            },
          ),
        ),
      )
    }
    const rules = requestAuthentications.flatMap(({ jwtRules }) => jwtRules)
    if (rules.length === 0)
      return { kind: 'failed', message: 'the files of `tokens` hold no rule of RequestAuthentication' }
    const tokens = this.#keys.use(rules, read.mesh)
    return { kind: 'read', authenticator: tokens.authenticator(rules), release: () => tokens.release() }
  }

  close(): void {
    this.#keys.close()
  }
}
