import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { DecisionLogEntry } from '#src/proxy/decision-log.ts'
import { Program, root } from './program.ts'

const cli = join(root, 'dist/cli/main.js')

/** `sallyport COMMAND ...` as its own process. */
export class Sallyport extends Program {
  #taken = 0
  #reloaded = Number.NEGATIVE_INFINITY

  constructor(args: readonly string[], env: NodeJS.ProcessEnv = {}, input?: string) {
    super(`sallyport ${args[0]}`, [cli, ...args], env, input)
  }

  /** The port of a listener, as the lines before `ready` tell: `inbound NS/NAME:PORT`, `outbound NS/NAME:PORT`. */
  port(listener: string): number {
    const start = `listening: ${listener} at `
    const line = this.lines.stderr.find((one) => one.startsWith(start))
    if (line === undefined) throw new Error(`no listener ${listener} in:\n${this.lines.stderr.join('\n')}`)
    return Number(line.slice(line.lastIndexOf(':') + 1))
  }

  /** What the decision log says of a request, by its `x-request-id`. */
  decision(id: string): Promise<DecisionLogEntry> {
    const look = () => this.lines.stdout.map((line): DecisionLogEntry => JSON.parse(line)).find((one) => one.id === id)
    return this.until(look, `the decision on ${id}`)
  }

  /** The next line of the decision log that no call before has taken: for what is sent one after the other. */
  async nextDecision(): Promise<DecisionLogEntry> {
    const line = await this.until(() => this.lines.stdout[this.#taken], `decision ${this.#taken + 1}`)
    this.#taken++
    return JSON.parse(line)
  }

  /** Changes files, and waits until the program has said what became of it; the lines that it wrote for it. */
  async reload(change: () => void): Promise<{ readonly kind: 'applied' | 'kept'; readonly lines: string[] }> {
    // After a change it looks once more, and what it finds half-way through the next one it tells of twice. Nothing
    // says when that look is over.
    await delay(Math.max(0, this.#reloaded + 150 - performance.now()))
    const from = this.lines.stderr.length
    change()
    const verdict = await this.line('stderr', /^(applied|kept):/, from)
    this.#reloaded = performance.now()
    const kind = verdict.startsWith('applied') ? 'applied' : 'kept'
    return { kind, lines: this.lines.stderr.slice(from) }
  }
}
