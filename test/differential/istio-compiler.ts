import type { OtherFilters } from './envoy-engine.ts'
import type { LoadedSpec } from './mesh-file.ts'

export interface Compiled {
  readonly prefixed: OtherFilters
}

/** Istio's own compiler. */
export interface IstioCompiler {
  compile(loaded: LoadedSpec, prefix: string): Promise<Compiled>
  difference(loaded: LoadedSpec, compiled: Compiled): Promise<string | null>
  close(): void
}

/** Null where it is not there; `note` hears why. */
export async function startIstioCompiler(note: (text: string) => void): Promise<IstioCompiler | null> {
  note("Istio's compiler is not there")
  return null
}
