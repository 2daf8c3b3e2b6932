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
export type AuthorizerEngine = { readonly kind: 'module'; readonly path: string }
