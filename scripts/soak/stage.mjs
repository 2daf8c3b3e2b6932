import { existsSync, mkdirSync } from 'node:fs'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { root } from '../command.mjs'
import { isKnown } from './lines.mjs'
import { authorizerFile, meshFiles } from './mesh.mjs'
import { Outages } from './outages.mjs'
import { freePorts } from './place.mjs'
import { Role } from './processes.mjs'
import { decideModule, gateExpression, riskModule, rolesModule } from './rules.mjs'
import { Versions } from './versions.mjs'

const cli = path.join(root, 'dist/cli/main.js')
const goProgram = path.join(root, '.peers/bin/go-authorizer')
const PORTS = [
  ...['singlePool', 'singleRoles', 'pairPool', 'pairRoles', 'pairRisk', 'celGrpc', 'celHttp', 'go'],
  ...['pool', 'gate', 'orders', 'upMetrics', 'singleMetrics', 'pairMetrics', 'celMetrics'],
]

/** All programs of a run, their files, and what the judge has to know about both. */
export class Stage {
  /** By name: `app`, `up`, `single`, `pair`, `cel`, and `go` where it is installed. */
  roles = new Map()
  ports
  world
  tokens
  #place
  #judge = null
  #app = 0

  constructor(place, tokens) {
    this.#place = place
    this.tokens = tokens
  }

  get go() {
    return this.roles.has('go')
  }

  /** Where programs write what they hold, when they are asked. */
  get probes() {
    return this.#place.path('probes')
  }

  async start(judgeOf) {
    const free = await freePorts(PORTS.length)
    this.ports = Object.fromEntries(PORTS.map((name, i) => [name, free[i]]))
    const go = existsSync(goProgram)
    const pool = ['single', 'pair', ...(go ? ['go'] : [])]
    this.world = {
      outages: new Outages(),
      // Which programs a provider needs.
      roles: { pool, gate: ['cel'], roles: ['single', 'pair'], risk: ['pair'] },
      policy: new Versions({ pool, sometimes: false, order: 'inOrder' }),
      gate: new Versions('wide'),
      rolesVersion: new Versions('open'),
    }
    this.#judge = judgeOf(this.world)
    mkdirSync(this.probes, { recursive: true })
    const app = this.#role('app', [process.execPath, path.join(root, 'scripts/soak/application.mjs')], /^listening/)
    this.#app = Number((await app.start()).split(' ').at(-1))
    this.#writeAuthorizers()
    const authorizer = (name, ...args) =>
      this.#sallyport(name, 'authorizer', '-f', this.#place.path(name), '--health-port', '0', ...args)
    authorizer('single')
    authorizer('pair', '--workers', '2')
    authorizer('cel')
    if (go) this.#role('go', [goProgram, '-listen', `127.0.0.1:${this.ports.go}`], /^127\./)
    for (const name of ['single', 'pair', 'cel', ...(go ? ['go'] : [])]) await this.roles.get(name).start()
    for (const [name, text] of Object.entries(this.files(this.world.policy.last))) this.write(`mesh/${name}`, text)
    const up = ['-f', this.#place.path('mesh'), '--ca-dir', this.#place.path('ca'), '-o', 'json']
    this.#sallyport('up', 'up', ...up, '--health-port', '0', '--admin-port', '0')
    await this.roles.get('up').start()
  }

  /** The mesh's files with a policy of `Versions`. */
  files(policy) {
    const { pool, gate, orders } = this.ports
    return meshFiles({
      ...{ policy, ports: this.ports, listen: { pool, gate, orders } },
      ...{ app: this.#app, jwks: this.tokens.jwks },
    })
  }

  write(name, text) {
    this.#place.write(name, text)
  }

  /** Ends all of them, those first that ask others. What was wrong about it is a finding. */
  async stop() {
    const order = ['up', 'single', 'pair', 'cel', 'go', 'app']
    for (const name of order) {
      const wrong = await this.roles.get(name)?.stop()
      if (typeof wrong === 'string') this.#judge.finding(wrong)
    }
  }

  #writeAuthorizers() {
    const { ports } = this
    const module = (name) => `{ module: { path: ./${name}.ts } }`
    const listen = (name, grpc, http, engine) => ({ name, grpc, http, engine })
    const files = {
      single: authorizerFile([
        listen('pool', ports.singlePool, null, module('decide')),
        listen('roles', ports.singleRoles, null, module('roles')),
      ]),
      pair: authorizerFile([
        listen('pool', ports.pairPool, null, module('decide')),
        listen('roles', ports.pairRoles, null, module('roles')),
        listen('risk', null, ports.pairRisk, module('risk')),
      ]),
      cel: authorizerFile([listen('gate', ports.celGrpc, ports.celHttp, '{ cel: { path: ./gate.cel } }')]),
    }
    for (const [name, text] of Object.entries(files)) this.write(`${name}/authorizer.yaml`, text)
    for (const name of ['single', 'pair']) {
      this.write(`${name}/decide.ts`, decideModule(name))
      this.write(`${name}/roles.ts`, rolesModule(this.world.rolesVersion.last))
    }
    this.write('pair/risk.ts', riskModule)
    this.write('cel/gate.cel', gateExpression(this.world.gate.last))
  }

  #sallyport(name, ...args) {
    const probe = pathToFileURL(path.join(root, 'scripts/soak/probe.mjs')).href
    const env = { NODE_OPTIONS: `--import=${probe}`, SALLYPORT_SOAK_PROBE: this.probes }
    const metrics = ['--metrics-port', String(this.ports[`${name}Metrics`])]
    return this.#role(name, [process.execPath, cli, ...args, ...metrics], /^ready$/, 'stderr', env)
  }

  #role(name, command, pattern, stream = 'stdout', env = {}) {
    const role = new Role(name, {
      ...{ command, env, ready: { stream, pattern } },
      line: (role, from, text) => this.#read(role, from, text),
      died: (role, how) => {
        const said = role.last.map((line) => `\n    ${line}`).join('')
        this.#judge.finding(`${name} ended by itself: ${how}; it said:${said}`, { fatal: true })
      },
    })
    this.roles.set(name, role)
    return role
  }

  #read(role, stream, text) {
    if (stream === 'stderr') {
      if (!role.excuses(text) && !isKnown(text)) this.#judge.finding(`${role.name} wrote to standard error: ${text}`)
    } else if (role.name === 'app' && text.startsWith('wrong: ')) {
      this.#judge.finding(`allowed wrongly: the application was sent ${text}`, { fatal: true })
    } else if (role.name === 'up' && !isDecision(text)) {
      this.#judge.finding(`up wrote to standard output what is no decision: ${text.slice(0, 500)}`)
    }
  }
}

function isDecision(text) {
  try {
    return ['allow', 'deny'].includes(JSON.parse(text).decision)
  } catch {
    return false
  }
}
