// A part of a benchmark in a process of its own, so that nothing that ran before changes its figures and so that what
// does not end, or takes all memory, can be stopped.
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const FLAGS = ['--expose-gc', '--enable-source-maps']
const MOST_OUTPUT = 16 * 1024 * 1024

/**
 * Runs `file` (beside this one) with `task` and resolves to `{ value }`, what it answered, or to `{ failure }`, a
 * sentence; after `seconds` it is killed. `ended` says that it was killed or crashed, rather than complained.
 */
export function run(file, task, { seconds, prefix = [], flags = [] }) {
  const path = fileURLToPath(new URL(file, import.meta.url))
  const [command, ...args] = [...prefix, process.execPath, ...FLAGS, ...flags, path]
  return new Promise((resolve) => {
    const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] })
    let output = ''
    let complaint = ''
    let late = false
    child.stdout.setEncoding('utf8').on('data', (text) => {
      output += text
      if (output.length > MOST_OUTPUT) child.kill('SIGKILL')
    })
    child.stderr.setEncoding('utf8').on('data', (text) => {
      complaint = (complaint + text).slice(-4000)
    })
    const kill = () => child.kill('SIGKILL')
    process.once('exit', kill)
    const timer = setTimeout(() => {
      late = true
      kill()
    }, seconds * 1000)
    child.stdin.on('error', () => {}).end(JSON.stringify(task))
    child.once('error', (error) => {
      clearTimeout(timer)
      resolve({ failure: error.message })
    })
    child.once('close', (code, signal) => {
      clearTimeout(timer)
      process.removeListener('exit', kill)
      if (late) resolve({ failure: `it was not done after ${seconds} s`, ended: true })
      else if (code === 0) resolve({ value: JSON.parse(output) })
      else if (signal !== null) resolve({ failure: `its process ended by ${signal}`, ended: true })
      else resolve({ failure: complaint.trim() || `exit code ${code}` })
    })
  })
}

/** Like `run`, for what must not fail. */
export async function must(file, task, options) {
  const { value, failure } = await run(file, task, options)
  if (failure !== undefined) throw new Error(`${file}: ${failure}`)
  return value
}

/** In a job: what it is to do. */
export function task() {
  return JSON.parse(readFileSync(0, 'utf8'))
}

/** In a job: its answer, an object, once. `share` is added: how much of a core it was given since it began. */
export function answer(value) {
  const { user, system } = process.cpuUsage()
  const share = (user + system) / 1000 / performance.now()
  process.stdout.write(JSON.stringify({ ...value, share }))
}
