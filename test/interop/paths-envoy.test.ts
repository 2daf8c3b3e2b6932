import assert from 'node:assert/strict'
import { once } from 'node:events'
import net from 'node:net'
import { describe, test } from 'node:test'
import * as fc from 'fast-check'
import { normalizePath, type PathMode } from '#src/match/request-path.ts'
import { cluster, startApp, startEnvoy } from './envoy.ts'
import { peer } from './peers.ts'

const found = peer('envoy')

/** What Istio sets in Envoy for each mode. */
const modes: readonly (readonly [PathMode, object])[] = [
  ['NONE', { normalize_path: false }],
  ['BASE', { normalize_path: true }],
  ['MERGE_SLASHES', { normalize_path: true, merge_slashes: true }],
  [
    'DECODE_AND_MERGE_SLASHES',
    { normalize_path: true, merge_slashes: true, path_with_escaped_slashes_action: 'UNESCAPE_AND_FORWARD' },
  ],
]

const pieces = [
  ...['/', '/', '.', '..', ';', '%2e', '%2F', '%5c', '\\', 'a', '%61', '|', '%25', '%3b', '%', '%3', '%32', '%65'],
  ...['2', 'e', '%46', '%00', '%0', '"', '^', '%7f', '%80', '~', '%7e', '%67', '.;', '..;x', '#', '?', '[', '%41'],
]
const seed = Number(process.env.SALLYPORT_SEED ?? 20261122)
const paths = fc.sample(
  fc.array(fc.constantFrom(...pieces), { maxLength: 9 }).map((some) => `/${some.join('')}`),
  { seed, numRuns: 1000 },
)

describe(`random paths beside Envoy (seed ${seed})`, { skip: 'skip' in found ? found.skip : false }, () => {
  for (const [mode, options] of modes) {
    test(mode, { timeout: 60_000 }, async () => {
      const app = await startApp((request, response) => response.end(request.url))
      const envoy = await startEnvoy('path' in found ? found.path : '', [], [cluster('app', app.port)], options)
      let socket = await connect(envoy.port)
      try {
        for (const path of paths) {
          const normalized = normalizePath(path, mode)
          const ours = normalized.kind === 'path' ? normalized.path : normalized.status
          const theirs = await seenBehind(socket, path)
          assert.equal(ours, theirs, path)
          // Envoy closes the connection of a request that it refuses.
          if (theirs === 400) {
            socket.destroy()
            socket = await connect(envoy.port)
          }
        }
      } finally {
        socket.destroy()
        await envoy.stop()
        app.server.closeAllConnections()
        app.server.close()
      }
    })
  }
})

async function connect(port: number): Promise<net.Socket> {
  const socket = net.connect(port, '127.0.0.1').setEncoding('latin1')
  await once(socket, 'connect')
  return socket
}

/** The target that reached the application, or the status of the refusal. */
async function seenBehind(socket: net.Socket, path: string): Promise<string | number> {
  socket.write(`GET ${path} HTTP/1.1\r\nhost: a\r\n\r\n`)
  let text = ''
  for (;;) {
    const [chunk] = await once(socket, 'data')
    text += chunk
    const end = text.indexOf('\r\n\r\n')
    if (end === -1) continue
    const length = Number(/^content-length: (\d+)/im.exec(text)?.[1] ?? 0)
    if (text.length < end + 4 + length) continue
    const status = Number(text.slice(9, 12))
    return status === 200 ? text.slice(end + 4) : status
  }
}
