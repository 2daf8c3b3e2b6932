import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'

/** A folder for a run's files. */
export class Place {
  folder = mkdtempSync(path.join(tmpdir(), 'sallyport-soak-'))

  path(...names) {
    return path.join(this.folder, ...names)
  }

  /** The file appears whole, so that nobody who watches its folder reads half of it. */
  write(name, text) {
    const file = this.path(name)
    const part = this.path('.written')
    mkdirSync(path.dirname(file), { recursive: true })
    writeFileSync(part, text)
    renameSync(part, file)
  }

  remove() {
    rmSync(this.folder, { recursive: true, force: true })
  }
}

/**
 * So many ports for what is told its port before it starts, and is to have it again when it starts anew. They are below
 * those that the system gives out by itself.
 */
export async function freePorts(count) {
  const ports = new Set()
  while (ports.size < count) {
    // Not by the seed: two runs beside each other are not to want the same ones.
    const port = 20_000 + Math.floor(Math.random() * 12_000)
    if (await isFree(port)) ports.add(port)
  }
  return [...ports]
}

function isFree(port) {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}
