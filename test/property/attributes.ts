/**
 * What policies can say about each attribute: values that Istio's validation lets through, and values that it does not
 * or that Envoy cannot be told. Few enough to meet one another, and with the edges of each way to match.
 */
export interface Attribute {
  readonly valid: readonly string[]
  readonly invalid: readonly string[]
}

const of = (valid: readonly string[], invalid: readonly string[] = []): Attribute => ({ valid, invalid })

const principals = of([
  '*',
  'cluster.local/ns/a/sa/s',
  'td1/ns/a/sa/s',
  'old/ns/b/sa/t',
  '*/sa/s',
  'cluster.local/ns/a/*',
  '*/ns/a/sa/t',
  't*',
  'x',
])
const requestPrincipals = of([
  '*',
  'https://idp/u',
  'https://idp/*',
  'https://idp/u*',
  '*/u',
  '*idp/u',
  '*u',
  'i*',
  'https://*',
  '*/*',
  'i',
])
const namespaces = of(['a', 'b', '*', 'a*', '*b', 'a.b', 'a*b'])
const serviceAccounts = of(['s', 'a/s', 'b/t', 's.v1'], ['a/s/x'])
const trustDomains = of(['cluster.local', 'td1', 'td*', '*local', '*', 't*1'])
const ips = of(
  ['127.0.0.1', '10.0.0.0/8', '10.1.2.3/31', '0.0.0.0/0', '::1', '2001:db8::/33', '::/0', '2001:db8::1/128'],
  ['bad', '1.2.3.4/40', '::/129'],
)
const hosts = of(['e.com', 'E.com', '*.e.com', 'e*', '*', 'e.com:80', 'e.com:*'])
const ports = of(['80', '8080', '0', '65535'], ['70000', 'x', '-1'])
const methods = of(['GET', 'POST', '*', 'G*', '*T', 'get'])
const paths = of(
  ['/a', '/a/*', '*/b', '*', '/{*}/b', '/a/{*}', '/a/{**}', '/{**}/b', '/a/{*}/c/{**}/d', '/', '/a/*/b', '/é', '*a*'],
  ['/{**}/{*}', '/a{*}', '/{x}/{*}'],
)
const texts = of(['v', 'v*', '*v', '*', 'w', 'v,w', 'é'])
const metadata = of(['v', 'v*', '[v]', '[*v]', '[*]', '*'])

export const sourceFields = {
  principals,
  requestPrincipals,
  namespaces,
  serviceAccounts,
  trustDomains,
  ipBlocks: ips,
  remoteIpBlocks: ips,
} as const

export const operationFields = { hosts, ports, methods, paths } as const

/** By `when` key. */
export const conditions: Readonly<Record<string, Attribute>> = {
  'request.headers[x-a]': texts,
  'request.headers[Accept]': texts,
  'request.headers[host]': hosts,
  'request.headers[:path]': of(['/a', '/a?x=1', '/a*', '*']),
  'request.headers[:method]': methods,
  'request.headers[:scheme]': of(['http', 'https', '*']),
  'source.ip': ips,
  'remote.ip': ips,
  'destination.ip': ips,
  'destination.port': ports,
  'connection.sni': of(['e.com', 'E.com', '*.e.com', 'e*', '*']),
  'source.namespace': namespaces,
  'source.principal': principals,
  'source.serviceAccount': serviceAccounts,
  'source.trustDomain': trustDomains,
  'request.auth.principal': requestPrincipals,
  'request.auth.audiences': texts,
  'request.auth.presenter': texts,
  'request.auth.claims[c]': texts,
  'request.auth.claims[c][d]': texts,
  'request.auth.claims[[c]]': texts,
  'request.auth.claims[constructor]': texts,
  'experimental.envoy.filters.http.f[k]': metadata,
}

/** Keys that leave a value, or the whole rule, without meaning. */
export const invalidConditions: Readonly<Record<string, Attribute>> = {
  'request.headers': texts,
  'request.auth.claims[': texts,
  'experimental.envoy.filters.http.f': metadata,
  unknown: texts,
  'source.serviceaccount': texts,
}
