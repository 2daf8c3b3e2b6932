export { remoteIpOf } from '../match/remote-ip.ts'
export type { LoggedRequest } from '../observe/logged-request.ts'
export type { Outcome, Permit } from './authorize.ts'
export { authorize } from './authorize.ts'
export { authorizeConnection } from './authorize-connection.ts'
export type { AuthorizedConnection, BufferedBody, ChainBody, ChainRequest, Policies } from './chain.ts'
export type { ClientTls } from './client-tls.ts'
export type {
  InboundConfig,
  ListenAddress,
  MtlsConfig,
  OutboundConfig,
  PeerIdentity,
  ProxyConfig,
  Route,
  RouteEndpoint,
  WorkloadIdentity,
} from './config.ts'
export type { DecisionLogEntry } from './decision-log.ts'
export type { ListenError } from './listener.ts'
export type { LocalReply } from './local-reply.ts'
export type { ApplyResult, ProxyDeps, ProxyServer } from './proxy.ts'
export { createProxy } from './proxy.ts'
