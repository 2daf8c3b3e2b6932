// Real Envoy with one listener: Istio's DENY and ALLOW filters before an answer of its own, on one thread.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { rbacOf } from './rbac.mjs'

const binary = fileURLToPath(new URL('../../.peers/bin/envoy', import.meta.url))

/** The request's header that stands for the identity of a certificate. */
export const PEER_HEADER = 'x-bench-peer'

/** Says why it cannot be measured here, or null. */
export function missing() {
  return existsSync(binary) ? null : 'Envoy is not installed (scripts/peers.sh --only envoy)'
}

/** Starts it; resolves to its port, what stops it, and the seconds of processor time that it used so far. */
export async function start(policies, { seconds }) {
  const folder = mkdtempSync(path.join(tmpdir(), 'sallyport-bench-'))
  const config = path.join(folder, 'envoy.json')
  const adminFile = path.join(folder, 'admin')
  writeFileSync(config, JSON.stringify(bootstrap(policies)))
  const flags = ['--disable-hot-restart', '--concurrency', '1', '--log-level', 'error']
  const envoy = spawn(binary, [...flags, '--admin-address-path', adminFile, '--config-path', config], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let log = ''
  envoy.stderr.setEncoding('utf8').on('data', (text) => {
    log = (log + text).slice(-2000)
  })
  const exited = once(envoy, 'exit')
  const end = () => {
    envoy.kill('SIGKILL')
    rmSync(folder, { recursive: true, force: true })
  }
  process.once('exit', end)
  const stop = async () => {
    end()
    await exited
    process.removeListener('exit', end)
  }
  const latest = performance.now() + seconds * 1000
  while (performance.now() < latest && envoy.exitCode === null && envoy.signalCode === null) {
    const port = await listenerPort(adminFile).catch(() => null)
    if (port !== null) return { port, stop, processorTime: () => processorTime(envoy.pid) }
    // Envoy tells nobody when it is ready, so that it has to be asked.
    await delay(50)
  }
  await stop()
  throw new Error(`Envoy was not ready after ${seconds} s: ${log}`)
}

function bootstrap(policies) {
  const type = (name) => ({ '@type': `type.googleapis.com/envoy.extensions.filters.${name}` })
  const key = 'io.istio.peer_principal'
  const peerMatch = (string_match) => ({ filter_state: { key, string_match } })
  const rbac = (action) => {
    const rules = rbacOf(policies, action, peerMatch)
    return rules === null ? [] : [filter('rbac', { ...type('http.rbac.v3.RBAC'), rules })]
  }
  const filter = (name, typed_config) => ({ name: `envoy.filters.http.${name}`, typed_config })
  // As on a waypoint, where the peer's identity is handed over by another listener.
  const identity = filter('set_filter_state', {
    ...type('http.set_filter_state.v3.Config'),
    on_request_headers: [
      {
        object_key: key,
        factory_key: 'envoy.string',
        format_string: { text_format_source: { inline_string: `%REQ(${PEER_HEADER})%` } },
      },
    ],
  })
  const answer = { match: { prefix: '/' }, direct_response: { status: 200 } }
  const manager = {
    ...type('network.http_connection_manager.v3.HttpConnectionManager'),
    stat_prefix: 'bench',
    normalize_path: true,
    use_remote_address: false,
    route_config: { virtual_hosts: [{ name: 'all', domains: ['*'], routes: [answer] }] },
    http_filters: [identity, ...rbac('DENY'), ...rbac('ALLOW'), filter('router', type('http.router.v3.Router'))],
  }
  const address = { socket_address: { address: '127.0.0.1', port_value: 0 } }
  const chain = { filters: [{ name: 'envoy.filters.network.http_connection_manager', typed_config: manager }] }
  return {
    admin: { address },
    static_resources: { listeners: [{ name: 'in', address, filter_chains: [chain] }] },
  }
}

async function listenerPort(adminFile) {
  const admin = `http://${readFileSync(adminFile, 'utf8').trim()}`
  const signal = AbortSignal.timeout(1000)
  const ready = await fetch(`${admin}/ready`, { signal })
  await ready.arrayBuffer()
  if (!ready.ok) return null
  const listeners = await (await fetch(`${admin}/listeners?format=json`, { signal })).json()
  return listeners.listener_statuses?.[0]?.local_address?.socket_address?.port_value ?? null
}

/** Null where the system does not tell. */
function processorTime(pid) {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1].split(' ')
    // Of a user and of the system, in hundredths of a second on Linux.
    return (Number(fields[11]) + Number(fields[12])) / 100
  } catch {
    return null
  }
}
