import { randomUUID } from 'node:crypto'
import { realpath } from 'node:fs/promises'
import * as nodeModule from 'node:module'
import { pathToFileURL } from 'node:url'

import type { Checks } from '../server/judge.ts'
import type { EngineLoading } from './engine.ts'

/**
 * Loads the TypeScript or JavaScript module of an `Authorizer`. Its default export is the check function, or an object
 * with `check(request)` and, for TCP, `checkConnection(connection)`. Each call loads the file anew, so that a changed
 * one takes effect. A module that throws, or exports something else, is a failure to report, never an exception.
 *
 * `sallyport` and its subpaths resolve to this installation, wherever the module lies.
 */
export async function loadModule(path: string): Promise<EngineLoading> {
  installHooks()
  try {
    // The loader remembers where links led: a ConfigMap of Kubernetes changes by turning one to another folder.
    const url = pathToFileURL(await realpath(path).catch(() => path))
    url.searchParams.set('load', randomUUID())
    const module: { readonly default?: unknown } = await import(url.href)
    return checksOf(module.default)
  } catch (error) {
    return { kind: 'failed', message: error instanceof Error ? error.message : String(error) }
  }
}

function checksOf(exported: unknown): EngineLoading {
  if (typeof exported === 'function') return { kind: 'loaded', checks: { check: exported as Checks['check'] } }
  if (typeof exported === 'object' && exported !== null && 'check' in exported) {
    if (typeof exported.check === 'function') return { kind: 'loaded', checks: exported as Checks }
  }
  return { kind: 'failed', message: 'the default export is neither a function nor an object with `check(request)`' }
}

let installed = false

/** Once a process: module hooks are global by nature. */
function installHooks(): void {
  if (installed) return
  installed = true
  nodeModule.register('./module-hooks.js', import.meta.url)
}
