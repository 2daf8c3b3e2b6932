import type { AuthorizerGrpcListener, AuthorizerListener, AuthorizerTls } from '../../mesh/authorizer.ts'
import { defaultKeepalive } from '../../mesh/authorizer.ts'
import { readListenAddress } from './address.ts'

/** An address with what else there is to say of it. */
export interface ListenerOptions {
  /** `host:port` (port 0 takes a free one), or `unix:/path`. */
  readonly listen: string
  /** Permissions of a unix socket, such as 0o660; default: as the umask leaves them. */
  readonly mode?: number | null
  /** Default: cleartext. */
  readonly tls?: TlsOptions | null
}

export interface GrpcListenerOptions extends ListenerOptions {
  /**
   * Milliseconds after which a connection is told to go, give or take a tenth, so that callers spread over replicas;
   * default: never.
   */
  readonly maxConnectionAge?: number | null
  /** Milliseconds that its calls may then take; default: as long as they do. */
  readonly maxConnectionAgeGrace?: number | null
  /** Milliseconds between PINGs (default two hours), and for an answer (default 20 seconds). */
  readonly keepalive?: { readonly time?: number; readonly timeout?: number }
  /** Whether tools may ask what is served (server reflection); default true. */
  readonly reflection?: boolean
}

/** Paths of PEM files, which are watched: connections made after a change get what it says, and the others go on. */
export interface TlsOptions {
  /** The leaf first, then what leads to the root. */
  readonly certificate: string
  readonly key: string
  /** The roots of which clients must have a certificate; default: they need none. */
  readonly clientCa?: string | null
  /**
   * SPIFFE ids of the clients to let in, or their beginnings: `spiffe://cluster.local/ns/istio-system/sa/*`. Default:
   * every certificate of `clientCa`.
   */
  readonly allow?: readonly string[] | null
}

/** Throws TypeError or RangeError where something cannot be meant. */
export function readListener(given: string | ListenerOptions): AuthorizerListener {
  const { listen, mode = null, tls = null } = typeof given === 'string' ? { listen: given } : given
  readListenAddress(listen)
  return { listen, mode, tls: tls && readTls(tls) }
}

export function readGrpcListener(given: string | GrpcListenerOptions): AuthorizerGrpcListener {
  const {
    maxConnectionAge = null,
    maxConnectionAgeGrace = null,
    keepalive = {},
    reflection = true,
  } = typeof given === 'string' ? ({} as Partial<GrpcListenerOptions>) : given
  const { time = defaultKeepalive.time, timeout = defaultKeepalive.timeout } = keepalive
  for (const [name, value] of Object.entries({ maxConnectionAge, maxConnectionAgeGrace, time, timeout })) {
    if (value !== null && !(value >= 0)) throw new RangeError(`listen: ${name} must be a number of milliseconds`)
  }
  return { ...readListener(given), maxConnectionAge, maxConnectionAgeGrace, keepalive: { time, timeout }, reflection }
}

function readTls({ certificate, key, clientCa = null, allow = null }: TlsOptions): AuthorizerTls {
  if (allow !== null && clientCa === null) throw new TypeError('listen: tls.allow needs tls.clientCa')
  if (allow !== null && allow.length === 0) throw new TypeError('listen: tls.allow lets nobody in')
  return { certificate, key, clientCa, allow }
}
