// External authorization over gRPC: our server beside grpc-go, grpc-js and OPA, on the same octets.
import { check, ruled, tokened } from './authorizer/check.mjs'
import { allows, load, loader, own, program, start } from './authorizer/server.mjs'
import { median } from './measure.mjs'
import { options } from './options.mjs'
import { figure, Report } from './report.mjs'

const { output, quick, spareCore } = options()
const core = spareCore
const report = new Report()
/** The project's own goals: how many times as many checks as each, and megabytes with 1,000 connections. */
const GOALS = { 'grpc-go': 2, 'grpc-js': 6, 'OPA in grpc-go': 10 }
const MOST_MEMORY = 200

if (loader === null) {
  report.note('Nothing was measured: h2load is not installed (scripts/peers.sh --only h2load).')
  report.print(output)
  process.exit(0)
}

const rounds = quick ? 1 : 5
const size = quick ? { count: 400, connections: 4, streams: 4 } : { count: 60_000, connections: 10, streams: 10 }
const policy = own('../../examples/opa/policy.rego')
const now = Math.floor(Date.now() / 1000)
const byHeader = check(ruled)
const byToken = check(tokened('secret', now))
const node = (file, ...args) => [process.execPath, own(file), ...args]
const missed = []

await compare('a header rule', byHeader, {
  ours: node('ours.server.mjs', 'header'),
  'grpc-go': peer('go-authorizer'),
  'grpc-js': node('grpc-js.server.mjs'),
})
await compare('the token policy, in TypeScript', byToken, {
  ours: node('ours.server.mjs', 'module', own('../../examples/opa/authorizer.ts')),
  'OPA in grpc-go': peer('opa-authorizer', '-policy', policy),
})
if (program('opa') === null) report.note('Rego was not measured: opa, which compiles it, is not installed.')
else {
  await compare('the token policy, in Rego', byToken, {
    ours: node('ours.server.mjs', 'rego', policy, 'data.envoy.authz.allow'),
    'OPA in grpc-go': peer('opa-authorizer', '-policy', policy),
  })
}
await latency()
await memory()
report.note(
  'Checks a second of one core: those answered, by the processor time that the server took for them. Every server has one ' +
    'core, h2load another. A check is one CheckRequest of a browser’s request with some 15 headers.',
)
if (missed.length > 0) report.note(`Falls short: ${missed.join('; ')}.`)
report.print(output)

function peer(name, ...args) {
  const path = program(name)
  return path === null ? null : [path, ...args]
}

/** In turn, round by round, so that a machine that slows down slows all of them. */
async function compare(what, framed, commands) {
  say(what)
  const servers = new Map()
  for (const [name, command] of Object.entries(commands)) {
    if (command === null) report.note(`${name} was not measured: it is not installed.`)
    else servers.set(name, await start(command))
  }
  const rates = new Map([...servers.keys()].map((name) => [name, []]))
  for (const [name, server] of servers) {
    if (!(await allows(server.address, framed))) throw new Error(`${name} refuses what it should allow`)
    // Warm.
    await load(server, framed, { ...size, core })
  }
  for (let round = 0; round < rounds; round++) {
    for (const [name, server] of servers) rates.get(name).push((await load(server, framed, { ...size, core })).perCpu)
  }
  for (const server of servers.values()) await server.stop()
  const ours = median(rates.get('ours'))
  for (const name of servers.keys()) {
    if (name === 'ours') continue
    const theirs = median(rates.get(name))
    report.add({ what, ours, unit: 'checks/s', peer: name, theirs, more: true })
    const goal = GOALS[name]
    if (!quick && ours / theirs < goal && !what.endsWith('in Rego')) {
      missed.push(`${what} is ${figure(ours / theirs)} times ${name}, the goal is ${goal}`)
    }
  }
  if (servers.size === 1) report.add({ what, ours, unit: 'checks/s' })
}

/** The 99th percentile at half of what grpc-go can do, for both. */
async function latency() {
  say('latency at half load')
  const go = peer('go-authorizer')
  if (go === null) return
  const servers = { ours: await start(node('ours.server.mjs', 'header')), theirs: await start(go) }
  for (const server of Object.values(servers)) await load(server, byHeader, { ...size, core })
  const capacity = (await load(servers.theirs, byHeader, { ...size, core })).rate
  const rate = Math.max(1, Math.round(capacity / 2 / size.connections))
  const times = { ours: [], theirs: [] }
  for (let round = 0; round < rounds; round++) {
    for (const [name, server] of Object.entries(servers)) {
      const count = quick ? 400 : rate * size.connections * 2
      times[name].push((await load(server, byHeader, { ...size, count, rate, core })).p99)
    }
  }
  for (const server of Object.values(servers)) await server.stop()
  const [ours, theirs] = [median(times.ours), median(times.theirs)]
  report.add({ what: '99th percentile at half load', ours, unit: 'ms', peer: 'grpc-go', theirs })
  if (!quick && ours > theirs)
    missed.push(`the 99th percentile is ${figure(ours)} ms, that of grpc-go ${figure(theirs)}`)
}

async function memory() {
  say('a thousand connections')
  const server = await start(node('ours.server.mjs', 'header'))
  const connections = quick ? 50 : 1000
  await load(server, byHeader, { count: connections * (quick ? 4 : 50), connections, streams: 4, core })
  const used = server.memory()
  await server.stop()
  report.add({ what: `memory with ${connections} connections`, ours: used, unit: 'MB' })
  if (used > MOST_MEMORY) missed.push(`${figure(used)} MB with ${connections} connections, the goal is ${MOST_MEMORY}`)
}

function say(what) {
  process.stderr.write(`  ${what}\n`)
}
