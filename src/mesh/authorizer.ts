import type { Labels, Resource } from './resource.ts'

/** `sallyport.dev` Authorizer: an embedded external authorization server. */
export interface Authorizer extends Resource {
  readonly kind: 'Authorizer'
  /** Null when not served. */
  readonly grpc: AuthorizerGrpcListener | null
  readonly http: AuthorizerListener | null
  /** Milliseconds a check may take before it is refused; default 1000. */
  readonly timeout: number
  readonly engine: AuthorizerEngine
}

/** One address that an authorizer listens on. */
export interface AuthorizerListener {
  /** `host:port` or `unix:/path`. */
  readonly listen: string
  /** Permissions of a unix socket; null: as the process's umask leaves them. */
  readonly mode: number | null
  /** Null: cleartext. */
  readonly tls: AuthorizerTls | null
}

/** As grpc-go's `keepalive.ServerParameters`, in milliseconds. */
export const defaultKeepalive = { time: 2 * 60 * 60_000, timeout: 20_000 } as const

/** Durations in milliseconds. */
export interface AuthorizerGrpcListener extends AuthorizerListener {
  /** When a connection is told to go elsewhere, so that callers spread over replicas; null: never. */
  readonly maxConnectionAge: number | null
  /** How long its calls may then take; null: as long as they do. */
  readonly maxConnectionAgeGrace: number | null
  readonly keepalive: {
    readonly time: number
    readonly timeout: number
  }
  /** Whether tools may ask what is served. */
  readonly reflection: boolean
}

/** Paths of PEM files, which lead from where the paths of an engine do. */
export interface AuthorizerTls {
  readonly certificate: string
  readonly key: string
  /** The roots of which clients must have a certificate; null: they need none. */
  readonly clientCa: string | null
  /** SPIFFE ids, or their beginnings before a `*`; null: every certificate of those roots. */
  readonly allow: readonly string[] | null
}

/** Paths lead from where the file's own name leads from: they have been joined to its folder. */
export type AuthorizerEngine =
  /** TypeScript or JavaScript. */
  | { readonly kind: 'module'; readonly path: string }
  | IstioEngine
  /** A `.rego` file, a folder of them, a `.wasm` file, or a bundle (`.tar.gz`) of `opa build`. */
  | { readonly kind: 'rego'; readonly path: string; readonly query: string }
  /** A server of the Open Policy Agent: its address, and the query as a path of its Data API or as `data.a.b`. */
  | OpaEngine
  /** A `.cel` file that holds an expression, or a YAML file that holds several. */
  | { readonly kind: 'cel'; readonly path: string; readonly tokens: readonly string[] }
  | CedarEngine

export interface OpaEngine {
  readonly kind: 'opa'
  readonly url: string
  readonly query: string
  /** PEM of the authorities that may vouch for the server; null for those of the system. */
  readonly ca: string | null
  /** A file with the bearer token that the server wants. */
  readonly token: string | null
}

/** Istio's own resources decide, as they would for one workload. */
export interface IstioEngine {
  readonly kind: 'istio'
  /** Files or folders. */
  readonly paths: readonly string[]
  /** Of resources, and of a workload, that name none: the Authorizer's. */
  readonly namespace: string
  /**
   * Which workload policies are those of. `only`: the only one of the files. `named`: this one; with labels it need not be
   * in the files. `contextExtension`: each request names it, in what the proxy's configuration adds to it.
   */
  readonly workload:
    | { readonly kind: 'only' }
    | { readonly kind: 'named'; readonly name: string; readonly labels: Labels | null }
    | { readonly kind: 'contextExtension'; readonly key: string }
}

export interface CedarEngine {
  readonly kind: 'cedar'
  /** A `.cedar` file, or a folder of them. */
  readonly policies: string
  /** JSON, as Cedar writes entities. */
  readonly entities: string | null
  /** `.cedarschema`, or `.json`. */
  readonly schema: string | null
  /** Files of RequestAuthentication by which tokens are verified. */
  readonly tokens: readonly string[]
  /** Who asks: the workload behind the connection, or whoever the token names. */
  readonly principal: 'source' | 'token'
}

/** The files and folders that an engine is made of, which are worth watching. */
export function pathsOf(engine: AuthorizerEngine): readonly string[] {
  switch (engine.kind) {
    case 'module':
    case 'rego':
      return [engine.path]
    case 'cel':
      return [engine.path, ...engine.tokens]
    case 'istio':
      return engine.paths
    case 'opa':
      return [engine.ca, engine.token].filter((path) => path !== null)
    case 'cedar':
      return [engine.policies, engine.entities, engine.schema, ...engine.tokens].filter((path) => path !== null)
    default:
      return engine satisfies never
  }
}

/** The same authorizer with each of its paths as `place` gives it. */
export function placedAuthorizer(authorizer: Authorizer, place: (path: string) => string): Authorizer {
  const { grpc, http, engine } = authorizer
  return {
    ...authorizer,
    grpc: grpc && placedListener(grpc, place),
    http: http && placedListener(http, place),
    engine: placed(engine, place),
  }
}

export function placedListener<L extends AuthorizerListener>(listener: L, place: (path: string) => string): L {
  if (listener.tls === null) return listener
  const { certificate, key, clientCa } = listener.tls
  const paths = { certificate: place(certificate), key: place(key), clientCa: clientCa && place(clientCa) }
  return { ...listener, tls: { ...listener.tls, ...paths } }
}

/** The same engine with each of its paths as `place` gives it. */
export function placed(engine: AuthorizerEngine, place: (path: string) => string): AuthorizerEngine {
  const optional = (path: string | null) => (path === null ? null : place(path))
  switch (engine.kind) {
    case 'module':
    case 'rego':
      return { ...engine, path: place(engine.path) }
    case 'cel':
      return { ...engine, path: place(engine.path), tokens: engine.tokens.map(place) }
    case 'istio':
      return { ...engine, paths: engine.paths.map(place) }
    case 'opa':
      return { ...engine, ca: optional(engine.ca), token: optional(engine.token) }
    case 'cedar': {
      const { policies, entities, schema, tokens } = engine
      const own = { policies: place(policies), entities: optional(entities), schema: optional(schema) }
      return { ...engine, ...own, tokens: tokens.map(place) }
    }
    default:
      return engine satisfies never
  }
}
