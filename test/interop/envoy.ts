import type { ChildProcess } from 'node:child_process'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import type { RequestListener, Server } from 'node:http'
import { createServer, request as sendRequest } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

/** A header as it was on the wire. */
export type Line = [name: string, value: string]

export interface Reply {
  readonly status: number
  readonly lines: Line[]
  readonly body: string
}

export interface RunningEnvoy {
  /** Where its one listener is. */
  readonly port: number
  stop(): Promise<void>
}

/** A cluster of one address on this machine. */
export function cluster(name: string, port: number, http2 = false): object {
  const address = { socket_address: { address: '127.0.0.1', port_value: port } }
  const options = {
    'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
      '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
      explicit_http_config: { http2_protocol_options: {} },
    },
  }
  return {
    name,
    type: 'STATIC',
    connect_timeout: '1s',
    load_assignment: { cluster_name: name, endpoints: [{ lb_endpoints: [{ endpoint: { address } }] }] },
    ...(http2 ? { typed_extension_protocol_options: options } : {}),
  }
}

/**
 * Starts Envoy with one HTTP listener that routes everything to the cluster `app`, through these filters. `options` are
 * further fields of its HTTP connection manager.
 */
export async function startEnvoy(
  binary: string,
  filters: object[],
  clusters: object[],
  options: object = {},
): Promise<RunningEnvoy> {
  const folder = mkdtempSync(join(tmpdir(), 'envoy-'))
  const admin = join(folder, 'admin')
  const local = { socket_address: { address: '127.0.0.1', port_value: 0 } }
  const router = {
    name: 'envoy.filters.http.router',
    typed_config: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router' },
  }
  const manager = {
    '@type': 'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
    stat_prefix: 'test',
    normalize_path: true,
    // Otherwise it waits a second for its peer before it closes a connection.
    delayed_close_timeout: '0s',
    route_config: {
      virtual_hosts: [
        { name: 'all', domains: ['*'], routes: [{ match: { prefix: '/' }, route: { cluster: 'app', timeout: '0s' } }] },
      ],
    },
    http_filters: [...filters, router],
    ...options,
  }
  const connectionManager = { name: 'envoy.filters.network.http_connection_manager', typed_config: manager }
  const config = {
    admin: { address: local },
    // As in Istio's bootstrap: a fragment is cut off.
    layered_runtime: {
      layers: [
        {
          name: 'istio',
          static_layer: { 'envoy.reloadable_features.http_reject_path_with_fragment': false },
        },
      ],
    },
    static_resources: {
      listeners: [{ name: 'in', address: local, filter_chains: [{ filters: [connectionManager] }] }],
      clusters,
    },
  }
  const { ports, stop } = await startBootstrap(binary, config, admin, folder)
  return { port: ports.get('in') as number, stop }
}

export interface RunningBootstrap {
  /** Where its listeners are, by their names. */
  readonly ports: ReadonlyMap<string, number>
  stop(): Promise<void>
}

/**
 * Starts Envoy with a whole configuration, whose administration interface has a free port. `folder`, where it writes
 * that interface's address to the file `admin`, goes away with it.
 */
export async function startBootstrap(
  binary: string,
  config: object,
  admin: string,
  folder: string,
): Promise<RunningBootstrap> {
  const file = join(folder, 'bootstrap.json')
  writeFileSync(file, JSON.stringify(config))
  const flags = ['--disable-hot-restart', '--concurrency', '1', '--log-level', 'warning', '--admin-address-path', admin]
  const envoy = spawn(binary, [...flags, '--file-flush-interval-msec', '20', '--config-path', file], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const stop = async () => {
    if (envoy.exitCode === null && envoy.signalCode === null) {
      envoy.kill('SIGKILL')
      await once(envoy, 'exit')
    }
    rmSync(folder, { recursive: true, force: true })
  }
  try {
    return { ports: await listenerPorts(envoy, admin), stop }
  } catch (error) {
    await stop()
    throw error
  }
}

async function listenerPorts(envoy: ChildProcess, adminFile: string): Promise<ReadonlyMap<string, number>> {
  let log = ''
  envoy.stderr?.setEncoding('utf8').on('data', (text) => {
    log = (log + text).slice(-4000)
  })
  for (let tries = 0; tries < 300; tries++) {
    if (envoy.exitCode !== null) throw new Error(`Envoy ended with ${envoy.exitCode}: ${log}`)
    const ports = await readPorts(adminFile).catch(() => null)
    if (ports !== null) return ports
    // Envoy tells nobody when it is ready, so that it has to be asked.
    await delay(50)
  }
  throw new Error(`Envoy was not ready in time: ${log}`)
}

async function readPorts(adminFile: string): Promise<ReadonlyMap<string, number> | null> {
  const address = readFileSync(adminFile, 'utf8').trim()
  const [host, port] = address.split(':')
  const ready = await send(Number(port), '/ready', [['host', host as string]])
  if (ready.status !== 200) return null
  const listeners = JSON.parse((await send(Number(port), '/listeners?format=json', [['host', host as string]])).body)
  const found = (listeners.listener_statuses ?? []).map(
    (one: { readonly name: string; readonly local_address: { readonly socket_address: { port_value: number } } }) =>
      [one.name, one.local_address.socket_address.port_value] as const,
  )
  return found.length === 0 ? null : new Map(found)
}

/** One request on a connection of its own. */
export async function send(port: number, path: string, lines: Line[], method = 'GET', body = ''): Promise<Reply> {
  const headers = [...lines, ...(body === '' ? [] : [['content-length', String(body.length)]])].flat()
  const message = sendRequest({ host: '127.0.0.1', port, path, method, headers, agent: false } as never).end(body)
  const [response] = await once(message, 'response')
  let text = ''
  for await (const chunk of response.setEncoding('latin1')) text += chunk
  return { status: response.statusCode, lines: pairs(response.rawHeaders), body: text }
}

export function pairs(raw: readonly string[]): Line[] {
  const lines: Line[] = []
  for (let i = 0; i + 1 < raw.length; i += 2) lines.push([(raw[i] as string).toLowerCase(), raw[i + 1] as string])
  return lines
}

/** An application on a free port. */
export async function startApp(listener: RequestListener): Promise<{ port: number; server: Server }> {
  const server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { port: (server.address() as AddressInfo).port, server }
}
