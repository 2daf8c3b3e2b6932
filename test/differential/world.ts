import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import * as net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { World } from './batch.ts'
import type { IstioCompiler } from './istio-compiler.ts'
import { Material } from './material.ts'
import { Backends, type Ports } from './slot.ts'

/** Opens what a run needs and closes all of it afterwards, whatever becomes of the work. */
export async function withWorld<T>(
  parts: { readonly envoy: string | null; readonly istio: IstioCompiler | null; readonly keep: boolean },
  work: (world: World) => Promise<T>,
): Promise<T> {
  const { envoy, istio, keep } = parts
  const guard = await takePorts()
  const folder = mkdtempSync(join(tmpdir(), 'differential-'))
  const remove = () => rmSync(folder, { recursive: true, force: true })
  if (!keep) process.on('exit', remove)
  const backends = new Backends(guard.ports)
  try {
    const material = await Material.create(folder)
    return await work({ envoy, istio, folder, backends, material, ports: guard.ports })
  } finally {
    backends.closeAll()
    guard.release()
    if (keep) process.stderr.write(`kept: ${folder}\n`)
    else {
      remove()
      process.off('exit', remove)
    }
  }
}

const FIRST = 18_000
const LAST = 30_000
/** Ports of one run follow each other. */
const COUNT = 8

/**
 * Ports that no other run uses: whoever listens on the first of them, at 127.0.0.1, has them at all other addresses of
 * 127.0.0.0/8. They are below those that systems give to clients.
 */
async function takePorts(): Promise<{ readonly ports: Ports; release(): void }> {
  for (let first = FIRST; first < LAST; first += COUNT) {
    const server = net.createServer((socket) => socket.destroy())
    const bound = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false))
      server.listen({ host: '127.0.0.1', port: first, exclusive: true }, () => resolve(true))
    })
    if (!bound) continue
    if (await anyTaken(first + 1, COUNT - 1)) {
      server.close()
      await once(server, 'close')
      continue
    }
    const [main, other, application, grpc, http, closed] = [1, 2, 3, 4, 5, 6].map((i) => first + i) as [
      ...[number, number, number, number, number, number],
    ]
    server.unref()
    return { ports: { main, other, application, grpc, http, closed }, release: () => server.close() }
  }
  throw new Error(`no free ports from ${FIRST} to ${LAST}`)
}

/** Somebody who listens at every address would be in the way. */
async function anyTaken(first: number, count: number): Promise<boolean> {
  for (let port = first; port < first + count; port++) {
    const server = net.createServer()
    const free = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false))
      server.listen({ host: '127.22.0.1', port, exclusive: true }, () => resolve(true))
    })
    if (!free) return true
    server.close()
    await once(server, 'close')
  }
  return false
}
