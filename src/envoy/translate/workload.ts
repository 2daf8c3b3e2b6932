import { mtlsModeFor } from '../../mesh/attach.ts'
import { type GatewayTopology, gatewayTopologyFor } from '../../mesh/gateway-topology.ts'
import type { Mesh } from '../../mesh/mesh.ts'
import { acceptedTrustDomains } from '../../mesh/mesh-config.ts'
import type { TargetService } from '../../mesh/service.ts'
import type { SocketEndpoint } from '../../mesh/sidecar.ts'
import type { PortProtocol, Workload } from '../../mesh/workload.ts'
import type { AccessLog } from './access-log.ts'
import type { Resources } from './bootstrap.ts'
import { type Cluster, endpointCluster, originalDestinationCluster, type UpstreamProtocol } from './cluster.ts'
import { type ChainOption, chainOptions, type PortKind } from './filter-chain-match.ts'
import { type FilterOptions, type FilterStack, httpFilterStack, networkFilterStack } from './filter-stack.ts'
import { httpConnectionManager, inboundRoutes } from './http-connection-manager.ts'
import type { HttpFilter } from './http-filter.ts'
import type { JwksOptions } from './jwks-place.ts'
import {
  type Address,
  endpointAddress,
  type FilterChain,
  inboundListener,
  type Listener,
  socketAddress,
} from './listener.ts'
import type { NetworkFilter } from './network-filter.ts'
import type { PortView } from './permission.ts'
import type { RbacForm, RbacReport } from './rbac-filter.ts'
import { type CertificateFiles, downstreamTls, secretsOf } from './tls.ts'

/** Where a workload's Envoy listens. */
export type Placement =
  /** One listener takes what iptables redirects to it, whatever its port, and sends it on to where it was going. */
  | { readonly kind: 'redirected'; readonly listen: { readonly host: string; readonly port: number } }
  /** A listener for each port. */
  | { readonly kind: 'ports'; readonly ports: readonly PlacedPort[] }

export interface PlacedPort {
  /** What policies see. */
  readonly port: number
  readonly protocol: PortProtocol
  /** The socket; an empty host means all addresses. */
  readonly listen: { readonly host: string; readonly port: number }
  readonly application: SocketEndpoint
}

export interface TranslateOptions {
  readonly placement: Placement
  readonly rbac: RbacForm
  readonly jwks: JwksOptions
  /** Asked where a port accepts mTLS. */
  readonly certificates: () => CertificateFiles
  readonly accessLog: readonly AccessLog[]
  /** Before the names of listeners, clusters and secrets, so that several workloads fit in one Envoy. */
  readonly prefix: string
  /** At a waypoint, the service that requests are for; null elsewhere. */
  readonly service: TargetService | null
}

/** What a workload needs of its Envoy, and what its RBAC filters came to. */
export interface TranslatedWorkload extends Resources {
  readonly reports: readonly RbacReport[]
}

/** Translates everything that is in force on a workload's inbound side. Pure. */
export function translateWorkload(mesh: Mesh, workload: Workload, options: TranslateOptions): TranslatedWorkload {
  const writer = new Writer(mesh, workload, options)
  const listeners = writer.listeners()
  return {
    listeners,
    clusters: writer.clusters,
    secrets: writer.secured ? secretsOf(options.certificates(), options.prefix) : [],
    reports: writer.reports,
  }
}

interface Port {
  /** Null for the ports that the files do not name. */
  readonly number: number | null
  readonly kind: PortKind
  readonly protocol: PortProtocol
  readonly chainName: (protocol: 'http' | 'tcp') => string
  readonly statPrefix: string
  readonly cluster: string
  readonly matchPort: boolean
  readonly portView: PortView
}

class Writer {
  readonly #mesh: Mesh
  readonly #workload: Workload
  readonly #options: TranslateOptions
  readonly #stacks = new Map<string, FilterStack<HttpFilter> | FilterStack<NetworkFilter>>()
  readonly clusters: Cluster[] = []
  readonly reports: RbacReport[] = []
  /** Null where the workload is no gateway. */
  readonly #edge: GatewayTopology | null
  secured = false

