import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import path from 'node:path'
import { root } from '../command.mjs'

/** The example's files. */
export const example = path.join(root, 'examples/opa')

/** `wanted` when it can be listened on at 127.0.0.1, else a port that can. */
export async function freePort(wanted) {
  return (await listen(wanted)) ?? (await listen(0))
}

/**
 * A copy of the example whose provider is at another port. It stays inside the clone, where the authorizer's module
 * finds the package that it imports.
 */
export function copyExample(folder, port) {
  const copy = path.join(folder, 'opa')
  cpSync(example, copy, { recursive: true })
  for (const name of ['mesh.yaml', 'authorizer.yaml']) {
    const file = path.join(copy, name)
    writeFileSync(file, readFileSync(file, 'utf8').replaceAll('9191', String(port)))
  }
  process.stderr.write(`  so the files are those of ${path.relative(root, copy)}, a copy with that port in it\n`)
  return copy
}

/** The port that was listened on, and let go; null when it is taken. */
function listen(port) {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', (error) => {
      if (error.code === 'EADDRINUSE' || error.code === 'EACCES') resolve(null)
      else reject(error)
    })
    server.listen(port, '127.0.0.1', () => {
      const { port: got } = server.address()
      server.close(() => resolve(got))
    })
  })
}
