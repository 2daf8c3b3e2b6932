import type { AuthorizerRequest } from 'sallyport/extauthz'

/** The claims that the Delegation shows, where Envoy's filter for tokens would leave them. */
export function claimsOf({ attributes }: AuthorizerRequest): Readonly<Record<string, unknown>> {
  const found = ['metadataContext', 'filterMetadata', 'envoy.filters.http.jwt_authn', 'payload'].reduce<unknown>(
    (value, name) => (value as Record<string, unknown> | undefined)?.[name],
    attributes,
  )
  return (found ?? {}) as Readonly<Record<string, unknown>>
}