  constructor(mesh: Mesh, workload: Workload, options: TranslateOptions) {
    this.#mesh = mesh
    this.#workload = workload
    this.#options = options
    const { kind } = workload.role
    this.#edge = kind === 'gateway' || kind === 'gatewayApi' ? gatewayTopologyFor(mesh, workload) : null
  }

  listeners(): readonly Listener[] {
    const { placement } = this.#options
    switch (placement.kind) {
      case 'redirected':
        return [this.#redirected(placement.listen)]
      case 'ports':
        return placement.ports.filter(({ protocol }) => protocol !== 'udp').map((port) => this.#placed(port))
      default:
        return placement satisfies never
    }
  }

  /** Istio's `virtualInbound`: a black hole for its own port, any port, then the known ones. */
  #redirected({ host, port }: { readonly host: string; readonly port: number }): Listener {
    const { prefix } = this.#options
    const seen: PortView = () => 'itself'
    const anyPort: Port = {
      number: null,
      kind: 'auto',
      protocol: 'auto',
      chainName: (protocol) => (protocol === 'http' ? 'virtualInbound-catchall-http' : 'virtualInbound'),
      statPrefix: 'InboundPassthroughCluster',
      cluster: `${prefix}InboundPassthroughCluster`,
      matchPort: false,
      portView: seen,
    }
    const known = this.#workload.ports.filter(({ protocol }) => protocol !== 'udp' && protocol !== undefined)
    const chains = [
      this.#blackHole(port),
      ...this.#chains(anyPort),
      ...known.flatMap(({ number, protocol }) =>
        this.#chains({
          ...{ number, protocol, kind: kindOf(protocol), matchPort: true, portView: seen },
          chainName: () => `0.0.0.0_${number}`,
          statPrefix: `inbound_0.0.0.0_${number};`,
          cluster: `${prefix}inbound|${number}||`,
        }),
      ),
    ]
    this.clusters.push(
      endpointCluster(`${prefix}BlackHoleCluster`, [], null),
      originalDestinationCluster(`${prefix}InboundPassthroughCluster`),
      ...known.map(({ number }) => originalDestinationCluster(`${prefix}inbound|${number}||`)),
    )
    return inboundListener(`${prefix}virtualInbound`, socketAddress(host, port), chains, true, this.#edge)
  }

