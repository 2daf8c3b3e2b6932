/**
 * What policies and requests are made of. Small on purpose: the values of both meet often, and each pattern has values
 * that it just takes and values that it just misses.
 */
export const vocabulary = {
  principals: [
    ...['*', 'cluster.local/ns/a/sa/s', 'td1/ns/a/sa/s', '*/sa/s', '*/ns/b/sa/t', 'cluster.local/ns/a/*', 'td1/*'],
    ...[
      'old/ns/b/sa/t',
      'cluster.local/ns/b/sa/t',
      '*s',
      'cluster.local/*',
      'x',
      '*cal/ns/a/sa/s',
      'cluster.local/ns/a.b/sa/s',
    ],
  ],
  requestPrincipals: [
    ...['*', 'https://idp/u', 'https://idp/*', '*/u', '*u', 'i*', 'https://*', '*/*', 'https://idp/u*', 'idp2/*'],
    ...['https://idp', 'idp2/v', '*idp/u'],
  ],
  namespaces: ['a', 'b', '*', 'a*', '*b', 'a.b', 'axb', 'f*', '*sa'],
  serviceAccounts: ['a/s', 'b/t', 's', 't', 'a.b/s.v1', 'foo/s', 'a.b/s'],
  trustDomains: ['cluster.local', 'td1', 'td*', '*local', '*', 'old', 'clusterxlocal'],
  ips: [
    '127.0.0.1',
    '127.0.0.0/8',
    '127.0.0.2/32',
    '127.9.0.0/16',
    '127.9.8.0/24',
    '::1',
    '10.0.0.0/8',
    '127.9.8.7/9',
    '0.0.0.0/0',
  ],
  remoteIps: [
    '127.0.0.1',
    '127.9.0.0/16',
    '203.0.113.7',
    '203.0.113.0/24',
    '2001:db8::/33',
    '2001:db8::1',
    '::ffff:203.0.113.7',
    '::/0',
  ],
  destinationIps: ['@self@', '127.0.0.0/8', '@self@/31', '10.0.0.0/8', '127.0.0.1'],
  hosts: ['e.com', 'E.com', '*.e.com', 'e*', '*', 'e.com:80', '*:80', 'e.com.'],
  ports: ['@port@', '@other-port@', '80', '1'],
  methods: ['GET', 'POST', '*', 'G*', '*T', 'get', 'HEAD', 'OPTIONS', 'DELETE'],
  paths: [
    ...[
      '/a',
      '/a/*',
      '*/b',
      '*',
      '/',
      '/a/*/b',
      '/a/b',
      '/p.S/M',
      '/admin*',
      '*.html',
      '/a%2Fb',
      '/A',
      '/a?x=1',
      '/a/',
      '/a;x',
    ],
    ...['/{*}/b', '/a/{**}', '/{**}/b', '/{*}', '/a/{*}/c/{**}', '/{**}', '/a/{*}', '/x{y'],
  ],
  values: ['v', 'v*', '*v', '*', 'w', 'v,w', 'a=1', ''],
  snis: ['e.com', '*.e.com', 'e*', '*', 'E.com', 'outbound_.80_._.web.foo.svc.cluster.local'],
  headers: [
    ...[
      'x-a',
      'X-A',
      'accept',
      'cookie',
      'user-agent',
      'authorization',
      'x-forwarded-for',
      'x-b',
      'content-type',
      'via',
    ],
    ...[
      ':path',
      ':method',
      ':authority',
      'host',
      ':scheme',
      'x-request-id',
      'x-forwarded-proto',
      'origin',
      'x-forwarded-host',
    ],
    ...[
      'accept-language',
      'x-real-ip',
      'referer',
      'cache-control',
      'if-match',
      'x-role',
      'te',
      'connection',
      'x-envoy-internal',
    ],
  ],
  /** Values that generation cannot use: the compiler drops them, or what they stand in. */
  bad: {
    ips: ['1.2.3', '1.2.3.4/40', 'x', ''],
    ports: ['x', '70000', '-1', '080'],
    serviceAccounts: ['a/b/c', '*', ''],
    requestPrincipals: [''],
  },
} as const

export const claims = [
  'c',
  'c][d',
  'groups',
  'scope',
  'permission',
  'deep][er',
  'n',
  'a.b',
  'delim',
  'sub',
  'iss',
] as const

/** Certificates that a listener takes, by trust domain, without their scheme. */
export const workloads = [
  'ns/a/sa/s',
  'ns/b/sa/t',
  'ns/a.b/sa/s.v1',
  'ns/foo/sa/s',
  'ns/axb/sa/s',
  'ns/ab/sa/t',
] as const

export const sources = ['127.0.0.1', '127.0.0.2', '127.9.8.7', '127.9.9.9', '127.200.0.1'] as const

export const whenKeys = [
  'source.ip',
  'remote.ip',
  'source.namespace',
  'source.principal',
  'source.serviceAccount',
  'source.trustDomain',
  'request.auth.principal',
  'request.auth.audiences',
  'request.auth.presenter',
  'destination.ip',
  'destination.port',
  'connection.sni',
] as const

/** Keys by family, as the table of coverage counts them. */
export const conditionKeys: readonly string[] = [
  ...whenKeys,
  'request.headers[]',
  'request.auth.claims[]',
  'request.auth.claims[][]',
  'experimental.envoy.filters.*',
  'unknown',
]
