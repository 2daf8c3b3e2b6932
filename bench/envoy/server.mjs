import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { connect as connectTls } from 'node:tls'
import { fileURLToPath } from 'node:url'

const binary = fileURLToPath(new URL('../../.peers/bin/envoy', import.meta.url))

/** A folder for configurations and keys, gone with the process. */
export const folder = mkdtempSync(join(tmpdir(), 'bench-envoy-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))

export async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address()
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** Envoy on a core of its own, where there is one. */
export async function startEnvoy(config, port, core) {
  const file = join(folder, 'envoy.json')
  writeFileSync(file, JSON.stringify(config))
  const words = [binary, '-c', file, '--concurrency', '1', '--disable-hot-restart', '--log-level', 'error']
  const [command, ...args] = core === null ? words : ['taskset', '-c', String(core), ...words]
  const process_ = spawn(command, args, { stdio: ['ignore', 'ignore', 'inherit'] })
  for (let tries = 0; ; tries++) {
    if (process_.exitCode !== null || tries > 1200) throw new Error('Envoy did not start')
    if (await answers(port)) break
    await delay(50)
  }
  return {
    /** Seconds of processor time so far. */
    cpu() {
      const fields = readFileSync(`/proc/${process_.pid}/stat`, 'latin1').split(') ')[1].split(' ')
      return (Number(fields[11]) + Number(fields[12])) / 100
    },
    memory: () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${process_.pid}/status`, 'latin1'))[1]) / 1024,
    async stop() {
      process_.kill('SIGKILL')
      await new Promise((resolve) => process_.once('exit', resolve))
    },
  }
}

function answers(port) {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy()
      resolve(true)
    })
    socket.on('error', () => resolve(false))
  })
}

/**
 * Sends `requests(connection)` in turn on each of some connections, one at a time, until `seconds` have gone. Gives how
 * many were answered after a warm-up, and which part of them with 200.
 */
export async function load({ port, connections, seconds, tls, requests, cpu }) {
  let answered = 0
  let allowed = 0
  let ended = false
  const open = Array.from({ length: connections }, async (_, index) => {
    const texts = requests(index)
    const socket = tls === null ? connect(port, '127.0.0.1') : connectTls({ port, host: '127.0.0.1', ...tls(index) })
    await new Promise((resolve, reject) => {
      socket.once(tls === null ? 'connect' : 'secureConnect', resolve)
      socket.once('error', reject)
    })
    socket.setNoDelay(true)
    return { socket, texts }
  })
  const running = (await Promise.all(open)).map(({ socket, texts }, index) => {
    let next = index * 31
    let buffered = ''
    return new Promise((resolve, reject) => {
      socket.on('error', reject)
      socket.on('close', () => (ended ? resolve() : reject(new Error('Envoy closed a connection'))))
      socket.on('data', (data) => {
        buffered += data.latin1Slice()
        const head = buffered.indexOf('\r\n\r\n')
        if (head === -1) return
        const length = Number(/content-length: (\d+)/.exec(buffered)?.[1] ?? 0)
        if (buffered.length < head + 4 + length) return
        answered++
        if (buffered.startsWith('HTTP/1.1 200')) allowed++
        buffered = ''
        if (ended) socket.destroy()
        else socket.write(texts[next++ % texts.length])
      })
      socket.write(texts[next++ % texts.length])
    })
  })
  await Promise.race([delay(seconds * 300), ...running])
  const start = { answered, allowed, cpu: cpu(), time: performance.now() }
  await Promise.race([delay(seconds * 1000), ...running])
  const count = answered - start.answered
  const result = {
    count,
    allowed: (allowed - start.allowed) / count,
    cpu: cpu() - start.cpu,
    time: (performance.now() - start.time) / 1000,
  }
  ended = true
  await Promise.all(running)
  return result
}
