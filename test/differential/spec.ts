/**
 * What a case is made of, as plain JSON, so that it can be generated, shrunk, written down and run again. Texts in
 * documents may hold `@self@` (the address where the engine at hand listens), `@port@` and `@other-port@` (its two
 * ports), `@authorizer-port@` and `@jwks:NAME@`; texts in requests may hold those and `@token:N@`.
 */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json }

export type Role = 'sidecar' | 'gateway' | 'gatewayApi' | 'waypoint'

/** Documents about one workload, and the requests that are sent to it. */
export interface MeshSpec {
  readonly role: Role
  readonly protocol: 'http' | 'tcp'
  /** `NAMESPACE/NAME`. */
  readonly workload: string
  /** At a waypoint, the host of the service that all requests are for; null elsewhere. */
  readonly service: string | null
  readonly documents: readonly Json[]
}

export type Line = readonly [name: string, value: string]

/** A certificate that a client has: its name says what is in it (see `Material`). */
export type CertificateName = string

export interface RequestSpec {
  readonly source: {
    /** Within 127.0.0.0/8: the client's socket is bound to it. */
    readonly ip: string
    /** Null: plaintext. An empty text: TLS without a certificate. */
    readonly certificate: CertificateName | null
    readonly sni: string
    readonly alpn: readonly string[]
  }
  readonly port: 'main' | 'other'
  /** Null: the bytes `hello` on a TCP connection. */
  readonly http: HttpSpec | null
  readonly tokens: readonly TokenSpec[]
  /** What the authorizer does, should it be asked. */
  readonly script: Script | null
  /** The listed difference that this request is about: see listed.ts. */
  readonly listed: string | null
}

export interface HttpSpec {
  readonly method: string
  readonly target: string
  readonly version: 'HTTP/1.1' | 'HTTP/1.0'
  /** Lines of `Host`. */
  readonly hosts: readonly string[]
  readonly headers: readonly Line[]
  readonly body: BodySpec
  /** Bytes that are sent instead of all of the above; the connection is closed by the other side then. */
  readonly raw: string | null
}

export type BodySpec =
  | { readonly kind: 'none' }
  | { readonly kind: 'length'; readonly text: string }
  | { readonly kind: 'chunked'; readonly chunks: readonly string[] }

export interface TokenSpec {
  /** The private key: `ec`, `rsa`, `ed`, `small`, `curve`, or `stranger`, which no set holds. */
  readonly key: string
  /** JSON text. */
  readonly header: string
  /** JSON text. */
  readonly claims: string
  readonly damage: 'none' | 'signature' | 'twoParts' | 'padding' | 'notBase64' | 'fourParts'
}

/** What an authorizer does with a check. */
export type Script =
  | { readonly kind: 'grpc'; readonly delay: number; readonly answer: GrpcAnswer }
  | { readonly kind: 'http'; readonly delay: number; readonly answer: HttpAnswer }

export type GrpcAnswer =
  /** A CheckResponse in Protobuf's JSON. */
  | { readonly kind: 'message'; readonly message: Json }
  | { readonly kind: 'status'; readonly code: number }
  | { readonly kind: 'garbage' }
  | { readonly kind: 'close' }
  | { readonly kind: 'silence' }

export type HttpAnswer =
  | { readonly kind: 'answer'; readonly status: number; readonly headers: readonly Line[]; readonly body: string }
  | { readonly kind: 'close' }
  | { readonly kind: 'silence' }

export interface Case {
  readonly mesh: MeshSpec
  readonly request: RequestSpec
}
