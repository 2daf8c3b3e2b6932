import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'

/** The parts of Node's customization hooks that are used here. */
interface ResolveContext {
  readonly parentURL?: string
}
interface Resolved {
  readonly url: string
  readonly format?: string | null
  readonly shortCircuit?: boolean
}
interface Loaded {
  readonly format: string
  readonly source?: string | ArrayBuffer | Uint8Array
  readonly shortCircuit?: boolean
}

/** An authorization module imports the SDK of whoever runs it: the module need not have it installed beside it. */
export async function resolve(
  specifier: string,
  context: ResolveContext,
  next: (specifier: string, context: ResolveContext) => Promise<Resolved>,
): Promise<Resolved> {
  if (specifier === 'sallyport' || specifier.startsWith('sallyport/')) {
    return next(specifier, { ...context, parentURL: import.meta.url })
  }
  return next(specifier, context)
}

/** Types are removed by esbuild, which checks nothing: Node itself can do so only from 22.18 on. */
export async function load(
  url: string,
  context: object,
  next: (url: string, context: object) => Promise<Loaded>,
): Promise<Loaded> {
  const typescript = url.startsWith('file:') && /\.m?ts$/.test(new URL(url).pathname)
  if (!typescript) return next(url, context)
  const { transform } = await import('esbuild')
  const path = fileURLToPath(url.replace(/[?#].*$/, ''))
  const { code } = await transform(await readFile(path, 'utf8'), {
    loader: 'ts',
    format: 'esm',
    sourcefile: path,
    sourcemap: 'inline',
    target: 'node20.19',
  })
  return { format: 'module', source: code, shortCircuit: true }
}
