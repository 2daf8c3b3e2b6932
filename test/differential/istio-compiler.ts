import type { OtherFilters } from './envoy-engine.ts'
import type { LoadedSpec } from './mesh-file.ts'

export interface Compiled {
  readonly prefixed: OtherFilters
}

/** Istio's own compiler. */
export interface IstioCompiler {
  compile(loaded: LoadedSpec, prefix: string): Promise<Compiled>
  difference(loaded: LoadedSpec, compiled: Compiled): Promise<string | null>
}
