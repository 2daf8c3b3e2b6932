import { spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { root } from '../command.mjs'

const READY_MS = 30_000
const STOP_MS = 8000
const KEPT_LINES = 30

/** Every process of this run has it in its environment, those too that its programs start. */
const MARK = `SALLYPORT_SOAK_RUN=${process.pid}-${Date.now()}`
// However this ends, what it started ends with it.
process.once('exit', () => {
  for (const pid of leftovers()) tell(pid, 'SIGKILL')
})

/** One program of the run, which may be killed and started again: a role with changing process ids. */
export class Role {
  #command
  #env
  #ready
  #child = null
  #expected = false
  #listeners = new Set()
  last = []
  #excused = []
  /** How often it was started. */
  starts = 0

  /**
   * `ready`: `{ stream, pattern }` of the line after which it serves. `line(role, stream, text)` is told of every line;
   * `died(role, how)` of an end that nobody asked for.
   */
  constructor(name, { command, env = {}, ready, line, died }) {
    this.name = name
    this.#command = command
    this.#env = env
    this.#ready = ready
    this.line = line
    this.died = died
  }

  get pid() {
    return this.#child?.pid ?? null
  }

  /** Resolves when it is ready. */
  async start() {
    const [program, ...args] = this.#command
    this.#expected = false
    this.starts++
    const [name, value] = MARK.split('=')
    const env = { ...process.env, NO_COLOR: '1', ...this.#env, [name]: value }
    // In a group of its own: what a terminal tells this program is not told to those that it has to end in order.
    const child = spawn(program, args, { cwd: root, env, stdio: ['ignore', 'pipe', 'pipe'], detached: true })
    this.#child = child
    const ready = this.next(this.#ready.stream, this.#ready.pattern, READY_MS)
    for (const stream of ['stdout', 'stderr']) {
      createInterface({ input: child[stream] }).on('line', (text) => {
        if (stream === 'stderr') this.last = [...this.last, text].slice(-KEPT_LINES)
        for (const listener of [...this.#listeners]) listener(stream, text)
        this.line(this, stream, text)
      })
    }
    child.once('error', (error) => this.died(this, error.message))
    child.once('exit', (code, signal) => {
      if (this.#child === child) this.#child = null
      if (!this.#expected) this.died(this, signal ?? `exit code ${code}`)
    })
    const line = await ready
    if (line === null) throw new Error(`${this.name} was not ready; it said:\n${this.last.join('\n')}`)
    return line
  }

  /** The next line of a stream that matches; null when none comes in so many milliseconds. */
  next(stream, pattern, patience) {
    return new Promise((resolve) => {
      const finish = (text) => {
        clearTimeout(timer)
        this.#listeners.delete(listener)
        resolve(text)
      }
      const listener = (from, text) => {
        if (from === stream && pattern.test(text)) finish(text)
      }
      const timer = setTimeout(() => finish(null), patience)
      this.#listeners.add(listener)
    })
  }

  /** The next line of standard error that matches is the consequence of a fault; resolves to it as `next` does. */
  excuse(pattern, patience) {
    this.#excused.push(pattern)
    return this.next('stderr', pattern, patience)
  }

  /** Whether a line is one that was excused, which holds for one line each. */
  excuses(text) {
    const at = this.#excused.findIndex((pattern) => pattern.test(text))
    if (at !== -1) this.#excused.splice(at, 1)
    return at !== -1
  }

  /** Its process, and those that this started, the workers. */
  pids() {
    if (this.pid === null) return []
    return [this.pid, ...childrenOf(this.pid)]
  }

  workers() {
    return this.pids().slice(1)
  }

  /** Kills it at once; resolves with the ids of the processes that it leaves behind. */
  async kill() {
    const workers = this.workers()
    const child = this.#child
    if (child === null) return []
    this.#expected = true
    const gone = new Promise((resolve) => child.once('exit', resolve))
    child.kill('SIGKILL')
    await gone
    return workers
  }

  /** Ends it as a user would; resolves with what was wrong about that, or null. */
  async stop() {
    const child = this.#child
    if (child === null) return null
    this.#expected = true
    const pids = this.pids()
    for (const pid of pids) tell(pid, 'SIGCONT')
    const gone = new Promise((resolve) => child.once('exit', (code, signal) => resolve(signal ?? code)))
    child.kill('SIGTERM')
    const timer = setTimeout(() => {
      for (const pid of pids) tell(pid, 'SIGKILL')
    }, STOP_MS)
    const how = await gone
    clearTimeout(timer)
    return how === 0 ? null : `${this.name} did not end as it should when it was told to: ${how}`
  }
}

/** False when it is gone. */
export function tell(pid, signal) {
  try {
    return process.kill(pid, signal)
  } catch {
    return false
  }
}

/** Processes of this run that are still there. */
export function leftovers() {
  return processes().filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0').includes(MARK) && statOf(pid)?.[0] !== 'Z'
    } catch {
      return false
    }
  })
}

/** The fields of /proc/PID/stat behind the name: state, parent, .. */
function statOf(pid) {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ').at(-1).split(' ')
  } catch {
    return null
  }
}

function childrenOf(parent) {
  return processes().filter((pid) => statOf(pid)?.[1] === String(parent))
}

function processes() {
  return readdirSync('/proc')
    .filter((name) => /^[0-9]+$/.test(name))
    .map(Number)
}
