// Servers in processes of their own on one core, and h2load on another.
import { execFile, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:http2'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { fromBinary } from '@bufbuild/protobuf'
import { CheckResponseSchema } from '../../dist/proto/gen/envoy/service/auth/v3/external_auth_pb.js'
import { which } from '../../scripts/command.mjs'

const PATH = '/envoy.service.auth.v3.Authorization/Check'
const folder = mkdtempSync(join(tmpdir(), 'bench-authorizer-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))

const bin = (name) => fileURLToPath(new URL(`../../.peers/bin/${name}`, import.meta.url))

/** A peer's program, or null. */
export function program(name) {
  return existsSync(bin(name)) ? bin(name) : null
}

export function own(file) {
  return fileURLToPath(new URL(file, import.meta.url))
}

export const loader = which('h2load')

/** Starts a server, which says on its first line where it listens. It stays on the core that all of this is pinned to. */
export async function start([command, ...args]) {
  const child = spawn(command, args, {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, GOMAXPROCS: '1' },
  })
  const end = () => child.kill('SIGKILL')
  process.once('exit', end)
  const address = await new Promise((resolve, reject) => {
    let text = ''
    child.stdout.setEncoding('utf8').on('data', (more) => {
      text += more
      const line = /^(\S+:\d+)\n/.exec(text)
      if (line !== null) resolve(line[1])
    })
    child.once('exit', () => reject(new Error(`${command} ${args.join(' ')} did not start`)))
  })
  const status = (name) =>
    Number(new RegExp(`${name}:\\s+(\\d+)`).exec(readFileSync(`/proc/${child.pid}/status`, 'latin1'))[1])
  return {
    address,
    /** Seconds of processor time so far. */
    cpu() {
      const fields = readFileSync(`/proc/${child.pid}/stat`, 'latin1').split(') ')[1].split(' ')
      return (Number(fields[11]) + Number(fields[12])) / 100
    },
    /** Megabytes, at most so far. */
    memory: () => status('VmHWM') / 1024,
    async stop() {
      process.removeListener('exit', end)
      child.removeAllListeners('exit')
      end()
      await new Promise((resolve) => child.once('close', resolve))
    },
  }
}

/** Whether the server allows what the octets ask: a benchmark of something else would be none. */
export async function allows(address, framed) {
  const session = connect(`http://${address}`)
  const stream = session.request({
    ':method': 'POST',
    ':path': PATH,
    'content-type': 'application/grpc',
    te: 'trailers',
  })
  stream.end(framed)
  const answer = Buffer.concat(await stream.toArray())
  session.destroy()
  if (answer.length < 5) return false
  return (fromBinary(CheckResponseSchema, answer.subarray(5)).status?.code ?? 0) === 0
}

/**
 * Sends so many checks over some connections, `streams` at a time on each. `rate`: of each connection a second, else as
 * many as it can. Gives checks a second by the clock and by the server's processor time, and the 99th percentile in ms.
 */
export async function load(server, framed, { count, connections, streams, rate = null, core }) {
  const data = join(folder, 'check.bin')
  const log = join(folder, 'times')
  writeFileSync(data, framed)
  rmSync(log, { force: true })
  const words = [
    ...(core === null ? [] : ['taskset', '-c', String(core)]),
    ...[loader, '-n', String(count), '-c', String(connections), '-m', String(streams), '-d', data],
    ...['-H', 'content-type: application/grpc', '-H', 'te: trailers', '-H', 'grpc-timeout: 1000m'],
    ...(rate === null ? [] : ['--rps', String(rate), '--log-file', log]),
    `http://${server.address}${PATH}`,
  ]
  const before = server.cpu()
  const { stdout } = await promisify(execFile)(words[0], words.slice(1), { timeout: 120_000 })
  // The clock of processor time ticks a hundred times a second.
  await delay(20)
  const cpu = server.cpu() - before
  const done = Number(/(\d+) succeeded/.exec(stdout)?.[1] ?? 0)
  if (done !== count) throw new Error(`${count - done} of ${count} checks failed:\n${stdout}`)
  const seconds = Number(/finished in ([0-9.]+)/.exec(stdout)[1]) / (/finished in [0-9.]+ms/.test(stdout) ? 1000 : 1)
  return { rate: count / seconds, perCpu: count / cpu, p99: rate === null ? null : percentile(log) }
}

/** Lines of h2load's log: when it began, the status, and microseconds. */
function percentile(log) {
  const times = readFileSync(log, 'latin1')
    .trim()
    .split('\n')
    .map((line) => Number(line.split('\t')[2]))
  times.sort((a, b) => a - b)
  return times[Math.floor(times.length * 0.99)] / 1000
}
