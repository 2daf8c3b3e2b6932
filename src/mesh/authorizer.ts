import type { Resource } from './resource.ts'

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
  /** Istio's own resources: files or folders. */
  | { readonly kind: 'istio'; readonly paths: readonly string[] }
  /** A `.rego` file, a folder of them, a `.wasm` file, or a bundle (`.tar.gz`) of `opa build`. */
  | { readonly kind: 'rego'; readonly path: string; readonly query: string }
  /** A server of the Open Policy Agent: its address, and the query as a path of its Data API or as `data.a.b`. */
  | { readonly kind: 'opa'; readonly url: string; readonly query: string }
  | { readonly kind: 'cel'; readonly path: string }
  | {
      readonly kind: 'cedar'
      readonly policies: string
      readonly entities: string | null
      readonly schema: string | null
    }

/** The files and folders that an engine is made of, which are worth watching. */
export function pathsOf(engine: AuthorizerEngine): readonly string[] {
  switch (engine.kind) {
    case 'module':
    case 'rego':
    case 'cel':
      return [engine.path]
    case 'istio':
      return engine.paths
    case 'opa':
      return []
    case 'cedar':
      return [engine.policies, engine.entities, engine.schema].filter((path) => path !== null)
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
  switch (engine.kind) {
    case 'module':
    case 'rego':
    case 'cel':
      return { ...engine, path: place(engine.path) }
    case 'istio':
      return { ...engine, paths: engine.paths.map(place) }
    case 'opa':
      return engine
    case 'cedar': {
      const { policies, entities, schema } = engine
      const optional = (path: string | null) => (path === null ? null : place(path))
      return { kind: 'cedar', policies: place(policies), entities: optional(entities), schema: optional(schema) }
    }
    default:
      return engine satisfies never
  }
}
