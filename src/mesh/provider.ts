/** One `extensionProviders` entry of the mesh configuration that delegates authorization. */
export type Provider = GrpcProvider | HttpProvider

interface ProviderBase {
  readonly name: string
  /** `[namespace/]host`, as written. */
  readonly service: string
  readonly port: number
  /** Milliseconds. Istio's default is 600,000. */
  readonly timeout: number
  readonly failOpen: boolean
  /** What the client sees when the provider cannot be asked: an HTTP status, default 403. */
  readonly statusOnError: number
  readonly includeRequestBody: RequestBodyLimit | null
}

export interface RequestBodyLimit {
  readonly maxRequestBytes: number
  readonly allowPartialMessage: boolean
  readonly packAsBytes: boolean
}

/** `envoyExtAuthzGrpc`. */
export interface GrpcProvider extends ProviderBase {
  readonly kind: 'grpc'
}

/** `envoyExtAuthzHttp`. Header lists hold `abc`, `abc*` or `*abc`, matched without regard to case. */
export interface HttpProvider extends ProviderBase {
  readonly kind: 'http'
  /** Empty or starting with `/`. */
  readonly pathPrefix: string
  readonly includeRequestHeaders: readonly string[]
  readonly includeAdditionalHeaders: readonly (readonly [string, string])[]
  readonly headersToUpstreamOnAllow: readonly string[]
  readonly headersToDownstreamOnAllow: readonly string[]
  readonly headersToDownstreamOnDeny: readonly string[]
}
