import type { Provider, RequestBodyLimit } from '../../mesh/provider.ts'
import { milliseconds } from './duration.ts'
import type { MetadataMatcher, StringMatcher } from './matchers.ts'

/** `envoy.extensions.filters.http.ext_authz.v3.ExtAuthz`, as far as Istio's compiler writes it. */
export interface HttpExtAuthz {
  readonly '@type': 'type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz'
  readonly grpc_service?: GrpcService
  readonly http_service?: HttpService
  readonly transport_api_version: 'V3'
  readonly failure_mode_allow?: true
  readonly status_on_error?: { readonly code: number }
  readonly with_request_body?: {
    readonly max_request_bytes: number
    readonly allow_partial_message?: true
    readonly pack_as_bytes?: true
  }
  readonly allowed_headers?: HeaderList
  readonly filter_enabled_metadata: MetadataMatcher
}

/** `envoy.extensions.filters.network.ext_authz.v3.ExtAuthz`. */
export interface NetworkExtAuthz {
  readonly '@type': 'type.googleapis.com/envoy.extensions.filters.network.ext_authz.v3.ExtAuthz'
  readonly stat_prefix: 'tcp.'
  readonly grpc_service: GrpcService
  readonly failure_mode_allow?: true
  readonly transport_api_version: 'V3'
  readonly filter_enabled_metadata: MetadataMatcher
}

interface GrpcService {
  readonly envoy_grpc: { readonly cluster_name: string; readonly authority: string }
  readonly timeout: string
}

interface HttpService {
  readonly server_uri: { readonly uri: string; readonly cluster: string; readonly timeout: string }
  readonly path_prefix?: string
  readonly authorization_request?: { readonly headers_to_add: readonly HeaderValue[] }
  readonly authorization_response?: {
    readonly allowed_upstream_headers?: HeaderList
    readonly allowed_client_headers?: HeaderList
    readonly allowed_client_headers_on_success?: HeaderList
  }
}

interface HeaderValue {
  readonly key: string
  readonly value?: string
}

interface HeaderList {
  readonly patterns: readonly StringMatcher[]
}

/** Where a provider is reached: its host without a namespace, and the name of its cluster. */
export interface ProviderTarget {
  readonly host: string
  readonly cluster: string
  /** Whether the user wrote a status for errors; Envoy's own default is the same 403. */
  readonly statusWritten: boolean
}

/** Istio's check of a provider in an HTTP filter chain (pilot/pkg/security/authz/builder/extauthz.go). */
export function httpExtAuthz(provider: Provider, target: ProviderTarget): HttpExtAuthz {
  return {
    '@type': 'type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz',
    ...(provider.kind === 'grpc'
      ? { grpc_service: grpcService(provider, target) }
      : { http_service: httpService(provider, target) }),
    transport_api_version: 'V3',
    ...(provider.failOpen ? { failure_mode_allow: true } : {}),
    ...(target.statusWritten ? { status_on_error: { code: provider.statusOnError } } : {}),
    ...(provider.includeRequestBody === null ? {} : { with_request_body: requestBody(provider.includeRequestBody) }),
    ...(provider.kind === 'http' && provider.includeRequestHeaders.length > 0
      ? { allowed_headers: headerList(provider.includeRequestHeaders) }
      : {}),
    filter_enabled_metadata: triggeredBy('envoy.filters.http.rbac', provider),
  }
}

/** The same in a TCP filter chain, where Istio places only gRPC providers. */
export function networkExtAuthz(provider: Provider, target: ProviderTarget): NetworkExtAuthz {
  return {
    '@type': 'type.googleapis.com/envoy.extensions.filters.network.ext_authz.v3.ExtAuthz',
    stat_prefix: 'tcp.',
    grpc_service: grpcService(provider, target),
    ...(provider.failOpen ? { failure_mode_allow: true } : {}),
    transport_api_version: 'V3',
    filter_enabled_metadata: triggeredBy('envoy.filters.network.rbac', provider),
  }
}

function grpcService({ timeout }: Provider, { host, cluster }: ProviderTarget): GrpcService {
  return { envoy_grpc: { cluster_name: cluster, authority: host }, timeout: milliseconds(timeout) }
}

function httpService(provider: Provider & { readonly kind: 'http' }, { host, cluster }: ProviderTarget): HttpService {
  const { headersToUpstreamOnAllow, headersToDownstreamOnDeny, headersToDownstreamOnAllow } = provider
  const added = provider.includeAdditionalHeaders.map(
    ([key, value]): HeaderValue => ({ key, ...(value === '' ? {} : { value }) }),
  )
  const response = {
    ...optionalList('allowed_upstream_headers', headersToUpstreamOnAllow),
    ...optionalList('allowed_client_headers', headersToDownstreamOnDeny),
    ...optionalList('allowed_client_headers_on_success', headersToDownstreamOnAllow),
  }
  return {
    // The URI is required, and Envoy does not use it.
    server_uri: { uri: `http://${host}`, cluster, timeout: milliseconds(provider.timeout) },
    ...(provider.pathPrefix === '' ? {} : { path_prefix: provider.pathPrefix }),
    ...(added.length === 0 ? {} : { authorization_request: { headers_to_add: added } }),
    ...(Object.keys(response).length === 0 ? {} : { authorization_response: response }),
  }
}

function optionalList<Name extends string>(name: Name, headers: readonly string[]): { [key in Name]?: HeaderList } {
  return headers.length === 0 ? {} : ({ [name]: headerList(headers) } as { [key in Name]: HeaderList })
}

function headerList(headers: readonly string[]): HeaderList {
  return { patterns: headers.map((header) => ({ ...headerPattern(header), ignore_case: true as const })) }
}

function headerPattern(header: string): StringMatcher {
  if (header.startsWith('*')) return { suffix: header.slice(1) }
  return header.endsWith('*') ? { prefix: header.slice(0, -1) } : { exact: header }
}

function requestBody({ maxRequestBytes, allowPartialMessage, packAsBytes }: RequestBodyLimit) {
  return {
    max_request_bytes: maxRequestBytes,
    ...(allowPartialMessage ? { allow_partial_message: true as const } : {}),
    ...(packAsBytes ? { pack_as_bytes: true as const } : {}),
  }
}

/** The check is made where the shadow rules before it wrote down one of the provider's policies. */
function triggeredBy(filter: string, { name }: Provider): MetadataMatcher {
  return {
    filter,
    path: [{ key: 'istio_ext_authz_shadow_effective_policy_id' }],
    value: { string_match: { prefix: `istio-ext-authz-${name}` } },
  }
}
