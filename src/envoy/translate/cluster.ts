import { parseIp } from '../../match/ip.ts'
import { type Address, socketAddress } from './listener.ts'
import type { UpstreamTls } from './upstream-tls.ts'

/** `envoy.config.cluster.v3.Cluster`, as far as the translation writes it. */
export type Cluster = {
  readonly name: string
  readonly alt_stat_name: string
  readonly connect_timeout: '10s'
  readonly transport_socket?: UpstreamTls
  readonly transport_socket_matches?: readonly SocketMatch[]
  readonly typed_extension_protocol_options?: HttpOptions
} & (
  | {
      readonly type: 'STATIC' | 'STRICT_DNS'
      readonly load_assignment: {
        readonly cluster_name: string
        readonly endpoints?: readonly [{ readonly lb_endpoints: readonly LbEndpoint[] }]
      }
    }
  | {
      readonly type: 'ORIGINAL_DST'
      readonly lb_policy: 'CLUSTER_PROVIDED'
      readonly upstream_bind_config: { readonly source_address: { readonly address: string; readonly port_value: 0 } }
    }
)

interface LbEndpoint {
  readonly endpoint: { readonly address: Address }
  /** Which of the cluster's transport sockets is its own. */
  readonly metadata?: { readonly filter_metadata: { readonly 'envoy.transport_socket_match': SocketLabel } }
}

interface SocketLabel {
  readonly tls?: string
}

interface SocketMatch {
  readonly name: string
  readonly match: SocketLabel
  readonly transport_socket: UpstreamTls | RawBuffer
}

interface RawBuffer {
  readonly name: 'envoy.transport_sockets.raw_buffer'
  readonly typed_config: {
    readonly '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer'
  }
}

interface HttpOptions {
  readonly 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
    readonly '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions'
  } & (
    | { readonly explicit_http_config: { readonly http2_protocol_options: Readonly<Record<string, never>> } }
    | {
        readonly use_downstream_protocol_config: {
          readonly http_protocol_options: Readonly<Record<string, never>>
          readonly http2_protocol_options: Readonly<Record<string, never>>
        }
      }
  )
}

/** What speaks to the other side: HTTP/2, or whatever the client spoke. Null: HTTP/1.1, or no HTTP. */
export type UpstreamProtocol = 'http2' | 'asDownstream' | null

/** A cluster of known endpoints; it is resolved by DNS where one of them is a name. */
export function endpointCluster(
  name: string,
  endpoints: readonly Address[],
  protocol: UpstreamProtocol,
  tls: UpstreamTls | null = null,
): Cluster {
  const named = endpoints.some((one) => 'socket_address' in one && parseIp(one.socket_address.address) === null)
  const lb_endpoints = endpoints.map((address) => ({ endpoint: { address } }))
  return {
    name,
    alt_stat_name: statName(name),
    type: named ? 'STRICT_DNS' : 'STATIC',
    connect_timeout: '10s',
    load_assignment: { cluster_name: name, ...(lb_endpoints.length === 0 ? {} : { endpoints: [{ lb_endpoints }] }) },
    ...(tls === null ? {} : { transport_socket: tls }),
    ...httpOptions(protocol),
  }
}

/** A cluster whose endpoints are each reached in a way of their own; `tls` null: plaintext. */
export function mixedCluster(
  name: string,
  endpoints: readonly { readonly address: Address; readonly tls: UpstreamTls | null }[],
  protocol: UpstreamProtocol,
): Cluster {
  const addresses = endpoints.map(({ address }) => address)
  const ways = [...new Map(endpoints.map(({ tls }) => [JSON.stringify(tls), tls])).entries()]
  const [only] = ways
  if (only !== undefined && ways.length === 1) return endpointCluster(name, addresses, protocol, only[1])
  const plain = endpointCluster(name, addresses, protocol)
  if (plain.type === 'ORIGINAL_DST') return plain
  const label = (tls: UpstreamTls | null): SocketLabel => ({
    tls: String(ways.findIndex(([key]) => key === JSON.stringify(tls))),
  })
  const lb_endpoints = endpoints.map(
    ({ address, tls }): LbEndpoint => ({
      endpoint: { address },
      metadata: { filter_metadata: { 'envoy.transport_socket_match': label(tls) } },
    }),
  )
  return {
    ...plain,
    load_assignment: { cluster_name: name, ...(endpoints.length === 0 ? {} : { endpoints: [{ lb_endpoints }] }) },
    transport_socket_matches: ways.map(([, tls]) => ({
      name: tls === null ? 'plaintext' : `tls-${label(tls).tls}`,
      match: label(tls),
      transport_socket: tls ?? rawBuffer,
    })),
  }
}

const rawBuffer: RawBuffer = {
  name: 'envoy.transport_sockets.raw_buffer',
  typed_config: { '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer' },
}

/** Where a redirected connection was going. The source address keeps iptables from redirecting it again. */
export function originalDestinationCluster(name: string): Cluster {
  return {
    name,
    alt_stat_name: statName(name),
    type: 'ORIGINAL_DST',
    connect_timeout: '10s',
    lb_policy: 'CLUSTER_PROVIDED',
    upstream_bind_config: { source_address: { address: '127.0.0.6', port_value: 0 } },
    ...httpOptions('asDownstream'),
  }
}

/** The address of a host and a port, or of a path after `unix://`. */
export function addressOf(address: string, port: number): Address {
  return address.startsWith('unix:')
    ? { pipe: { path: address.replace(/^unix:(\/\/)?/, '') } }
    : socketAddress(address, port)
}

/** The delimiter tells Istio's tags where the name ends. */
function statName(name: string): string {
  return `${name};`
}

function httpOptions(protocol: UpstreamProtocol): Pick<Cluster, 'typed_extension_protocol_options'> {
  if (protocol === null) return {}
  const config =
    protocol === 'http2'
      ? { explicit_http_config: { http2_protocol_options: {} } }
      : { use_downstream_protocol_config: { http_protocol_options: {}, http2_protocol_options: {} } }
  return {
    typed_extension_protocol_options: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
        '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
        ...config,
      },
    },
  }
}