  #placed({ port, protocol, listen, application }: PlacedPort): Listener {
    const { prefix } = this.#options
    const host = listen.host === '' ? '0.0.0.0' : listen.host
    const cluster = `${prefix}inbound|${port}||`
    const chains = this.#chains({
      ...{ number: port, protocol, kind: kindOf(protocol), cluster, matchPort: false },
      chainName: () => `${host}_${port}`,
      statPrefix: `inbound_${host}_${port};`,
      // Behind a PROXY header Envoy sees the port that the header names, as it does in Istio.
      portView: this.#edge?.proxyProtocol === true ? () => 'itself' : portViewOf(port, listen.port),
    })
    this.clusters.push(endpointCluster(cluster, [applicationAddress(application)], upstreamProtocol(protocol)))
    return inboundListener(`${prefix}${host}_${port}`, socketAddress(host, listen.port), chains, false, this.#edge)
  }

  #blackHole(port: number): FilterChain {
    const cluster = `${this.#options.prefix}BlackHoleCluster`
    return {
      name: 'virtualInbound-blackhole',
      filter_chain_match: { destination_port: port },
      filters: [tcpProxy('BlackHoleCluster', cluster, [])],
    }
  }

  #chains(port: Port): readonly FilterChain[] {
    const mode = mtlsModeFor(this.#mesh, this.#workload, port.number ?? 0)
    return chainOptions(mode, port.kind).map((option) => this.#chain(port, option))
  }

  #chain(port: Port, { protocol, tls, match }: ChainOption): FilterChain {
    if (tls) this.secured = true
    return {
      name: port.chainName(protocol),
      filter_chain_match: {
        ...(port.matchPort && port.number !== null ? { destination_port: port.number } : {}),
        ...match,
      },
      ...(tls
        ? { transport_socket: downstreamTls(protocol, acceptedTrustDomains(this.#mesh.config), this.#options.prefix) }
        : {}),
      filters: protocol === 'http' ? [this.#http(port, tls)] : this.#tcp(port, tls),
    }
  }

  #http(port: Port, tls: boolean): NetworkFilter {
    const { config } = this.#mesh
    const { filters } = this.#stack('http', port, tls, (options) =>
      httpFilterStack(this.#mesh, this.#workload, options),
    )
    return {
      name: 'envoy.filters.network.http_connection_manager',
      typed_config: httpConnectionManager({
        statPrefix: port.statPrefix,
        normalization: config.pathNormalization,
        edge: this.#edge,
        http2: port.protocol === 'http2' || port.protocol === 'grpc',
        accessLog: this.#options.accessLog,
        filters,
        routes: inboundRoutes(port.cluster, port.cluster, port.number ?? 0, port.protocol === 'grpc'),
      }),
    }
  }

  #tcp(port: Port, tls: boolean): readonly NetworkFilter[] {
    const { filters } = this.#stack('tcp', port, tls, (options) =>
      networkFilterStack(this.#mesh, this.#workload, options),
    )
    return [...filters, tcpProxy(port.cluster, port.cluster, this.#options.accessLog)]
  }

  /** Made once for all chains in which policies see the same ports. */
  #stack<Filter extends HttpFilter | NetworkFilter>(
    protocol: 'http' | 'tcp',
    port: Port,
    secured: boolean,
    make: (options: FilterOptions) => FilterStack<Filter>,
  ): FilterStack<Filter> {
    const { placement, rbac, jwks, prefix, service } = this.#options
    const key = `${protocol} ${secured} ${placement.kind === 'redirected' ? '' : port.number}`
    const known = this.#stacks.get(key)
    if (known !== undefined) return known as FilterStack<Filter>
    const made = make({ rbac, jwks, prefix, service, portView: port.portView, secured })
    this.#stacks.set(key, made as FilterStack<HttpFilter> | FilterStack<NetworkFilter>)
    const names = new Set(this.clusters.map(({ name }) => name))
    this.clusters.push(...made.clusters.filter(({ name }) => !names.has(name)))
    this.reports.push(...made.reports)
    if (made.secrets) this.secured = true
    return made
  }
}

function tcpProxy(statPrefix: string, cluster: string, accessLog: readonly AccessLog[]): NetworkFilter {
  return {
    name: 'envoy.filters.network.tcp_proxy',
    typed_config: {
      '@type': 'type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy',
      stat_prefix: statPrefix,
      cluster,
      ...(accessLog.length === 0 ? {} : { access_log: accessLog }),
    },
  }
}

/** Istio's protocol selection for a filter chain. */
function kindOf(protocol: PortProtocol): PortKind {
  switch (protocol) {
    case 'http':
    case 'http2':
    case 'grpc':
      return 'http'
    case 'https':
    case 'tls':
    case 'tcp':
    case 'udp':
      return 'tcp'
    case 'auto':
      return 'auto'
    default:
      return protocol satisfies never
  }
}

function upstreamProtocol(protocol: PortProtocol): UpstreamProtocol {
  if (protocol === 'http2' || protocol === 'grpc') return 'http2'
  return protocol === 'auto' ? 'asDownstream' : null
}

/** A socket that is elsewhere stands for one port, and for no other. */
function portViewOf(port: number, socket: number): PortView {
  return (named) => (port === socket ? 'itself' : named === port ? 'always' : 'never')
}

/** `0.0.0.0` is the instance itself. */
function applicationAddress(application: SocketEndpoint): Address {
  if (application.kind === 'unix') return endpointAddress(application)
  const host = application.host === '0.0.0.0' ? '127.0.0.1' : application.host === '::' ? '::1' : application.host
  return endpointAddress({ ...application, host })
}
