import { printWorkloadId } from '#src/authn/spiffe-id.ts'
import { bootstrap, type RbacForm, type Resources, type TranslateOptions, translateWorkload } from '#src/envoy/index.ts'
import type { DryRun, DryRunResult } from '#src/policy/decider.ts'
import type { Engine, EngineName, PreparedMesh } from './engine.ts'
import { type EnvoyProcess, type LogLine, logFormat } from './envoy-process.ts'
import { fillRequest, type Place, portOf, requestBytes } from './fill.ts'
import type { LoadedSpec } from './mesh-file.ts'
import { NOTHING, type Outcome, ofWire, type Watched } from './outcome.ts'
import type { RequestSpec } from './spec.ts'
import { Client, type WireAnswer } from './wire.ts'

/** Filters that stand in the place of our translation's. */
export interface OtherFilters {
  readonly http: readonly object[]
  readonly tcp: readonly object[]
}

/** To Envoy's own standard output: its file logger would open `/dev/stdout`, and a socket cannot be opened. */
const accessLog = {
  name: 'envoy.access_loggers.stdout',
  typed_config: {
    '@type': 'type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog',
    log_format: { json_format: logFormat },
  },
} as unknown as TranslateOptions['accessLog'][number]

/** A key set for which nobody can sign. */
const NOBODY = '{"keys":[]}'

/** What one mesh needs of an Envoy, in one form of RBAC or with other filters. */
export async function envoyResources(
  loaded: LoadedSpec,
  { index, spec, slot }: PreparedMesh,
  place: Omit<Place, 'address'>,
  form: 'rules' | 'matcher',
  name: EngineName,
): Promise<Resources> {
  const { mesh, workload, service } = loaded
  const { trustDomain } = mesh.config
  const { ports, material } = place
  // Eager: trees where the product would find them too small to be worth one.
  const rbac: RbacForm = form === 'rules' ? { kind: 'rules' } : { kind: 'matcher', fewest: 2, eager: true }
  const certificates = await material.serverFiles(printWorkloadId({ ...workload, trustDomain }))
  const application = { kind: 'tcp', host: slot.address, port: ports.application } as const
  return translateWorkload(mesh, workload, {
    rbac,
    jwks: { byIssuer: new Map(), nobody: NOBODY, ca: '/nowhere.pem' },
    accessLog: [accessLog],
    prefix: `${name}-${index}-`,
    service,
    certificates: () => certificates,
    placement: {
      kind: 'ports',
      ports: [ports.main, ports.other].map((port) => ({
        port,
        protocol: spec.protocol,
        listen: { host: slot.address, port },
        application,
      })),
    },
  })
}

export function bootstrapOf(parts: readonly Resources[]): object {
  return bootstrap(parts, { id: 'differential', cluster: 'differential', admin: { host: '127.0.0.1', port: 0 } })
}

/** The same resources with other filters before the router or the TCP proxy. */
export function withFilters(resources: Resources, { http, tcp }: OtherFilters): Resources {
  const listeners = resources.listeners.map((listener) => ({
    ...listener,
    filter_chains: listener.filter_chains.map((chain) => {
      const last = chain.filters.at(-1) as unknown as {
        readonly name: string
        readonly typed_config: Record<string, unknown>
      }
      if (last.name !== 'envoy.filters.network.http_connection_manager') return { ...chain, filters: [...tcp, last] }
      const router = (last.typed_config.http_filters as readonly object[]).at(-1)
      const config = { ...last.typed_config, http_filters: [...http, router] }
      return { ...chain, filters: [{ ...last, typed_config: config }] }
    }),
  }))
  return { ...resources, listeners: listeners as unknown as Resources['listeners'] }
}

/** Real Envoy with filters of one origin; several share a process. */
export class EnvoyEngine implements Engine {
  readonly name: EngineName
  readonly #place: Omit<Place, 'address'>
  readonly #process: EnvoyProcess
  readonly #clients = new Map<number, Client>()

  constructor(name: EngineName, place: Omit<Place, 'address'>, process: EnvoyProcess, meshes: readonly PreparedMesh[]) {
    this.name = name
    this.#place = place
    this.#process = process
    for (const { index, slot } of meshes) this.#clients.set(index, new Client(slot.address, place.material))
  }

  async run({ index, slot }: PreparedMesh, spec: RequestSpec): Promise<Outcome | null> {
    const client = this.#clients.get(index)
    if (client === undefined) return null
    const request = fillRequest(spec, { ...this.#place, address: slot.address })
    slot.checks = []
    slot.received = []
    slot.script = request.script
    const exchange = await client.exchange(request, portOf(request, this.#place.ports), requestBytes(request))
    const { answer } = exchange
    const { received, checks } = slot
    const patience = logPatience(request, answer)
    const line = patience === 0 ? null : await this.#process.line(exchange.connection, exchange.index, patience)
    return ofWire(answer, received, checks, line === null ? NOTHING : watchedOf(line, request.http === null))
  }

  /** The process is closed by whoever started it. */
  async close(): Promise<void> {
    for (const client of this.#clients.values()) client.close()
  }
}

/**
 * How long to wait for an engine's log of what happened, in milliseconds. A connection that was refused before it was
 * whole leaves nothing there.
 */
export function logPatience({ http }: RequestSpec, answer: WireAnswer): number {
  if (answer.kind === 'answer' || answer.kind === 'bytes') return 15_000
  return http === null ? 2000 : 0
}

function watchedOf(line: LogLine, tcp: boolean): Watched {
  const details = tcp ? line.termination : line.details
  const policy = /rbac_access_denied_matched_policy\[(.*)\]$/.exec(details ?? '')?.[1] ?? null
  const metadata = (tcp ? line.tcp : line.http) ?? {}
  return { policy, details, dryRun: dryRunOf(metadata), audit: line.audit === true }
}

function dryRunOf(metadata: Readonly<Record<string, unknown>>): DryRun | null {
  const part = (action: string): DryRunResult | null => {
    const result = metadata[`istio_dry_run_${action}_shadow_engine_result`]
    if (result !== 'allowed' && result !== 'denied') return null
    const policy = metadata[`istio_dry_run_${action}_shadow_effective_policy_id`]
    return { result, policy: typeof policy === 'string' ? policy : null }
  }
  const allow = part('allow')
  const deny = part('deny')
  if (allow === null && deny === null) return null
  return { ...(allow === null ? {} : { allow }), ...(deny === null ? {} : { deny }) }
}
