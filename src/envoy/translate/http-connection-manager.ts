import type { ForwardClientCertificate, GatewayTopology } from '../../mesh/gateway-topology.ts'
import type { PathNormalization } from '../../mesh/mesh-config.ts'
import type { AccessLog } from './access-log.ts'
import type { HttpFilter } from './http-filter.ts'

/** `envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager`. */
export interface HttpConnectionManager extends PathOptions {
  readonly '@type': 'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager'
  readonly stat_prefix: string
  readonly server_name: 'istio-envoy'
  readonly use_remote_address: boolean
  readonly xff_num_trusted_hops?: number
  readonly forward_client_cert_details: ForwardClientCertificate
  readonly set_current_client_cert_details?: {
    readonly subject: true
    readonly uri: true
    readonly dns: true
    readonly cert?: true
  }
  readonly proxy_100_continue: true
  readonly stream_idle_timeout: '0s'
  readonly upgrade_configs: readonly [{ readonly upgrade_type: 'websocket' }]
  readonly http2_protocol_options?: Readonly<Record<string, never>>
  readonly access_log?: readonly AccessLog[]
  readonly http_filters: readonly HttpFilter[]
  readonly route_config: RouteConfiguration
}

interface PathOptions {
  readonly normalize_path: boolean
  readonly merge_slashes?: true
  readonly path_with_escaped_slashes_action: 'KEEP_UNCHANGED' | 'UNESCAPE_AND_FORWARD'
}

export interface RouteConfiguration {
  readonly name: string
  readonly validate_clusters: false
  readonly virtual_hosts: readonly {
    readonly name: string
    readonly domains: readonly ['*']
    readonly routes: readonly RouteEntry[]
  }[]
}

interface RouteEntry {
  readonly name: 'default'
  readonly match: { readonly prefix: '/' }
  readonly decorator: { readonly operation: string }
  readonly route: {
    readonly cluster: string
    readonly timeout: '0s'
    readonly max_stream_duration: { readonly max_stream_duration: '0s'; readonly grpc_timeout_header_max: '0s' }
    readonly retry_policy?: { readonly retry_on: 'reset-before-request'; readonly num_retries: 2 }
  }
}

export interface HttpOptions {
  readonly statPrefix: string
  readonly normalization: PathNormalization
  /** Of an edge, which clients reach without a proxy of the mesh; null elsewhere. */
  readonly edge: GatewayTopology | null
  /** The port's protocol speaks HTTP/2 by itself. */
  readonly http2: boolean
  readonly accessLog: readonly AccessLog[]
  readonly filters: readonly HttpFilter[]
  readonly routes: RouteConfiguration
}

/** Istio's inbound settings of HTTP, and a gateway's of the client's address and certificate. */
export function httpConnectionManager(options: HttpOptions): HttpConnectionManager {
  const { edge, accessLog } = options
  const trustedHops = edge?.numTrustedProxies ?? 0
  const forwarded = edge?.forwardClientCertDetails ?? 'APPEND_FORWARD'
  return {
    '@type': 'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
    stat_prefix: options.statPrefix,
    server_name: 'istio-envoy',
    ...pathOptions(options.normalization),
    use_remote_address: edge !== null,
    ...(trustedHops > 0 ? { xff_num_trusted_hops: trustedHops } : {}),
    forward_client_cert_details: forwarded,
    ...(forwarded === 'APPEND_FORWARD' || forwarded === 'SANITIZE_SET'
      ? {
          set_current_client_cert_details: {
            ...{ subject: true, uri: true, dns: true },
            ...(edge === null ? {} : { cert: true }),
          },
        }
      : {}),
    proxy_100_continue: true,
    stream_idle_timeout: '0s',
    upgrade_configs: [{ upgrade_type: 'websocket' }],
    ...(options.http2 ? { http2_protocol_options: {} } : {}),
    ...(accessLog.length === 0 ? {} : { access_log: accessLog }),
    http_filters: [
      ...options.filters,
      {
        name: 'envoy.filters.http.router',
        typed_config: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router' },
      },
    ],
    route_config: options.routes,
  }
}

function pathOptions(normalization: PathNormalization): PathOptions {
  switch (normalization) {
    case 'NONE':
      return { normalize_path: false, path_with_escaped_slashes_action: 'KEEP_UNCHANGED' }
    case 'BASE':
      return { normalize_path: true, path_with_escaped_slashes_action: 'KEEP_UNCHANGED' }
    case 'MERGE_SLASHES':
      return { normalize_path: true, merge_slashes: true, path_with_escaped_slashes_action: 'KEEP_UNCHANGED' }
    case 'DECODE_AND_MERGE_SLASHES':
      return { normalize_path: true, merge_slashes: true, path_with_escaped_slashes_action: 'UNESCAPE_AND_FORWARD' }
    default:
      return normalization satisfies never
  }
}

/** Everything goes to one cluster. `name` is the name of the configuration, `port` the one that policies see. */
export function inboundRoutes(name: string, cluster: string, port: number, grpc: boolean): RouteConfiguration {
  const route: RouteEntry = {
    name: 'default',
    match: { prefix: '/' },
    decorator: { operation: `:${port}/*` },
    route: {
      cluster,
      timeout: '0s',
      max_stream_duration: { max_stream_duration: '0s', grpc_timeout_header_max: '0s' },
      // A retry would break a gRPC stream.
      ...(grpc ? {} : { retry_policy: { retry_on: 'reset-before-request', num_retries: 2 } }),
    },
  }
  return {
    name,
    validate_clusters: false,
    virtual_hosts: [{ name: `inbound|http|${port}`, domains: ['*'], routes: [route] }],
  }
}
