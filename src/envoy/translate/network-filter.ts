import type { AccessLog } from './access-log.ts'
import type { NetworkExtAuthz } from './ext-authz.ts'
import type { HttpConnectionManager } from './http-connection-manager.ts'
import type { RbacLists } from './http-filter.ts'
import type { Extension } from './matchers.ts'

/** The network filters that the translation writes. */
export type NetworkFilter = Extension<HttpConnectionManager | NetworkRbac | NetworkExtAuthz | TcpProxy>

export interface NetworkRbac extends RbacLists {
  readonly '@type': 'type.googleapis.com/envoy.extensions.filters.network.rbac.v3.RBAC'
  readonly stat_prefix: 'tcp.'
}

export interface TcpProxy {
  readonly '@type': 'type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy'
  readonly stat_prefix: string
  readonly cluster: string
  readonly access_log?: readonly AccessLog[]
}
