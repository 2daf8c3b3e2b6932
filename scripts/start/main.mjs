import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import path from 'node:path'
import { root } from '../command.mjs'
import { setup } from '../setup.mjs'
import { explain } from './explain.mjs'
import { copyExample, example, freePort } from './place.mjs'
import { Child } from './process.mjs'
import { ask, requests } from './requests.mjs'
import { curlLines, intro, outcome, paintFor, served } from './story.mjs'

const cli = path.join(root, 'dist/cli/main.js')
const workload = 'default/httpbin-with-opa'

const usage = `usage: npm start [-- --once]

  --once   end after the four requests, with 0 only if they were answered 403, 403, 200, 200
`

/** Runs the example `opa`, asks its four requests and tells about them; resolves to the exit code. */
export async function main(argv) {
  if (argv.some((argument) => argument !== '--once')) {
    process.stderr.write(usage)
    return argv.includes('--help') || argv.includes('-h') ? 0 : 2
  }
  try {
    await setup()
  } catch (error) {
    process.stderr.write(`${error.message}\n`)
    return 1
  }
  // Set up first: until then build/ may be missing.
  mkdirSync(path.join(root, 'build'), { recursive: true })
  const scratch = mkdtempSync(path.join(root, 'build/start-'))
  const children = []
  const stopped = new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => resolve('stopped'))
    // Nobody reads any more, as after `npm start | head`.
    process.stdout.on('error', () => resolve('stopped'))
  })
  try {
    return await tell({ once: argv.includes('--once'), scratch, children, stopped })
  } catch (error) {
    process.stderr.write(`${error.message}\n`)
    return 1
  } finally {
    await Promise.all(children.map((child) => child.stop()))
    rmSync(scratch, { recursive: true, force: true })
  }
}

async function tell({ once, scratch, children, stopped }) {
  const out = process.stdout
  const paint = paintFor(out)
  const ports = { app: await port(18080), sidecar: await port(18000), authorizer: await port(9191) }
  const files = ports.authorizer === 9191 ? example : copyExample(scratch, ports.authorizer)
  const run = (name, args) => {
    // Certificates of the development CA stay inside the clone.
    const child = new Child(name, args, { ...process.env, XDG_DATA_HOME: path.join(root, 'build/data') })
    children.push(child)
    return child
  }
  const app = run('the application', [path.join(example, 'app.mjs'), String(ports.app)])
  const sidecar = run('sallyport up', [
    ...[cli, 'up', '-f', files, '--workload', workload],
    ...['--listen', `80=127.0.0.1:${ports.sidecar}`, '--app', `127.0.0.1:${ports.app}`],
    ...['-o', 'json'],
  ])
  const ended = Promise.race([stopped, ...children.map((child) => child.failed)])
  const ready = Promise.all([app.line('stdout', /listening/), sidecar.line('stderr', /\bready\b/)])
  if ((await Promise.race([ready, ended])) === 'stopped') return 130

  const url = `http://127.0.0.1:${ports.sidecar}`
  out.write(intro(url, files, paint))
  const asked = []
  for (const request of requests) {
    const logged = sidecar.json('decision')
    const answer = await Promise.race([ask(url, request), ended])
    if (answer === 'stopped') return 130
    asked.push({ request, answer, decision: await logged })
  }
  const traces = await explain({ cli, files, workload, scratch, asked })
  asked.forEach((one, index) => {
    out.write(outcome(index + 1, one, traces[index] ?? null, paint))
  })
  const right = asked.every(({ request, answer }) => answer.status === request.expected)
  if (!right) out.write(`${paint.red('not the answers that were expected')}: 403, 403, 200, 200\n`)
  if (once) return right ? 0 : 1

  out.write(curlLines(url, paint))
  sidecar.on('stdout', (line) => out.write(served(line, paint)))
  sidecar.on('stderr', (line) => process.stderr.write(`${line}\n`))
  await ended
  out.write('\n')
  return 0
}

/** The port itself when nobody has it, else a free one, and says so. */
async function port(wanted) {
  const free = await freePort(wanted)
  if (free !== wanted) process.stderr.write(`  port ${wanted} is taken: using ${free} instead\n`)
  return free
}
