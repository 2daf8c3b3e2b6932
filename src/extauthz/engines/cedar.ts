import type { CedarEngine } from '../../mesh/authorizer.ts'
import type { Engine, EngineOptions } from './engine.ts'
export function createCedarEngine(_engine: CedarEngine, _options: EngineOptions): Engine {
  return { load: async () => ({ kind: 'failed', message: 'it is not available in this version' }), close() {} }
}
