import type { Resource } from './resource.ts'

/** `sallyport.dev` Authorizer: an embedded external authorization server. */
export interface Authorizer extends Resource {
  readonly kind: 'Authorizer'
  /** `host:port`, or null when not served. */
  readonly grpc: string | null
  readonly http: string | null
  /** Milliseconds a check may take before it is refused; default 1000. */
  readonly timeout: number
  readonly engine: AuthorizerEngine
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
  | {
      readonly kind: 'opa'
      readonly url: string
      readonly query: string
      /** PEM of the authorities that may vouch for the server; null for those of the system. */
      readonly ca: string | null
      /** A file with the bearer token that the server wants. */
      readonly token: string | null
    }
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
      return [engine.ca, engine.token].filter((path) => path !== null)
    case 'cedar':
      return [engine.policies, engine.entities, engine.schema].filter((path) => path !== null)
    default:
      return engine satisfies never
  }
}

/** The same engine with each of its paths as `place` gives it. */
export function placed(engine: AuthorizerEngine, place: (path: string) => string): AuthorizerEngine {
  const optional = (path: string | null) => (path === null ? null : place(path))
  switch (engine.kind) {
    case 'module':
    case 'rego':
    case 'cel':
      return { ...engine, path: place(engine.path) }
    case 'istio':
      return { ...engine, paths: engine.paths.map(place) }
    case 'opa':
      return { ...engine, ca: optional(engine.ca), token: optional(engine.token) }
    case 'cedar': {
      const { policies, entities, schema } = engine
      return { kind: 'cedar', policies: place(policies), entities: optional(entities), schema: optional(schema) }
    }
    default:
      return engine satisfies never
  }
}
