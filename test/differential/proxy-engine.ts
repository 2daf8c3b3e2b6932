import type { X509Certificate } from 'node:crypto'
import { networkInterfaces } from 'node:os'
import { createOfflineKeySource } from '#src/authn/key-source.ts'
import { peerIdentity } from '#src/authn/peer.ts'
import { printWorkloadId } from '#src/authn/spiffe-id.ts'
import { forwardedClientCertificate } from '#src/authn/xfcc.ts'
import { ownAddress } from '#src/cli/up/own-address.ts'
import { ProviderClients } from '#src/cli/up/provider-clients.ts'
import type { Logger } from '#src/observe/log.ts'
import { MetricsRegistry } from '#src/observe/metrics.ts'
import type { InboundConfig, WorkloadIdentity } from '#src/proxy/config.ts'
import { configure } from '#src/proxy/configure.ts'
import type { DecisionLogEntry } from '#src/proxy/decision-log.ts'
import { createProxy, type ProxyServer } from '#src/proxy/proxy.ts'
import type { Engine, PreparedMesh } from './engine.ts'
import { logPatience } from './envoy-engine.ts'
import { fillRequest, type Place, portOf, requestBytes } from './fill.ts'
import { loadSpec } from './mesh-file.ts'
import { NOTHING, type Outcome, ofWire } from './outcome.ts'
import type { RequestSpec } from './spec.ts'
import { Client } from './wire.ts'

const silent: Logger = { level: 'error', debug() {}, info() {}, warn() {}, error() {} }

/** Our own proxy, over sockets. */
export class ProxyEngine implements Engine {
  readonly name = 'proxy'
  readonly #place: Omit<Place, 'address'>
  readonly #proxy: ProxyServer
  readonly #clients: ReadonlyMap<number, Client>
  readonly #providers: readonly ProviderClients[]
  readonly #logs: Map<string, EntryQueue>

  private constructor(
    place: Omit<Place, 'address'>,
    proxy: ProxyServer,
    clients: ReadonlyMap<number, Client>,
    providers: readonly ProviderClients[],
    logs: Map<string, EntryQueue>,
  ) {
    this.#place = place
    this.#proxy = proxy
    this.#clients = clients
    this.#providers = providers
    this.#logs = logs
  }

  static async start(place: Omit<Place, 'address'>, meshes: readonly PreparedMesh[]): Promise<ProxyEngine> {
    const clients = new Map<number, Client>()
    const providers: ProviderClients[] = []
    const logs = new Map<string, EntryQueue>()
    const inbound: InboundConfig[] = []
    for (const mesh of meshes) {
      // A waypoint is not what this proxy serves.
      if (mesh.spec.role === 'waypoint') continue
      clients.set(mesh.index, new Client(mesh.slot.address, place.material))
      logs.set(`mesh-${mesh.index}`, new EntryQueue())
      inbound.push(...(await configured(mesh, place, providers)))
    }
    const proxy = createProxy(
      { inbound, outbound: [] },
      {
        log: silent,
        metrics: new MetricsRegistry(),
        decisions: (entry) => logs.get(entry.workload)?.push(entry),
      },
    )
    const started = await proxy.start()
    if (started.kind === 'failed') throw new Error(started.errors.map(({ message }) => message).join('; '))
    return new ProxyEngine(place, proxy, clients, providers, logs)
  }

  async run({ index, slot }: PreparedMesh, spec: RequestSpec): Promise<Outcome | null> {
    const client = this.#clients.get(index)
    const log = this.#logs.get(`mesh-${index}`)
    if (client === undefined || log === undefined) return null
    const request = fillRequest(spec, { ...this.#place, address: slot.address })
    slot.checks = []
    slot.received = []
    slot.script = request.script
    log.clear()
    const { answer } = await client.exchange(request, portOf(request, this.#place.ports), requestBytes(request))
    const { received, checks } = slot
    const patience = logPatience(request, answer)
    const entry = patience === 0 ? null : await log.first(patience)
    return ofWire(answer, received, checks, entry === null ? NOTHING : watched(entry))
  }

  async close(): Promise<void> {
    for (const client of this.#clients.values()) client.close()
    await this.#proxy.close(0)
    await Promise.all(this.#providers.map((clients) => clients.close()))
  }
}

async function configured(
  { index, spec, slot }: PreparedMesh,
  place: Omit<Place, 'address'>,
  providers: ProviderClients[],
): Promise<readonly InboundConfig[]> {
  const { ports, material } = place
  const { mesh, workload } = loadSpec(spec, { ...place, address: slot.address })
  const { trustDomain, trustDomainAliases } = mesh.config
  const id = printWorkloadId({ ...workload, trustDomain })
  const leaf = await material.leaf(`uri:${id}`)
  const trusted = [trustDomain, ...trustDomainAliases]
  const identity: WorkloadIdentity = {
    ...{ id, certificate: leaf.certificate, key: leaf.key, ca: [material.root] },
    identifyPeer: (peer: X509Certificate) => peerIdentity(peer, trusted, Date.now()),
    forwardedClientCert: (peer: X509Certificate) => forwardedClientCertificate(id, peer),
  }
  const clients = new ProviderClients({
    mesh: () => mesh,
    identity: () => identity,
    logger: silent,
    health: null,
    metrics: new MetricsRegistry(),
  })
  providers.push(clients)
  const config = configure({
    mesh,
    local: [
      {
        workload,
        outbound: [],
        inbound: [ports.main, ports.other].map((port) => ({
          origin: null,
          port,
          protocol: spec.protocol,
          listen: { host: slot.address, port },
          application: { kind: 'tcp', host: slot.address, port: ports.application },
        })),
      },
    ],
    identity: () => identity,
    keys: createOfflineKeySource(),
    client: (provider) => clients.get(provider, workload, mesh, identity),
    ownAddress: ownAddress(networkInterfaces()),
  })
  return config.inbound.map((one) => ({
    ...one,
    ...{ id: `${index} ${one.id}`, workload: `mesh-${index}` },
    // Dropped where nothing decides by them; here they show that nothing else is.
    edge: one.edge === null ? null : { ...one.edge, dropEnvoyHeaders: false },
  }))
}

function watched(entry: DecisionLogEntry) {
  const { policy, details, dryRun = null, audit } = entry
  return { policy, details, dryRun, audit: audit === true }
}

/** The decision log of one mesh, of which the first entry is waited for. */
class EntryQueue {
  #first: DecisionLogEntry | null = null
  #wake: (() => void) | null = null

  clear(): void {
    this.#first = null
  }

  push(entry: DecisionLogEntry): void {
    this.#first ??= entry
    this.#wake?.()
  }

  first(patience: number): Promise<DecisionLogEntry | null> {
    if (this.#first !== null) return Promise.resolve(this.#first)
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer)
        this.#wake = null
        resolve(this.#first)
      }
      const timer = setTimeout(done, patience)
      this.#wake = done
    })
  }
}
