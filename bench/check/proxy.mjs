// Proxies in processes of their own on the core that all of this is pinned to, and h2load as the client of HTTP/1.1.
import { execFile, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { request } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { loader } from '../authorizer/server.mjs'

const fields = {
  'x-decide': 'allow',
  accept: 'application/json',
  'accept-language': 'en-US,en;q=0.9',
  cookie: 'theme=dark; locale=en',
  'user-agent': 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0',
  'x-tenant': 'a',
}

/** Starts a proxy, which is ready once it answers. */
export async function startProxy([command, ...args], port) {
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'] })
  const end = () => child.kill('SIGKILL')
  process.once('exit', end)
  let complaint = ''
  child.stderr.setEncoding('utf8').on('data', (text) => {
    complaint = (complaint + text).slice(-4000)
  })
  for (let tries = 0; (await status(port)) !== 200; tries++) {
    if (child.exitCode !== null || tries > 400) throw new Error(`${command} did not start: ${complaint}`)
    await delay(50)
  }
  return {
    port,
    cpu() {
      const times = readFileSync(`/proc/${child.pid}/stat`, 'latin1').split(') ')[1].split(' ')
      return (Number(times[11]) + Number(times[12])) / 100
    },
    async stop() {
      process.removeListener('exit', end)
      end()
      await new Promise((resolve) => child.once('close', resolve))
    },
  }
}

function status(port) {
  return new Promise((resolve) => {
    const message = request({ host: '127.0.0.1', port, path: '/', headers: fields, agent: false }, (response) => {
      response.resume()
      resolve(response.statusCode)
    })
    message.on('error', () => resolve(0))
    message.end()
  })
}

/** Requests a second of the proxy's processor time. */
export async function throughput(proxy, { count, connections, core }) {
  const words = [
    ...(core === null ? [] : ['taskset', '-c', String(core)]),
    ...[loader, '--h1', '-n', String(count), '-c', String(connections)],
    ...Object.entries(fields).flatMap(([name, value]) => ['-H', `${name}: ${value}`]),
    `http://127.0.0.1:${proxy.port}/api/v1/items?limit=10`,
  ]
  const before = proxy.cpu()
  const { stdout } = await promisify(execFile)(words[0], words.slice(1), { timeout: 120_000 })
  // The clock of processor time ticks a hundred times a second.
  await delay(20)
  const cpu = proxy.cpu() - before
  const done = Number(/status codes: (\d+) 2xx/.exec(stdout)?.[1] ?? 0)
  if (done !== count) throw new Error(`${count - done} of ${count} requests failed:\n${stdout}`)
  return count / cpu
}
