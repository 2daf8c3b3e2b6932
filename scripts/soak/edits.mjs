import { BAD_POLICIES, KEPT } from './mesh.mjs'
import { BAD_EXPRESSIONS, BAD_MODULES, gateExpression, rolesModule } from './rules.mjs'

/** Milliseconds in which a change of files must have become something. */
const PATIENCE = 20_000
/** For a request that was judged by the old files when the new ones were told to be in effect. */
const LATE = 300

/** Edits of the files of running programs, good ones and bad ones. Each resolves when it has become something. */
export class Edits {
  #stage
  #judge

  constructor(stage, judge) {
    this.#stage = stage
    this.#judge = judge
  }

  /** Another policy: a path is opened or closed, an endpoint comes or goes, or providers are asked at once. */
  async policy(random) {
    const { policy } = this.#stage.world
    const next = { ...policy.last }
    const all = this.#stage.go ? ['single', 'pair', 'go'] : ['single', 'pair']
    // One file each: several would be seen one after the other, each with a word of its own.
    const [file, change] = random.weighted([
      [3, () => ['policies.yaml', { sometimes: !next.sometimes }]],
      [1, () => ['policies.yaml', { order: next.order === 'inOrder' ? 'atOnce' : 'inOrder' }]],
      [2, () => ['mesh.yaml', { pool: next.pool.length < all.length ? all : all.slice(0, -1) }]],
    ])
    Object.assign(next, change)
    const settled = policy.change(next)
    this.#stage.write(`mesh/${file}`, this.#stage.files(next)[file])
    await this.#becomes('up', 'applied')
    settled(LATE)
  }

  /** A policy file that must not be taken over, and then the good one again. */
  async badPolicy(random) {
    const text = this.#stage.files(this.#stage.world.policy.last)['policies.yaml']
    const bad = random.pick(BAD_POLICIES)(text)
    this.#stage.write('mesh/policies.yaml', bad)
    await this.#becomes('up', 'kept')
    this.#stage.write('mesh/policies.yaml', text)
    await this.#becomes('up', 'applied')
  }

  /** Another version of the module in both of its authorizers. */
  async roles() {
    const { rolesVersion } = this.#stage.world
    const next = rolesVersion.last === 'open' ? 'strict' : 'open'
    const settled = rolesVersion.change(next)
    for (const role of ['single', 'pair']) {
      this.#stage.write(`${role}/roles.ts`, rolesModule(next))
      await this.#becomes(role, 'applied')
    }
    // A permission of the old one may be kept.
    settled(LATE + KEPT)
  }

  async badRoles(random) {
    const role = random.pick(['single', 'pair'])
    await this.#badFile(
      role,
      `${role}/roles.ts`,
      random.pick(BAD_MODULES),
      rolesModule(this.#stage.world.rolesVersion.last),
    )
  }

  async gate() {
    const { gate } = this.#stage.world
    const next = gate.last === 'wide' ? 'narrow' : 'wide'
    const settled = gate.change(next)
    this.#stage.write('cel/gate.cel', gateExpression(next))
    await this.#becomes('cel', 'applied')
    settled(LATE)
  }

  async badGate(random) {
    const good = gateExpression(this.#stage.world.gate.last)
    await this.#badFile('cel', 'cel/gate.cel', random.pick(BAD_EXPRESSIONS), good)
  }

  async #badFile(role, file, bad, good) {
    this.#stage.write(file, bad)
    await this.#becomes(role, 'kept')
    this.#stage.write(file, good)
    await this.#becomes(role, 'applied')
  }

  async #becomes(role, wanted) {
    const line = await this.#stage.roles.get(role).next('stderr', /^(applied|kept): /, PATIENCE)
    if (line === null) this.#judge.finding(`${role} said nothing about a change of its files in ${PATIENCE / 1000} s`)
    else if (!line.startsWith(wanted)) this.#judge.finding(`${role}: a change of files was ${line}, not ${wanted}`)
  }
}
