import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('../../../', import.meta.url))

export type Stream = 'stdout' | 'stderr'

const PATIENCE = 20_000
const STOP_PATIENCE = 5_000

const running = new Set<ChildProcess>()
// A test process that is ended from outside, or that crashes, leaves nothing behind.
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => process.exit(1))

/** A Node program that a test runs and reads line by line. */
export class Program {
  readonly name: string
  readonly lines: Readonly<Record<Stream, string[]>> = { stdout: [], stderr: [] }
  /** Resolves with the exit code when it has ended and everything it wrote has been read; null after a signal. */
  readonly ended: Promise<number | null>
  readonly #child: ChildProcess
  readonly #waiting = new Set<() => void>()
  #over = false

  /** With `input` it has that on standard input, else nothing. */
  constructor(name: string, args: readonly string[], env: NodeJS.ProcessEnv = {}, input?: string) {
    this.name = name
    const options = { cwd: root, env: { ...process.env, NO_COLOR: '1', ...env } }
    this.#child = spawn(process.execPath, args, {
      ...options,
      stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    })
    this.#child.stdin?.end(input)
    running.add(this.#child)
    for (const stream of ['stdout', 'stderr'] as const) {
      const input = this.#child[stream]
      if (input === null) throw new Error(`${name} has no ${stream}`)
      createInterface({ input }).on('line', (line) => {
        this.lines[stream].push(line)
        this.#wake()
      })
    }
    this.ended = once(this.#child, 'close').then(([code]) => {
      running.delete(this.#child)
      this.#over = true
      this.#wake()
      return code
    })
  }

  /** The first line from the index on that matches; rejects when the program ends without one, or none comes. */
  line(stream: Stream, pattern: RegExp, from = 0): Promise<string> {
    return this.until(() => this.lines[stream].slice(from).find((line) => pattern.test(line)), String(pattern))
  }

  /** What `look` finds, tried again whenever the program has written a line. */
  async until<T>(look: () => T | undefined, what: string): Promise<T> {
    const late = Date.now() + PATIENCE
    for (;;) {
      const found = look()
      if (found !== undefined) return found
      if (this.#over) throw this.#problem(`ended before ${what}`)
      if (Date.now() >= late) throw this.#problem(`did not come to ${what} in ${PATIENCE} ms`)
      await new Promise<void>((resolve) => {
        const wake = () => {
          clearTimeout(timer)
          this.#waiting.delete(wake)
          resolve()
        }
        const timer = setTimeout(wake, late - Date.now())
        this.#waiting.add(wake)
      })
    }
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  /** Asks it to end, then makes it; resolves with the exit code. */
  async stop(): Promise<number | null> {
    if (!this.#over) this.#child.kill('SIGTERM')
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), STOP_PATIENCE)
    const code = await this.ended
    clearTimeout(timer)
    return code
  }

  #wake(): void {
    for (const wake of [...this.#waiting]) wake()
  }

  #problem(what: string): Error {
    const said = [...this.lines.stderr, ...this.lines.stdout.slice(-5)].slice(-40).map((line) => `    ${line}`)
    return new Error(`${this.name} ${what}; it said:\n${said.join('\n')}`)
  }
}
