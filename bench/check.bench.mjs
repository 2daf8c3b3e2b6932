// A proxy that asks a provider over gRPC about every request: ours beside Envoy with the same policies and provider.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { which } from '../scripts/command.mjs'
import { loader, own, program, start } from './authorizer/server.mjs'
import { mesh } from './check/mesh.mjs'
import { startProxy, throughput } from './check/proxy.mjs'
import { freePort } from './envoy/server.mjs'
import { median } from './measure.mjs'
import { options } from './options.mjs'
import { figure, Report } from './report.mjs'

const { output, quick, spareCore: core } = options()
const report = new Report()
/** The project's own goal: how many times as many requests as Envoy. */
const GOAL = 2
const [envoy, go] = [program('envoy'), program('go-authorizer')]
for (const [name, path] of [
  ['h2load', loader],
  ['Envoy', envoy],
  ['go-authorizer', go],
]) {
  if (path !== null) continue
  report.note(`Nothing was measured: ${name} is not installed (scripts/peers.sh).`)
  report.print(output)
  process.exit(0)
}

const rounds = quick ? 1 : 5
const count = quick ? 300 : 20_000
const connections = quick ? 4 : 32
const cli = own('../../dist/cli/main.js')
const folder = mkdtempSync(join(tmpdir(), 'bench-check-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))

/** What proxies need is elsewhere: all of the processor time that counts is the proxy's own. */
const elsewhere = (words) => (core === null ? words : [which('taskset'), '-c', String(core), ...words])
const provider = await start(elsewhere([go, '-listen', '127.0.0.1:0']))
const upstream = await start(elsewhere([process.execPath, own('../check/upstream.mjs')]))
const file = join(folder, 'mesh.yaml')
writeFileSync(file, mesh(provider.address.split(':')[1]))

const proxies = { ours: await ours(), Envoy: await theirs() }
const rates = { ours: [], Envoy: [] }
for (const proxy of Object.values(proxies)) await throughput(proxy, { count, connections, core })
for (let round = 0; round < rounds; round++) {
  for (const [name, proxy] of Object.entries(proxies)) {
    rates[name].push(await throughput(proxy, { count, connections, core }))
  }
}
for (const one of [...Object.values(proxies), provider, upstream]) await one.stop()
const [mine, peer] = [median(rates.ours), median(rates.Envoy)]
report.add({
  what: 'a gRPC check on every request',
  ours: mine,
  unit: 'req/s',
  peer: 'Envoy',
  theirs: peer,
  more: true,
})
report.note(
  'Requests a second of one core: those answered, by the processor time that the proxy took for them. The provider ' +
    '(grpc-go), the application and h2load have another core. Each request has some ten headers and is asked about.',
)
if (!quick && mine < GOAL * peer) {
  report.note(`Falls short: ${figure(mine / peer)} times Envoy, the goal is ${GOAL}.`)
}
report.print(output)

async function ours() {
  const port = await freePort()
  const words = [
    'up',
    '-f',
    file,
    '--workload',
    'foo/web',
    '--listen',
    `8080=127.0.0.1:${port}`,
    '--app',
    upstream.address,
  ]
  const args = [...words, '--admin-port', '0', '--metrics-port', '0', '--health-port', '0', '-o', 'json']
  return startProxy([process.execPath, cli, ...args, '--ca-dir', join(folder, 'ca')], port)
}

async function theirs() {
  const port = await freePort()
  const words = [
    'envoy',
    '-f',
    file,
    '--workload',
    'foo/web',
    '--listen',
    `8080=127.0.0.1:${port}`,
    '--app',
    upstream.address,
  ]
  const args = [...words, '--admin', '0', '-o', 'json', '--ca-dir', join(folder, 'ca')]
  const config = join(folder, 'envoy.json')
  writeFileSync(config, execFileSync(process.execPath, [cli, ...args], { stdio: ['ignore', 'pipe', 'ignore'] }))
  const flags = ['--concurrency', '1', '--disable-hot-restart', '--log-level', 'error']
  return startProxy([envoy, '-c', config, ...flags], port)
}
