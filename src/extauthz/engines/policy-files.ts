import { resolve } from 'node:path'
import { MeshLoader } from '../../mesh/load.ts'
import type { Mesh } from '../../mesh/mesh.ts'
import { MeshValidator } from '../../mesh/validate.ts'
import type { Logger } from '../../observe/log.ts'
import type { Diagnostic } from '../../source/diagnostic.ts'
import { InputFiles } from '../../source/input-files.ts'
import type { EngineLoading } from './engine.ts'

export type ReadPolicies =
  | { readonly kind: 'read'; readonly mesh: Mesh }
  | Extract<EngineLoading, { readonly kind: 'failed' }>

/** Istio's resources in files and folders, read anew as they change. */
export class PolicyFiles {
  readonly #files: InputFiles
  readonly #loader: MeshLoader
  readonly #validator = new MeshValidator()
  readonly #logger: Logger

  constructor(paths: readonly string[], namespace: string, logger: Logger) {
    this.#files = new InputFiles(paths, { cwd: resolve('.'), stdin: nobody })
    this.#loader = new MeshLoader({ defaultNamespace: namespace })
    this.#logger = logger
  }

  /** Whatever Istio would refuse stops it. */
  async read(): Promise<ReadPolicies> {
    const { documents, diagnostics } = await this.#files.read()
    const loaded = this.#loader.load(documents)
    const all = [...diagnostics, ...loaded.diagnostics, ...this.#validator.validate(loaded.mesh)]
    const errors = all.filter(({ severity }) => severity === 'error')
    if (errors.length > 0) return failedWith(errors)
    for (const one of all) {
      if (one.severity === 'warning') this.#logger.warn('policy file', { at: placeOf(one), problem: one.message })
    }
    return { kind: 'read', mesh: loaded.mesh }
  }
}

/** A failure that tells the first problem, and holds all. */
export function failedWith(diagnostics: readonly Diagnostic[]): Extract<EngineLoading, { readonly kind: 'failed' }> {
  const [first] = diagnostics
  if (first === undefined) throw new Error('a failure without a problem')
  const more = diagnostics.length === 1 ? '' : `, and ${diagnostics.length - 1} more`
  return { kind: 'failed', message: `${placeOf(first)}: ${first.message}${more}`, diagnostics }
}

function placeOf({ file, line, column }: Diagnostic): string {
  return line === undefined ? file : `${file}:${line}:${column}`
}

async function* nobody(): AsyncIterable<Uint8Array> {}
