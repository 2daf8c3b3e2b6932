import { asciiLower } from '../match/bytes.ts'
import type { HeaderMap } from '../match/header-map.ts'
import type { IpAddress } from '../match/ip.ts'
import type { Json } from '../source/document.ts'

/** A verified token's payload, with space-delimited claims already split into lists. */
export type Claims = Readonly<Record<string, Json>>

/** What a connection tells; the same for each request on it. */
export interface ConnectionFacts {
  /** The peer's SPIFFE id with its scheme, or empty without mTLS. */
  readonly peer: string
  /** The socket's peer, whatever headers or a PROXY header say. */
  readonly sourceIp: IpAddress
  /** The client's as a PROXY header tells it; absent without one. */
  readonly remoteIp?: IpAddress
  readonly destinationIp: IpAddress
  /** The workload's own port, not the Service's. */
  readonly destinationPort: number
  /** As Envoy has it: lower-case; empty without. */
  readonly sni: string
}

/** What a request tells. `path` and `headers` are as the application will see them at that stage. */
export interface HttpFacts {
  readonly method: string
  /** The target after normalization, with the query. */
  readonly path: string
  /** The authority as sent, with its port. */
  readonly host: string
  readonly scheme: string
  readonly headers: HeaderMap
  readonly remoteIp: IpAddress
}

/**
 * Everything that a decision may read, in one class so that the hot path stays monomorphic. Mutable between the
 * phases of one request (the token leaves, claims arrive), never during a decision.
 */
export class Facts {
  readonly http: boolean
  readonly peer: string
  readonly sourceIp: IpAddress
  readonly destinationIp: IpAddress
  readonly destinationPort: number
  readonly sni: string
  readonly method: string
  readonly host: string
  /** For host conditions, which ignore case. */
  readonly lowerHost: string
  readonly scheme: string
  readonly headers: HeaderMap | null
  remoteIp: IpAddress
  /** With the query. */
  path: string
  /** What path conditions see: cut at `?` or `#`. */
  urlPath: string
  claims: Claims | null = null
  /** Dynamic metadata by filter name, for `experimental.envoy.filters.*`. */
  metadata: Readonly<Record<string, Readonly<Record<string, Json>>>> | null = null

  private constructor(connection: ConnectionFacts, request: HttpFacts | null) {
    this.http = request !== null
    this.peer = connection.peer
    this.sourceIp = connection.sourceIp
    this.destinationIp = connection.destinationIp
    this.destinationPort = connection.destinationPort
    this.sni = connection.sni
    this.method = request?.method ?? ''
    this.host = request?.host ?? ''
    this.lowerHost = asciiLower(this.host)
    this.scheme = request?.scheme ?? ''
    this.headers = request?.headers ?? null
    this.remoteIp = request?.remoteIp ?? connection.remoteIp ?? connection.sourceIp
    this.path = request?.path ?? ''
    this.urlPath = cutPath(this.path)
  }

  static ofConnection(connection: ConnectionFacts): Facts {
    return new Facts(connection, null)
  }

  static ofRequest(connection: ConnectionFacts, request: HttpFacts): Facts {
    return new Facts(connection, request)
  }

  /** After authentication: the target may have lost its token, and claims may be there. */
  authenticated(path: string, claims: Claims | null): void {
    this.path = path
    this.urlPath = cutPath(path)
    this.claims = claims
  }
}

function cutPath(path: string): string {
  for (let i = 0; i < path.length; i++) {
    const c = path.charCodeAt(i)
    if (c === 0x3f || c === 0x23) return path.slice(0, i)
  }
  return path
}
