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
}

const SCHEME = 'spiffe://'

export function loggedConnection({ principal, ip, destination, sni }: LoggedPeers): LoggedRequest {
  const named = principal.startsWith(SCHEME) ? principal.slice(SCHEME.length) : principal
  return {
    source: { ...(named === '' ? {} : { principal: named }), ip },
    destination: { ip: destination.ip, port: destination.port, ...(sni === '' ? {} : { sni }) },
  }
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
  const { method, path, host, scheme, protocol, headers } = head
  return {
    ...connection,
    method,
    path: maskTarget(path, secret?.parameters),
    host,
    scheme,
    protocol,
    headers: maskHeaders(headers, secret?.headers),
  }
}
