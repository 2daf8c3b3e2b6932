import type { Buffer } from 'node:buffer'
import { readFile, stat } from 'node:fs/promises'
import type { Logger } from '../../../observe/log.ts'
import { parseQuery } from '../opa-envoy/query.ts'
import { builtins } from './builtins/index.ts'
import { readBundle } from './bundle.ts'
import { compilePolicy, isBundle, missing, type RunOpa } from './compile.ts'
import { type Machine, makeMachine } from './machine.ts'
import { webAssembly } from './web-assembly.ts'

export interface PolicyOptions {
  readonly logger: Logger
  /** Runs `opa`; null where policies may not be compiled. */
  readonly runOpa: RunOpa | null
}

export type PolicyLoading =
  | { readonly kind: 'loaded'; readonly machine: Machine }
  | { readonly kind: 'failed'; readonly message: string }

/**
 * Loads a policy from a bundle (`.tar.gz`), a module (`.wasm`), or Rego (a file or a folder), which `opa` compiles. The
 * query names the document that decides. Never throws.
 */
export async function loadPolicy(path: string, query: string, options: PolicyOptions): Promise<PolicyLoading> {
  const parts = parseQuery(query)
  if (parts === null)
    return failed(`the query \`${query}\` names no document: write one such as data.envoy.authz.allow`)
  const entrypoint = parts.join('/')
  try {
    if (path.endsWith('.wasm')) return await instantiate(await readFile(path), '{}', entrypoint)
    if (isBundle(path)) return await loadBundle(await readFile(path), path, entrypoint, options)
    await stat(path)
    return await compileAndLoad(path, entrypoint, options)
  } catch (error) {
    return failed(error instanceof Error ? error.message : String(error))
  }
}

async function loadBundle(packed: Buffer, path: string, entrypoint: string, options: PolicyOptions) {
  const reading = await readBundle(packed, entrypoint)
  if (reading.kind === 'failed') return failed(`${path}: ${reading.message}`)
  const { wasm, data } = reading.bundle
  // A bundle of policies as text, which is what `opa build` makes unless it is told otherwise.
  return wasm === null ? compileAndLoad(path, entrypoint, options) : instantiate(wasm, data, entrypoint)
}

async function compileAndLoad(path: string, entrypoint: string, { runOpa, logger }: PolicyOptions) {
  if (runOpa === null) return failed(missing(path, entrypoint))
  const compilation = await compilePolicy(path, entrypoint, runOpa, logger)
  if (compilation.kind === 'failed') return compilation
  const reading = await readBundle(compilation.bundle, entrypoint)
  if (reading.kind === 'failed') return reading
  const { wasm, data } = reading.bundle
  return wasm === null ? failed('`opa build` made no WebAssembly') : instantiate(wasm, data, entrypoint)
}

async function instantiate(wasm: Buffer, data: string, entrypoint: string): Promise<PolicyLoading> {
  const module = await webAssembly.compile(wasm)
  const making = makeMachine(module, { builtins, data, entrypoint })
  return making.kind === 'failed' ? making : { kind: 'loaded', machine: making.machine }
}

function failed(message: string): { readonly kind: 'failed'; readonly message: string } {
  return { kind: 'failed', message }
}
