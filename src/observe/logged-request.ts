import { maskHeaders, maskTarget } from './mask.ts'

/** A request or connection as a decision log shows it, without secrets. A connection has no `method` and no `path`. */
export interface LoggedRequest {
  readonly source: { readonly principal?: string; readonly ip: string }
  readonly destination: { readonly ip: string; readonly port: number; readonly sni?: string }
  readonly method?: string
  readonly path?: string
  readonly host?: string
  readonly scheme?: string
  readonly protocol?: string
  readonly headers?: readonly (readonly [string, string])[]
  /** The client's, where anything but the source tells it. */
  readonly remoteIp?: string
}

/** Between whom a connection is. Empty: there is none, or it was not told. */
export interface LoggedPeers {
  /** SPIFFE id, with its scheme. */
  readonly principal: string
  readonly ip: string
  readonly destination: { readonly ip: string; readonly port: number }
  readonly sni: string
  readonly remoteIp?: string | undefined
}

const SCHEME = 'spiffe://'

// Each request that is logged comes through here: objects are written out, as spreading them takes four times as long.
export function loggedConnection({ principal, ip, destination, sni, remoteIp }: LoggedPeers): LoggedRequest {
  const named = principal.startsWith(SCHEME) ? principal.slice(SCHEME.length) : principal
  const { ip: toIp, port } = destination
  const source = named === '' ? { ip } : { principal: named, ip }
  const to = sni === '' ? { ip: toIp, port } : { ip: toIp, port, sni }
  return remoteIp === undefined ? { source, destination: to } : { source, destination: to, remoteIp }
}

export interface RequestHead {
  readonly method: string
  readonly path: string
  readonly host: string
  readonly scheme: string
  readonly protocol: string
  readonly headers: Iterable<readonly [name: string, value: string]>
}

/** Headers and parameters to hide beside those that always are, in lower case. */
export interface SecretNames {
  readonly headers: ReadonlySet<string>
  readonly parameters: ReadonlySet<string>
}

/** See `maskHeaders` and `maskTarget`. What `head` holds may change afterwards. */
export function loggedRequest(connection: LoggedRequest, head: RequestHead, secret: SecretNames | null): LoggedRequest {
  const { source, destination, remoteIp } = connection
  const { method, host, scheme, protocol } = head
  const path = maskTarget(head.path, secret?.parameters)
  const headers = maskHeaders(head.headers, secret?.headers)
  return remoteIp === undefined
    ? { source, destination, method, path, host, scheme, protocol, headers }
    : { source, destination, method, path, host, scheme, protocol, headers, remoteIp }
}
