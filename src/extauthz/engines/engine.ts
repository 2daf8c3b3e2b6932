import type { AuthorizerEngine } from '../../mesh/authorizer.ts'
import type { Logger } from '../../observe/log.ts'
import type { Checks } from '../server/judge.ts'
import { loadModule } from './module.ts'
import { loadOpa } from './opa/engine.ts'
import type { RunOpa } from './rego/compile.ts'
import { loadRego } from './rego/engine.ts'

/** What loading an engine's files gave, or why there is nothing to check with. */
export type EngineLoading =
  | { readonly kind: 'loaded'; readonly checks: Checks }
  /** One line for a diagnostic, or more where a compiler says more. Names no secret. */
  | { readonly kind: 'failed'; readonly message: string }

export interface EngineOptions {
  readonly logger: Logger
  /** Runs `opa`, which compiles Rego; null where nothing may be compiled. */
  readonly runOpa: RunOpa | null
}

/** Loads the files of an engine anew. Never throws: an engine that cannot be loaded is a value. */
export function loadEngine(engine: AuthorizerEngine, options: EngineOptions): Promise<EngineLoading> {
  switch (engine.kind) {
    case 'module':
      return loadModule(engine.path)
    case 'rego':
      return loadRego(engine.path, engine.query, options)
    case 'opa':
      return loadOpa(engine, options.logger)
    case 'istio':
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
