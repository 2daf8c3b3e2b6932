import { spawn } from 'node:child_process'
import { accessSync, constants, statSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

/** The repository's root. */
export const root = fileURLToPath(new URL('..', import.meta.url))

const OUTPUT_LIMIT = 1 << 20

/**
 * Runs a program to its end with its output kept (the last MiB of it). Resolves to `{ code, output }`; `code` is null
 * when a signal ended it.
 */
export function capture(command, args, { cwd = root, env = process.env } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    const keep = (text) => {
      output = (output + text).slice(-OUTPUT_LIMIT)
    }
    child.stdout.setEncoding('utf8').on('data', keep)
    child.stderr.setEncoding('utf8').on('data', keep)
    child.once('error', reject)
    child.once('close', (code) => resolve({ code, output }))
  })
}

/** The path of a program on PATH, or null. */
export function which(name, env = process.env) {
  for (const folder of (env.PATH ?? '').split(path.delimiter)) {
    if (folder === '') continue
    const file = path.join(folder, name)
    try {
      accessSync(file, constants.X_OK)
      if (statSync(file).isFile()) return file
    } catch {
      // Not here: look further.
    }
  }
  return null
}

/** A program that a package of this project brings. */
export function packaged(name) {
  return path.join(root, 'node_modules', '.bin', name)
}
