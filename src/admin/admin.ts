import * as http from 'node:http'
import type { AddressInfo } from 'node:net'
import { PROMETHEUS_CONTENT_TYPE } from '../observe/metrics.ts'

/** Where one part of the admin surface listens; port 0 takes a free one. */
export interface AdminAddress {
  /** Default `127.0.0.1`. */
  readonly host?: string
  readonly port: number
}

export interface AdminOptions {
  /** Istio's 15021: `/healthz/ready` and `/healthz/live`. Null: not served. */
  readonly health: AdminAddress | null
  /** Istio's 15020: `/metrics`. */
  readonly metrics: AdminAddress | null
  /** Istio's 15000: `/config` and `/version`. Always on a loopback address. */
  readonly admin: Pick<AdminAddress, 'port'> | null
  /** Go on without a part whose port is taken, rather than fail. */
  readonly skipTakenPorts: boolean
}

export interface AdminDeps {
  /** Whether listeners are up and a configuration is loaded. */
  readonly ready: () => boolean
  /** Sentences for whoever looks at health; they do not make it unready. They must hold no secrets. */
  readonly notes?: () => readonly string[]
  /** Prometheus text; a promise where other processes are asked. */
  readonly metrics: { render(): string | Promise<string> }
  readonly version: string
  /** What `/config` shows, as JSON. It must hold no secrets. */
  readonly config: () => unknown
}

export interface AdminError {
  readonly kind: 'adminError'
  readonly part: AdminPart
  readonly host: string
  readonly port: number
  /** `EADDRINUSE`, `EACCES`, ... */
  readonly code: string
}

export type AdminPart = 'health' | 'metrics' | 'admin'

export interface Admin {
  readonly kind: 'admin'
  /** Parts that are served, and where. */
  readonly addresses: ReadonlyMap<AdminPart, { readonly host: string; readonly port: number }>
  /** Parts that were left out because their port is taken. */
  readonly skipped: readonly AdminError[]
  close(): Promise<void>
}

/** Opens the health, metrics and admin listeners. All that were asked for, or none. */
export async function createAdmin(options: AdminOptions, deps: AdminDeps): Promise<Admin | AdminError> {
  const parts: [AdminPart, AdminAddress | null, Routes][] = [
    ['health', options.health, healthRoutes(deps)],
    ['metrics', options.metrics, metricsRoutes(deps)],
    ['admin', options.admin === null ? null : { port: options.admin.port }, adminRoutes(deps)],
  ]
  const open = new Map<AdminPart, http.Server>()
  const skipped: AdminError[] = []
  for (const [part, address, routes] of parts) {
    if (address === null) continue
    const result = await listen(part, address, routes)
    if (result instanceof http.Server) {
      open.set(part, result)
    } else if (options.skipTakenPorts && result.code === 'EADDRINUSE') {
      skipped.push(result)
    } else {
      await closeAll(open.values())
      return result
    }
  }
  const addresses = new Map<AdminPart, { host: string; port: number }>()
  for (const [part, server] of open) {
    const { address, port } = server.address() as AddressInfo
    addresses.set(part, { host: address, port })
  }
  return { kind: 'admin', addresses, skipped, close: () => closeAll(open.values()) }
}

interface Page {
  readonly status: number
  readonly type: string
  readonly body: string
}

type Routes = ReadonlyMap<string, () => Page | Promise<Page>>

function text(status: number, body: string): Page {
  return { status, type: 'text/plain; charset=utf-8', body }
}

function json(value: unknown): Page {
  return { status: 200, type: 'application/json', body: `${JSON.stringify(value)}\n` }
}

function healthRoutes({ ready, notes = () => [] }: AdminDeps): Routes {
  const page = (status: number, word: string) => text(status, [word, ...notes(), ''].join('\n'))
  return new Map<string, () => Page>([
    ['/healthz/ready', () => (ready() ? page(200, 'ready') : page(503, 'not ready'))],
    ['/healthz/live', () => text(200, 'live\n')],
  ])
}

function metricsRoutes({ metrics }: AdminDeps): Routes {
  const page = async () => ({ status: 200, type: PROMETHEUS_CONTENT_TYPE, body: await metrics.render() })
  return new Map([['/metrics', page]])
}

function adminRoutes({ config, version }: AdminDeps): Routes {
  return new Map([
    ['/config', () => json(config())],
    ['/version', () => json({ version })],
  ])
}

function listen(part: AdminPart, address: AdminAddress, routes: Routes): Promise<http.Server | AdminError> {
  const { port, host = '127.0.0.1' } = address
  const loopbackOnly = part === 'admin'
  const server = http.createServer({ keepAliveTimeout: 5_000, requestTimeout: 10_000, headersTimeout: 10_000 })
  server.maxConnections = 100
  server.on('request', (request, response) => void serve(request, response, routes, loopbackOnly))
  return new Promise((resolve) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      resolve({ kind: 'adminError', part, host, port, code: error.code ?? 'UNKNOWN' })
    })
    server.listen(port, host, () => {
      server.removeAllListeners('error').on('error', () => {})
      resolve(server)
    })
  })
}

async function serve(
  request: http.IncomingMessage,
  response: http.ServerResponse,
  routes: Routes,
  guarded: boolean,
): Promise<void> {
  const page = await answer(request, routes, guarded)
  response.writeHead(page.status, {
    'content-type': page.type,
    'content-length': Buffer.byteLength(page.body),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
  })
  response.end(request.method === 'HEAD' ? undefined : page.body)
}

function answer(request: http.IncomingMessage, routes: Routes, guarded: boolean): Page | Promise<Page> {
  // A page in the user's browser may reach a loopback port through a name of its own (DNS rebinding).
  if (guarded && !LOOPBACK_HOST.test(request.headers.host ?? '')) return text(403, 'loopback names only\n')
  const path = (request.url ?? '').split('?', 1)[0] as string
  const route = routes.get(path)
  if (route === undefined) return text(404, `${[...routes.keys()].join('\n')}\n`)
  if (request.method !== 'GET' && request.method !== 'HEAD') return text(405, 'GET only\n')
  return route()
}

const LOOPBACK_HOST = /^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/i

async function closeAll(servers: Iterable<http.Server>): Promise<void> {
  await Promise.all(
    [...servers].map((server) => {
      server.closeAllConnections()
      return new Promise<void>((resolve) => server.close(() => resolve()))
    }),
  )
}
