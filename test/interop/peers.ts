import { accessSync, constants, statSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

/** Real systems that `scripts/peers.sh` installs, and what each needs to be installed. */
const installed = {
  envoy: { command: 'python3', needs: 'Python 3' },
  opa: { command: 'go', needs: 'Go' },
  'go-authorizer': { command: 'go', needs: 'Go' },
  'opa-authorizer': { command: 'go', needs: 'Go' },
  grpcurl: { command: 'go', needs: 'Go' },
  ghz: { command: 'go', needs: 'Go' },
  h2spec: { command: 'go', needs: 'Go' },
  h2load: { command: 'apt-get', needs: 'apt-get' },
} as const

/** Programs that the system brings. */
export type SystemTool = 'curl' | 'openssl'
export type PeerName = keyof typeof installed | SystemTool

/** Where a peer's program is, or why tests that need it are skipped. */
export type Peer = { readonly path: string } | { readonly skip: string }

const bin = fileURLToPath(new URL('../../../.peers/bin/', import.meta.url))

/**
 * Looks a peer up: in `.peers/` first, then on PATH for what comes with the system. With `CI` set a missing peer is an
 * exception, because there these tests must run.
 */
export function peer(name: PeerName, env: NodeJS.ProcessEnv = process.env): Peer {
  const recipe = name in installed ? installed[name as keyof typeof installed] : null
  const found = recipe === null ? onPath(name, env) : executable(path.join(bin, name))
  if (found !== null) return { path: found }
  const reason = missing(name, recipe, env)
  if ((env.CI ?? '') !== '') throw new Error(`${reason}; with CI set it must be there`)
  return { skip: reason }
}

function missing(name: string, recipe: { command: string; needs: string } | null, env: NodeJS.ProcessEnv): string {
  if (recipe === null) return `${name} is not on PATH`
  if (onPath(recipe.command, env) === null) return `${name} is not installed, and ${recipe.needs} is not there to do it`
  return `${name} is not installed (scripts/peers.sh --only ${name})`
}

function onPath(name: string, env: NodeJS.ProcessEnv): string | null {
  for (const folder of (env.PATH ?? '').split(path.delimiter)) {
    const found = folder === '' ? null : executable(path.join(folder, name))
    if (found !== null) return found
  }
  return null
}

function executable(file: string): string | null {
  try {
    accessSync(file, constants.X_OK)
    return statSync(file).isFile() ? file : null
  } catch {
    return null
  }
}
