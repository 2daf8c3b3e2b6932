import type { AuthorizerEngine } from '../../mesh/authorizer.ts'
import type { Logger } from '../../observe/log.ts'
import type { Checks } from '../server/judge.ts'
import { loadModule } from './module.ts'

/** What loading an engine's files gave, or why there is nothing to check with. */
export type EngineLoading =
  | { readonly kind: 'loaded'; readonly checks: Checks }
  /** One line for a diagnostic, or more where a compiler says more. Names no secret. */
  | { readonly kind: 'failed'; readonly message: string }

export interface EngineOptions {
  readonly logger: Logger
}

/** Loads the files of an engine anew. Never throws: an engine that cannot be loaded is a value. */
export function loadEngine(engine: AuthorizerEngine, _options: EngineOptions): Promise<EngineLoading> {
  switch (engine.kind) {
    case 'module':
      return loadModule(engine.path)
    case 'istio':
    case 'rego':
    case 'opa':
    case 'cel':
    case 'cedar':
      return Promise.resolve({
        kind: 'failed',
        message: `the engine \`${engine.kind}\` is not available in this version`,
      })
    default:
      return engine satisfies never
  }
}
