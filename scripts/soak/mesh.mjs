// The mesh of the proxies: three workloads, each asking in its own way, in front of one application.

export const ISSUER = 'https://issuer.example'

/** The answer of each provider's failure: its own, so that it says who failed. */
export const FAILURE = { pool: 508, gate: 507, roles: 511 }
/** Bytes of a body that the HTTP provider is shown; larger ones are refused with 413. */
export const MOST_BODY = 1024

/**
 * `policy` is what edits change: `{ pool: ROLES, sometimes: boolean, order }`; `ports` by name, `app` the application's,
 * `listen` the proxies' own; `jwks` a key set.
 */
export function meshFiles({ policy, ports, listen, app, jwks }) {
  return { 'mesh.yaml': mesh(policy, ports), 'policies.yaml': policies(policy, jwks), 'local.yaml': local(listen, app) }
}

function mesh({ pool }, ports) {
  const port = { single: ports.singlePool, pair: ports.pairPool, go: ports.go }
  return `extensionProviders:
- name: pool
  envoyExtAuthzGrpc: { service: pool.local, port: 9001, timeout: 2.5s, statusOnError: "${FAILURE.pool}" }
- name: gate
  envoyExtAuthzHttp:
    service: gate.local
    port: 8001
    timeout: 2.5s
    statusOnError: "${FAILURE.gate}"
    includeRequestHeadersInCheck: [x-user]
    includeRequestBodyInCheck: { maxRequestBytes: ${MOST_BODY} }
    headersToUpstreamOnAllow: [x-role]
    headersToDownstreamOnDeny: [www-authenticate]
- name: roles
  envoyExtAuthzGrpc: { service: roles.local, port: 9002, timeout: 2.5s, statusOnError: "${FAILURE.roles}" }
- name: risk
  envoyExtAuthzHttp:
    service: risk.local
    port: 8002
    timeout: 2.5s
    failOpen: true
    includeRequestHeadersInCheck: [x-device]
- name: gate-next
  envoyExtAuthzGrpc: { service: next.local, port: 9003, timeout: 2.5s }
${entry(
  'pool',
  9001,
  'GRPC',
  pool.map((role) => port[role]),
)}
${entry('gate', 8001, 'HTTP', [ports.celHttp])}
${entry('roles', 9002, 'GRPC', [ports.singleRoles, ports.pairRoles])}
${entry('risk', 8002, 'HTTP', [ports.pairRisk])}
${entry('next', 9003, 'GRPC', [ports.celGrpc])}
`
}

function entry(name, number, protocol, ports) {
  return `---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: ${name}, namespace: default }
spec:
  hosts: [${name}.local]
  resolution: STATIC
  ports: [{ name: main, number: ${number}, protocol: ${protocol} }]
  endpoints: [${ports.map((port) => `{ address: 127.0.0.1, ports: { main: ${port} } }`).join(', ')}]`
}

function authorizationPolicy(name, app, action, rules, more = '') {
  return `---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: ${name}, namespace: default }
spec:
  selector: { matchLabels: { app: ${app} } }
  action: ${action}${more}
  rules:
${rules.map((rule) => `  - ${rule}`).join('\n')}
`
}

function policies({ sometimes, order }, jwks) {
  const to = (paths) => `to: [{ operation: { paths: [${paths.map((one) => `"${one}"`).join(', ')}] } }]`
  const signedIn = `from: [{ source: { requestPrincipals: ["${ISSUER}/*"] } }]`
  const ask = (provider) => `\n  provider: { name: ${provider} }`
  const tokens = ['pool', 'orders'].map(
    (app) => `---
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: { name: tokens-${app}, namespace: default }
spec:
  selector: { matchLabels: { app: ${app} } }
  jwtRules: [{ issuer: "${ISSUER}", jwks: '${jwks}' }]
`,
  )
  return [
    ...tokens,
    authorizationPolicy('pool-ask', 'pool', 'CUSTOM', [to(['/checked/*'])], ask('pool')),
    authorizationPolicy('pool-deny', 'pool', 'DENY', [
      'to: [{ operation: { methods: [DELETE] } }]',
      to(['/forbidden/*', ...(sometimes ? [] : ['/sometimes/*'])]),
    ]),
    authorizationPolicy('pool-allow', 'pool', 'ALLOW', [
      to(['/checked/*', '/open/*', '/sometimes/*']),
      `${signedIn}\n    ${to(['/token/*'])}`,
    ]),
    authorizationPolicy('gate-ask', 'gate', 'CUSTOM', ['{}'], ask('gate')),
    authorizationPolicy('gate-allow', 'gate', 'ALLOW', [to(['/g/*'])]),
    authorizationPolicy('orders-allow', 'orders', 'ALLOW', [signedIn, to(['/health'])]),
    `---
apiVersion: sallyport.dev/v1alpha1
kind: Delegation
metadata: { name: orders, namespace: default }
spec:
  selector: { matchLabels: { app: orders } }
  order: ${order}
  rules:
  - ${signedIn}
    ${to(['/orders', '/orders/*'])}
  providers:
  - name: roles
    sees: { queryParameters: [tenant], claims: [sub, tenants] }
    cache: { ttl: ${KEPT / 1000}s, maxEntries: 64 }
  - name: risk
    sees: { headers: [x-device] }
  - name: gate-next
    mode: shadow
    sees: { headers: [x-user] }
`,
  ].join('')
}

/** Milliseconds for which the Delegation keeps a permission. */
export const KEPT = 1000

function local(listen, app) {
  return Object.entries(listen)
    .map(
      ([name, port]) => `---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: { name: ${name}, namespace: default }
spec: { address: 127.0.0.1, labels: { app: ${name} } }
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: { name: ${name}, namespace: default }
spec:
  workloadSelector: { labels: { app: ${name} } }
  ingress:
  - port: { number: ${port}, protocol: HTTP, name: http }
    bind: 127.0.0.1
    defaultEndpoint: 127.0.0.1:${app}
`,
    )
    .join('')
}

/** Of the mesh: what must not be taken over, as an edit of the file `policies.yaml`. */
export const BAD_POLICIES = [
  (text) => `${text}\n- : [`,
  (text) => text.replace('action: CUSTOM', 'action: CUSTOMS'),
  (text) => text.replace('- name: roles\n', '- name: rolls\n'),
  (text) => text.replace('  provider: { name: pool }', '  provider: {}'),
  (text) => text.replace('kind: Delegation', 'kind: Delegation\nmore: 1'),
]

/** One file of Authorizers: `[{ name, grpc, http, engine }]`, ports or null, the engine as YAML. */
export function authorizerFile(list) {
  const listener = (kind, port) => (port === null ? '' : `  ${kind}: { listen: "127.0.0.1:${port}" }\n`)
  return list
    .map(
      ({ name, grpc, http, engine }) => `---
apiVersion: sallyport.dev/v1alpha1
kind: Authorizer
metadata: { name: ${name}, namespace: default }
spec:
${listener('grpc', grpc)}${listener('http', http)}  timeout: 2s
  engine: ${engine}
`,
    )
    .join('')
}
