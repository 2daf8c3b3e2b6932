import { setTimeout as delay } from 'node:timers/promises'
import { call, healthMessage, healthOf, METHODS, openSession } from './grpc-call.mjs'
import { tell } from './processes.mjs'

/** Milliseconds for an authorizer to serve again, and for workers to end after their supervisor. */
const BACK = 30_000
const ORPHANS = 5000
/** `single` is never killed, so that what it gathers over the whole run is seen. */
const MORTAL = ['pair', 'cel', 'go']
/** What a worker may be silent for before it is replaced, of which a stop stays clear, and then some. */
const STUCK = 5000

/** Faults of the providers' processes. Each resolves when it is over. */
export class Faults {
  #stage
  #judge

  constructor(stage, judge) {
    this.#stage = stage
    this.#judge = judge
  }

  /** The process is killed, and started again after a while. */
  async kill(random) {
    const role = this.#pick(random, MORTAL)
    const over = this.#stage.world.outages.begin(role.name, 'gone')
    const workers = await role.kill()
    await Promise.all([this.#end(role, workers), delay(200 + random.int(2500))])
    await role.start()
    over()
  }

  /** The process and its workers hang for a while. */
  async stop(random) {
    const role = this.#pick(random, [...MORTAL, 'single'])
    const over = this.#stage.world.outages.begin(role.name, 'hanging')
    const pids = role.pids()
    for (const pid of pids) tell(pid, 'SIGSTOP')
    await delay(200 + random.int(3000))
    for (const pid of pids) tell(pid, 'SIGCONT')
    await this.#served(role)
    over()
  }

  /** One worker is killed, and its supervisor replaces it. */
  async killWorker(random) {
    const role = this.#pick(random, ['pair', 'cel'])
    const over = this.#stage.world.outages.begin(role.name, 'gone')
    const worker = random.pick(role.workers())
    const line = role.excuse(/a worker has ended/, BACK)
    tell(worker, 'SIGKILL')
    if ((await line) === null) this.#judge.finding(`${role.name} did not notice that its worker was killed`)
    await this.#complete(role)
    over()
  }

  /** One worker hangs for good, and its supervisor kills it. */
  async hangWorker(random) {
    const role = this.#pick(random, ['pair', 'cel'])
    const over = this.#stage.world.outages.begin(role.name, 'hanging')
    const worker = random.pick(role.workers())
    const line = role.excuse(/a worker did not answer and was killed/, STUCK + BACK)
    tell(worker, 'SIGSTOP')
    if ((await line) === null) this.#judge.finding(`${role.name} did not notice that its worker hangs`)
    await this.#complete(role)
    over()
  }

  #pick(random, names) {
    return this.#stage.roles.get(random.pick(names.filter((name) => this.#stage.roles.has(name))))
  }

  /** Workers end by themselves when nobody supervises them. */
  async #end(role, workers) {
    const late = performance.now() + ORPHANS
    while (workers.some((pid) => tell(pid, 0))) {
      if (performance.now() >= late) {
        this.#judge.finding(`workers of ${role.name} went on after their supervisor was killed`)
        for (const pid of workers) tell(pid, 'SIGKILL')
        return
      }
      await delay(20)
    }
  }

  /** All of its workers are there, and serve. */
  async #complete(role) {
    const wanted = role.name === 'pair' ? 2 : 1
    const page = `http://127.0.0.1:${this.#stage.ports[`${role.name}Metrics`]}/metrics`
    await this.#until(role, async () => {
      const text = await (await fetch(page, { signal: AbortSignal.timeout(5000) })).text()
      return text.includes(`sallyport_authorizer_workers_ready ${wanted}\n`)
    })
    await this.#served(role)
  }

  async #served(role) {
    if (role.name === 'go') return
    const port = this.#stage.ports[{ single: 'singlePool', pair: 'pairPool', cel: 'celGrpc' }[role.name]]
    await this.#until(role, async () => {
      const session = openSession(port)
      try {
        const { messages } = await call(session, METHODS.health, healthMessage)
        return healthOf(messages[0]) === 1
      } finally {
        session.destroy()
      }
    })
  }

  async #until(role, look) {
    const late = performance.now() + BACK
    for (;;) {
      if (await look().catch(() => false)) return
      if (performance.now() >= late) {
        this.#judge.finding(`${role.name} did not serve again within ${BACK / 1000} s`, { fatal: true })
        return
      }
      await delay(50)
    }
  }
}
