import type { Buffer } from 'node:buffer'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Logger } from '../../../observe/log.ts'

/** How a run of `opa` went; `missing`: there is no such program. */
export type OpaRun =
  | { readonly kind: 'ended'; readonly code: number; readonly output: string }
  | { readonly kind: 'missing' }
  | { readonly kind: 'failed'; readonly message: string }

/** Runs `opa` with these arguments and gives what it wrote to both streams. */
export type RunOpa = (args: readonly string[]) => Promise<OpaRun>

const MAX_SAID = 4000

export type Compilation =
  /** A bundle, packed. */
  { readonly kind: 'compiled'; readonly bundle: Buffer } | { readonly kind: 'failed'; readonly message: string }

/**
 * Compiles policies to WebAssembly with `opa build`. `path` is a file or a folder with policies and data, or a bundle.
 * Rego of before OPA 1.0 is read as such when it cannot be read as today's.
 */
export async function compilePolicy(
  path: string,
  entrypoint: string,
  runOpa: RunOpa,
  logger: Logger,
): Promise<Compilation> {
  const folder = await mkdtemp(join(tmpdir(), 'sallyport-rego-'))
  try {
    const output = join(folder, 'bundle.tar.gz')
    const arguments_ = ['build', '--target', 'wasm', '--wasm-include-print', '--entrypoint', entrypoint]
    // What begins with a dot is no policy: a mounted ConfigMap has every file a second time in such a folder.
    arguments_.push(...(isBundle(path) ? ['--bundle'] : ['--ignore', '.*']))
    const build = (...more: readonly string[]) => runOpa([...arguments_, ...more, '--output', output, path])
    const today = await build()
    if (today.kind === 'missing') return failed(missing(path, entrypoint))
    if (today.kind === 'failed') return today
    if (today.code !== 0) {
      const old = mayBeOld(today.output) ? await build('--v0-compatible') : today
      // What is wrong as Rego of any time is best said of today's.
      if (old.kind !== 'ended' || old.code !== 0) return failed(said(today.output))
      logger.info('the policy is Rego of before OPA 1.0', { path })
    }
    return { kind: 'compiled', bundle: await readFile(output) }
  } catch (error) {
    return failed(error instanceof Error ? error.message : String(error))
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

export function isBundle(path: string): boolean {
  return path.endsWith('.tar.gz') || path.endsWith('.tgz')
}

/** How to have what cannot be compiled here compiled elsewhere. */
export function missing(path: string, entrypoint: string): string {
  const command = `opa build -t wasm -e ${entrypoint} -o bundle.tar.gz ${path}`
  return `\`opa\`, which compiles Rego, was not found: install it, or run \`${command}\` where it is and name bundle.tar.gz as the path`
}

function mayBeOld(output: string): boolean {
  return output.includes('rego_parse_error') || output.includes('rego_compile_error')
}

/** OPA's own words, which name file and line, without the excerpts of the source that follow them, in one line. */
function said(output: string): string {
  const lines = output.split('\n').filter((line) => line !== '' && !line.startsWith('\t'))
  const text = lines.join('; ').replace(/^error: (?:load error: )?/, '')
  if (text === '') return '`opa build` failed without a word'
  return text.length > MAX_SAID ? `${text.slice(0, MAX_SAID)}...` : text
}

function failed(message: string): Compilation {
  return { kind: 'failed', message }
}
