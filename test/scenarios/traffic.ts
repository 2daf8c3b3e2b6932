import { Agent, request } from 'node:http'

export interface Exchanged {
  /** From `performance.now()`. */
  readonly began: number
  readonly status: number
  readonly body: string
  /** Whether it went over a connection that had carried another request. */
  readonly reused: boolean
}

/** More than a test is meant to send: reaching it ends the traffic. */
const MOST = 20_000

/**
 * Steady requests while something changes: two clients that keep their connection, one that opens a new one each time,
 * each sending the next request when it has the answer to the last.
 */
export class Traffic {
  /** Answers of the clients that keep their connection, by client. */
  readonly kept: readonly Exchanged[][] = [[], []]
  readonly fresh: Exchanged[] = []
  readonly failures: Error[] = []
  readonly #port: number
  readonly #loops: Promise<void>[]
  #stopped = false
  #progress: (() => void)[] = []

  constructor(port: number) {
    this.#port = port
    this.#loops = [...this.kept.map((into) => this.#loop(into, true)), this.#loop(this.fresh, false)]
  }

  get all(): readonly Exchanged[] {
    return [...this.kept.flat(), ...this.fresh]
  }

  /** Resolves when every client has sent and been answered `count` more requests. */
  async more(count: number): Promise<void> {
    const enough = [...this.kept, this.fresh].map((list) => ({ list, length: list.length + count }))
    while (!this.#stopped && enough.some(({ list, length }) => list.length < length)) {
      await new Promise<void>((resolve) => this.#progress.push(resolve))
    }
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await Promise.all(this.#loops)
  }

  async #loop(into: Exchanged[], keepAlive: boolean): Promise<void> {
    const agent = new Agent({ keepAlive, maxSockets: 1 })
    while (!this.#stopped && into.length < MOST) {
      try {
        into.push(await exchange(this.#port, agent))
      } catch (error) {
        this.failures.push(error as Error)
        this.#stopped = true
      }
      const wake = this.#progress
      this.#progress = []
      for (const one of wake) one()
    }
    this.#stopped = true
    agent.destroy()
  }
}

function exchange(port: number, agent: Agent): Promise<Exchanged> {
  return new Promise((resolve, reject) => {
    const began = performance.now()
    const message = request({ host: '127.0.0.1', port, path: '/data', agent }, (response) => {
      let body = ''
      response.setEncoding('utf8').on('data', (chunk) => {
        body += chunk
      })
      response.once('error', reject)
      response.once('end', () =>
        resolve({ began, status: response.statusCode ?? 0, body, reused: message.reusedSocket }),
      )
    })
    message.setTimeout(10_000, () => message.destroy(new Error('no answer in time')))
    message.once('error', reject)
    message.end()
  })
}
