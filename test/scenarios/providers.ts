import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const program = fileURLToPath(new URL('provider-program.js', import.meta.url))

const running = new Set<ChildProcessWithoutNullStreams>()
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/** One authorization service as a process, on ports that it keeps when it is started again. */
export class ProviderProcess {
  readonly name: string
  readonly #command: readonly string[]
  #child: ChildProcessWithoutNullStreams | null = null

  /** Our own; or the program of `peer`, which is on grpc-go. */
  constructor(name: string, grpc: number, http: number, peer: string | null = null) {
    this.name = name
    this.#command =
      peer === null
        ? [process.execPath, program, name, String(grpc), String(http)]
        : [peer, '-listen', `127.0.0.1:${grpc}`]
  }

  async start(): Promise<void> {
    const [command = '', ...args] = this.#command
    const child = spawn(command, args, { stdio: 'pipe' })
    child.stderr.pipe(process.stderr)
    running.add(child)
    this.#child = child
    child.once('exit', () => running.delete(child))
    await once(createInterface(child.stdout), 'line')
  }

  /** Resolves when it is dead. */
  async kill(): Promise<void> {
    const child = this.#child
    this.#child = null
    if (child === null) return
    const dead = once(child, 'exit')
    child.kill('SIGKILL')
    await dead
  }

  /** It hangs: its sockets stay, and nothing comes of them. */
  pause(): void {
    this.#child?.kill('SIGSTOP')
  }

  resume(): void {
    this.#child?.kill('SIGCONT')
  }

  /** Only our own: every check takes so many milliseconds from now on. */
  async take(milliseconds: number): Promise<void> {
    const child = this.#child
    if (child === null) return
    const said = once(createInterface(child.stdout), 'line')
    child.stdin.write(`${milliseconds}\n`)
    await said
  }
}

/** One answer of whoever asks the providers. */
export interface Asked {
  /** The provider that decided; null where none did. */
  readonly by: string | null
  /** What was said instead. */
  readonly failure: string
  /** From `performance.now()`. */
  readonly began: number
  readonly ended: number
}

/** Steady load: so many at a time, each next one a moment after the last was answered. */
export class Load {
  readonly answers: Asked[] = []
  readonly #loops: Promise<void>[]
  #stopped = false
  #waiting = new Set<() => void>()
  readonly #lags: { readonly at: number; readonly milliseconds: number }[] = []

  constructor(width: number, ask: () => Promise<Pick<Asked, 'by' | 'failure'>>) {
    this.#loops = Array.from({ length: width }, () => this.#loop(ask))
    void this.#watch()
  }

  /** The longest time since then for which this process had no turn: what a busy machine adds to a wait. */
  lag(since: number): number {
    return Math.max(0, ...this.#lags.filter(({ at }) => at >= since).map(({ milliseconds }) => milliseconds))
  }

  since(began: number): readonly Asked[] {
    return this.answers.filter((one) => one.began >= began)
  }

  /** Resolves with the milliseconds that it took until a request that began from now on is decided by `name`. */
  async until(name: string, patience: number): Promise<number> {
    const from = performance.now()
    while (performance.now() - from < patience) {
      if (this.since(from).some(({ by }) => by === name)) return performance.now() - from
      await new Promise<void>((resolve) => this.#waiting.add(resolve))
    }
    throw new Error(`nothing was decided by ${name} within ${patience} ms`)
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await Promise.all(this.#loops)
  }

  async #watch(): Promise<void> {
    while (!this.#stopped) {
      const due = performance.now() + 20
      await new Promise((resolve) => setTimeout(resolve, 20))
      const at = performance.now()
      this.#lags.push({ at, milliseconds: at - due })
    }
  }

  async #loop(ask: () => Promise<Pick<Asked, 'by' | 'failure'>>): Promise<void> {
    while (!this.#stopped) {
      const began = performance.now()
      const answer = await ask()
      this.answers.push({ ...answer, began, ended: performance.now() })
      const waiting = this.#waiting
      this.#waiting = new Set()
      for (const wake of waiting) wake()
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
  }
}
