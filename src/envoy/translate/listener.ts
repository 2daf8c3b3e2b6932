import type { GatewayTopology } from '../../mesh/gateway-topology.ts'
import type { SocketEndpoint } from '../../mesh/sidecar.ts'
import type { ChainOption } from './filter-chain-match.ts'
import type { Extension } from './matchers.ts'
import type { NetworkFilter } from './network-filter.ts'
import type { DownstreamTls } from './tls.ts'

/** `envoy.config.listener.v3.Listener`, as far as the translation writes it. */
export interface Listener {
  readonly name: string
  readonly address: Address
  readonly traffic_direction: 'INBOUND' | 'OUTBOUND'
  readonly continue_on_listener_filters_timeout?: true
  readonly listener_filters: readonly Extension<ListenerFilter>[]
  readonly listener_filters_timeout?: '0s'
  readonly filter_chains: readonly FilterChain[]
}

export interface FilterChain {
  readonly name: string
  readonly filter_chain_match: Partial<ChainOption['match']> & { readonly destination_port?: number }
  readonly transport_socket?: DownstreamTls
  readonly filters: readonly NetworkFilter[]
}

type ListenerFilter =
  | { readonly '@type': 'type.googleapis.com/envoy.extensions.filters.listener.original_dst.v3.OriginalDst' }
  | {
      readonly '@type': 'type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector'
      readonly initial_read_buffer_size: 512
    }
  | { readonly '@type': 'type.googleapis.com/envoy.extensions.filters.listener.http_inspector.v3.HttpInspector' }
  | { readonly '@type': 'type.googleapis.com/envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol' }

/** `envoy.config.core.v3.Address`. */
export type Address =
  | { readonly socket_address: { readonly address: string; readonly port_value: number } }
  | { readonly pipe: { readonly path: string } }

export function socketAddress(address: string, port: number): Address {
  return { socket_address: { address, port_value: port } }
}

export function endpointAddress(endpoint: SocketEndpoint): Address {
  switch (endpoint.kind) {
    case 'tcp':
      return socketAddress(endpoint.host, endpoint.port)
    case 'unix':
      return { pipe: { path: endpoint.path } }
    default:
      return endpoint satisfies never
  }
}

/**
 * A listener with whatever inspectors its filter chains need. `redirected`: connections came by way of iptables. `edge` is
 * a gateway's, which gives a client 15 seconds for what the inspectors wait for, Envoy's default.
 */
export function inboundListener(
  name: string,
  address: Address,
  chains: readonly FilterChain[],
  redirected: boolean,
  edge: GatewayTopology | null,
): Listener {
  const matches = chains.map((chain) => chain.filter_chain_match)
  const tls = matches.some((match) => match.transport_protocol === 'tls')
  const http = matches.some((match) => match.application_protocols?.includes('http/1.1'))
  return {
    name,
    address,
    traffic_direction: edge === null ? 'INBOUND' : 'OUTBOUND',
    ...(edge === null ? { continue_on_listener_filters_timeout: true } : {}),
    listener_filters: [
      ...(edge?.proxyProtocol === true ? [proxyProtocol] : []),
      ...(redirected ? [originalDestination] : []),
      ...(tls ? [tlsInspector] : []),
      ...(http ? [httpInspector] : []),
    ],
    ...(edge === null ? { listener_filters_timeout: '0s' } : {}),
    filter_chains: chains,
  }
}

const originalDestination: Extension<ListenerFilter> = {
  name: 'envoy.filters.listener.original_dst',
  typed_config: { '@type': 'type.googleapis.com/envoy.extensions.filters.listener.original_dst.v3.OriginalDst' },
}

const proxyProtocol: Extension<ListenerFilter> = {
  name: 'envoy.filters.listener.proxy_protocol',
  typed_config: { '@type': 'type.googleapis.com/envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol' },
}

const tlsInspector: Extension<ListenerFilter> = {
  name: 'envoy.filters.listener.tls_inspector',
  typed_config: {
    '@type': 'type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector',
    initial_read_buffer_size: 512,
  },
}

const httpInspector: Extension<ListenerFilter> = {
  name: 'envoy.filters.listener.http_inspector',
  typed_config: { '@type': 'type.googleapis.com/envoy.extensions.filters.listener.http_inspector.v3.HttpInspector' },
}
