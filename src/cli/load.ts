import { resolve } from 'node:path'
import type { Authorizer } from '../mesh/authorizer.ts'
import { placedAuthorizer } from '../mesh/authorizer.ts'
import { MeshLoader } from '../mesh/load.ts'
import type { Mesh } from '../mesh/mesh.ts'
import { MeshValidator } from '../mesh/validate.ts'
import type { Workload } from '../mesh/workload.ts'
import type { Diagnostic } from '../source/diagnostic.ts'
import { InputFiles } from '../source/input-files.ts'
import { suggest } from '../source/suggest.ts'
import { type Args, UsageError } from './command.ts'
import { isUnreadable, printDiagnostic, sortDiagnostics } from './diagnostics.ts'
import type { Io } from './io.ts'
import { style } from './style.ts'

export interface Loaded {
  readonly mesh: Mesh
  readonly diagnostics: readonly Diagnostic[]
}

/** The mesh of a command's files, which can be loaded again when they change. */
export class MeshFiles {
  readonly #files: InputFiles
  readonly #loader: MeshLoader
  readonly #validator = new MeshValidator()

  constructor(files: InputFiles, namespace: string | undefined) {
    this.#files = files
    this.#loader = new MeshLoader(namespace === undefined ? {} : { defaultNamespace: namespace })
  }

  /** Reads and decodes the files, and validates what was decoded. Nothing is printed. */
  async load(): Promise<Loaded> {
    const { documents, diagnostics } = await this.#files.read()
    const loaded = this.#loader.load(documents)
    const mesh = { ...loaded.mesh, authorizers: loaded.mesh.authorizers.map((one) => locate(one, this.#files.cwd)) }
    const found = [...diagnostics, ...loaded.diagnostics, ...this.#validator.validate(mesh)]
    return { mesh, diagnostics: sortDiagnostics(found) }
  }
}

/** Loads once. */
export function load(files: InputFiles, namespace: string | undefined): Promise<Loaded> {
  return new MeshFiles(files, namespace).load()
}

/** File names are as the user wrote them; modules and certificates are loaded by their whole paths. */
function locate(authorizer: Authorizer, cwd: string): Authorizer {
  return placedAuthorizer(authorizer, (path) => resolve(cwd, path))
}

/** What a command is given with -f; none at all is a usage error that says what to write. */
export function filesOf(args: Args, io: Io): InputFiles {
  const paths = args.values('file')
  if (paths.length === 0) throw new UsageError('no files: say which with -f PATH', 'for example: -f policies/')
  return new InputFiles(paths, io)
}

/**
 * Prints diagnostics to stderr: errors and warnings always, notes with -v. Gives whether any of them stops the command.
 */
export function report(
  diagnostics: readonly Diagnostic[],
  args: Args,
  io: Io,
  stops: (one: Diagnostic) => boolean = isUnreadable,
): boolean {
  const paint = style(io.color.stderr && !args.flag('no-color'))
  for (const one of diagnostics) {
    if (one.severity !== 'info' || args.flag('verbose')) io.stderr(printDiagnostic(one, paint))
  }
  return diagnostics.some(stops)
}

/** The workload that `NAMESPACE/NAME` (or `NAME` in the default namespace) names; a usage error lists what there is. */
export function findWorkload(mesh: Mesh, name: string | undefined, namespace: string | undefined): Workload {
  const known = [...mesh.workloads.keys()].sort()
  const list = known.length === 0 ? 'the files hold no workload' : `there are: ${known.slice(0, 20).join(', ')}`
  if (name === undefined) throw new UsageError('no workload: say which with --workload NAMESPACE/NAME', list)
  const id = name.includes('/') ? name : `${namespace ?? 'default'}/${name}`
  const workload = mesh.workloads.get(id)
  if (workload !== undefined) return workload
  const close = suggest(id, known)
  throw new UsageError(`no workload \`${id}\``, close === null ? list : `did you mean \`${close}\`?`)
}

export function portOf(text: string | undefined, option: string): number | undefined {
  if (text === undefined) return undefined
  if (!/^[0-9]+$/.test(text) || Number(text) < 1 || Number(text) > 65535) {
    throw new UsageError(`${option} needs a port from 1 to 65535, not \`${text}\``)
  }
  return Number(text)
}
