import type { AuthorizerEngine } from '../../mesh/authorizer.ts'
import type { Engine, EngineOptions } from './engine.ts'
export function createCelEngine(_engine: Extract<AuthorizerEngine, { kind: 'cel' }>, _options: EngineOptions): Engine {
  return { load: async () => ({ kind: 'failed', message: 'it is not available in this version' }), close() {} }
}
