import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadMesh } from '../../mesh/load.ts'
import type { Mesh } from '../../mesh/mesh.ts'
import { parseSource } from '../../source/parse.ts'
import { bootstrap } from './bootstrap.ts'
import type { Listener } from './listener.ts'
import { type Placement, type TranslateOptions, translateWorkload } from './workload.ts'

const base = `
apiVersion: v1
kind: Service
metadata: { name: web, namespace: foo }
spec:
  selector: { app: web }
  ports:
  - { name: http, port: 80, targetPort: 8080 }
  - { name: grpc-api, port: 81, targetPort: 9000 }
  - { name: tcp-db, port: 82, targetPort: 5432 }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: web, namespace: foo }
spec: { selector: { matchLabels: { app: web } }, template: { metadata: { labels: { app: web } } } }
`

function meshOf(...texts: readonly string[]): Mesh {
  const { mesh, diagnostics } = loadMesh(parseSource('mesh.yaml', [base, ...texts].join('\n---\n')).documents)
  assert.deepEqual(diagnostics, [])
  return mesh
}

function translate(mesh: Mesh, placement: Placement, more: Partial<TranslateOptions> = {}) {
  const workload = mesh.workloads.get('foo/web') ?? assert.fail()
  return translateWorkload(mesh, workload, {
    ...{ placement, rbac: { kind: 'rules' }, accessLog: [], prefix: '', service: null },
    jwks: { byIssuer: new Map(), nobody: '{}', ca: '/ca.pem' },
    certificates: () => ({ certificate: '/c.pem', key: '/k.pem', ca: '/ca.pem' }),
    ...more,
  })
}

const redirected: Placement = { kind: 'redirected', listen: { host: '0.0.0.0', port: 15006 } }
const placed = (port: number, socket: number, protocol: 'http' | 'tcp' | 'grpc' = 'http'): Placement => ({
  kind: 'ports',
  ports: [
    {
      ...{ port, protocol, listen: { host: '127.0.0.1', port: socket } },
      application: { kind: 'tcp', host: '0.0.0.0', port: 3000 },
    },
  ],
})

/** Name, match, whether TLS is terminated, and the last filter of each chain. */
function chains({ filter_chains }: Listener) {
  return filter_chains.map(({ name, filter_chain_match, transport_socket, filters }) => [
    name,
    { ...filter_chain_match },
    transport_socket !== undefined,
    filters.at(-1)?.name.replace('envoy.filters.network.', ''),
  ])
}

const istio = ['istio', 'istio-peer-exchange', 'istio-http/1.0', 'istio-http/1.1', 'istio-h2']
const [http, tcp] = ['http_connection_manager', 'tcp_proxy']
const tls = { transport_protocol: 'tls' }
const raw = { transport_protocol: 'raw_buffer' }

test('redirected connections find the chains that Istio makes, by port, TLS and ALPN', () => {
  const { listeners, clusters, secrets } = translate(meshOf(), redirected)
  const [listener, ...others] = listeners
  assert.ok(listener)
  assert.deepEqual(others, [])
  assert.deepEqual(
    [listener.name, listener.address],
    ['virtualInbound', { socket_address: { address: '0.0.0.0', port_value: 15006 } }],
  )
  assert.deepEqual(chains(listener), [
    ['virtualInbound-blackhole', { destination_port: 15006 }, false, tcp],
    ['virtualInbound-catchall-http', { ...tls, application_protocols: istio.slice(2) }, true, http],
    ['virtualInbound-catchall-http', { ...raw, application_protocols: ['http/1.1', 'h2c'] }, false, http],
    ['virtualInbound', { ...tls, application_protocols: ['istio-peer-exchange', 'istio'] }, true, tcp],
    ['virtualInbound', raw, false, tcp],
    ['virtualInbound', tls, false, tcp],
    ['0.0.0.0_5432', { destination_port: 5432, ...tls, application_protocols: istio }, true, tcp],
    ['0.0.0.0_5432', { destination_port: 5432, ...tls }, false, tcp],
    ['0.0.0.0_5432', { destination_port: 5432, ...raw }, false, tcp],
    ['0.0.0.0_8080', { destination_port: 8080, ...tls, application_protocols: istio }, true, http],
    ['0.0.0.0_8080', { destination_port: 8080, ...raw }, false, http],
    ['0.0.0.0_9000', { destination_port: 9000, ...tls, application_protocols: istio }, true, http],
    ['0.0.0.0_9000', { destination_port: 9000, ...raw }, false, http],
  ])
  assert.deepEqual(
    listener.listener_filters.map(({ name }) => name.replace('envoy.filters.listener.', '')),
    ['original_dst', 'tls_inspector', 'http_inspector'],
  )
  assert.deepEqual(
    clusters.map(({ name, type }) => [name, type]),
    [
      ['BlackHoleCluster', 'STATIC'],
      ['InboundPassthroughCluster', 'ORIGINAL_DST'],
      ['inbound|5432||', 'ORIGINAL_DST'],
      ['inbound|8080||', 'ORIGINAL_DST'],
      ['inbound|9000||', 'ORIGINAL_DST'],
    ],
  )
  assert.deepEqual(
    secrets.map(({ name }) => name),
    ['default', 'ROOTCA'],
  )
})

const peerAuthentication = (spec: string) =>
  `apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: { name: p, namespace: foo }\nspec: ${spec}`

test('STRICT takes TLS alone, DISABLE plaintext alone and no certificate', () => {
  const strict = translate(meshOf(peerAuthentication('{ mtls: { mode: STRICT } }')), placed(8080, 8080))
  assert.deepEqual(strict.listeners.map(chains), [[['127.0.0.1_8080', tls, true, http]]])
  const certificates = () => assert.fail('asked for a certificate')
  const off = translate(meshOf(peerAuthentication('{ mtls: { mode: DISABLE } }')), placed(8080, 8080), { certificates })
  assert.deepEqual(off.listeners.map(chains), [[['127.0.0.1_8080', raw, false, http]]])
  assert.deepEqual(off.secrets, [])
})

test('TLS asks for a certificate of the mesh and its aliases', () => {
  const config =
    'apiVersion: v1\nkind: ConfigMap\nmetadata: { name: istio, namespace: istio-system }\ndata: { mesh: "{ trustDomain: td1, trustDomainAliases: [old, new] }" }'
  const { listeners } = translate(meshOf(config), placed(8080, 8080))
  const [chain] = listeners[0]?.filter_chains ?? []
  const context = chain?.transport_socket?.typed_config
  assert.equal(context?.require_client_certificate, true)
  assert.deepEqual(
    context?.common_tls_context.combined_validation_context.default_validation_context.match_typed_subject_alt_names,
    ['td1', 'new', 'old'].map((domain) => ({ san_type: 'URI', matcher: { prefix: `spiffe://${domain}/` } })),
  )
})

const onPorts = `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: ports, namespace: foo }
spec: { rules: [{ to: [{ operation: { ports: ["8080", "9000"] } }] }] }`

test('a port is looked for on the socket only where the socket is that port', () => {
  const permissions = (placement: Placement) => {
    const text = JSON.stringify(translate(meshOf(onPorts), placement).listeners)
    return /"or_rules":\{"rules":(\[.*?\])\}/.exec(text)?.[1]
  }
  assert.equal(permissions(placed(8080, 8080)), '[{"destination_port":8080},{"destination_port":9000}]')
  assert.equal(permissions(placed(8080, 18080)), '[{"any":true},{"not_rule":{"any":true}}]')
  assert.equal(permissions(placed(7000, 8080)), '[{"not_rule":{"any":true}},{"not_rule":{"any":true}}]')
  assert.equal(permissions(redirected), '[{"destination_port":8080},{"destination_port":9000}]')
})

test('the application is reached as its port says, and 0.0.0.0 is this machine', () => {
  const cluster = (protocol: 'http' | 'tcp' | 'grpc') => {
    const { clusters } = translate(meshOf(), placed(8080, 18080, protocol))
    return clusters.find(({ name }) => name === 'inbound|8080||') ?? assert.fail()
  }
  assert.deepEqual(cluster('http'), {
    name: 'inbound|8080||',
    alt_stat_name: 'inbound|8080||;',
    type: 'STATIC',
    connect_timeout: '10s',
    load_assignment: {
      cluster_name: 'inbound|8080||',
      endpoints: [
        { lb_endpoints: [{ endpoint: { address: { socket_address: { address: '127.0.0.1', port_value: 3000 } } } }] },
      ],
    },
  })
  assert.match(JSON.stringify(cluster('grpc')), /"explicit_http_config":\{"http2_protocol_options":\{\}\}/)
})

test('a prefix keeps workloads in one Envoy apart, and a bootstrap joins them', () => {
  const parts = ['a ', 'b '].map((prefix) => translate(meshOf(), placed(8080, 18080), { prefix }))
  const joined = bootstrap(parts, { id: 'x', cluster: 'y', admin: null })
  const { listeners, clusters, secrets } = joined.static_resources
  const names = [...listeners, ...clusters, ...secrets].map(({ name }) => name)
  assert.equal(new Set(names).size, names.length)
  assert.ok(
    names.every((name) => name.startsWith('a ') || name.startsWith('b ')),
    names.join(),
  )
  const [flags] = joined.layered_runtime.layers
  assert.equal(flags.static_layer['envoy.reloadable_features.http_reject_path_with_fragment'], false)
  assert.equal(joined.admin, undefined)
})

test('keys are in the configuration, or fetched through a cluster, or nobody’s', () => {
  const rules = `apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: { name: jwt, namespace: foo }
spec:
  jwtRules:
  - { issuer: a, jwks: INLINE }
  - { issuer: b, jwksUri: "https://keys.example/jwks" }
  - { issuer: c, jwksUri: "http://10.0.0.1:8000/jwks" }
  - { issuer: https://d }
  - { issuer: https://e }`
  const byIssuer = new Map([['https://e', 'GIVEN']])
  const { clusters, listeners } = translate(meshOf(rules), placed(8080, 8080), {
    jwks: { byIssuer, nobody: 'NOBODY', ca: '/roots.pem' },
  })
  const text = JSON.stringify(listeners)
  for (const [issuer, keys] of [
    ['a', '"local_jwks":{"inline_string":"INLINE"}'],
    [
      'b',
      '"remote_jwks":{"http_uri":{"uri":"https://keys.example/jwks","cluster":"outbound|443||keys.example","timeout":"5s"}',
    ],
    ['https://d', '"local_jwks":{"inline_string":"NOBODY"}'],
    ['https://e', '"local_jwks":{"inline_string":"GIVEN"}'],
  ]) {
    assert.ok(text.includes(`"issuer":"${issuer}",${keys}`), issuer)
  }
  const [secure, plain] = ['outbound|443||keys.example', 'outbound|8000||10.0.0.1'].map((name) =>
    clusters.find((cluster) => cluster.name === name),
  )
  assert.equal(secure?.type, 'STRICT_DNS')
  const validation = secure?.transport_socket?.typed_config.common_tls_context.validation_context
  assert.deepEqual(validation, {
    match_typed_subject_alt_names: [{ san_type: 'DNS', matcher: { exact: 'keys.example' } }],
    trusted_ca: { filename: '/roots.pem' },
  })
  assert.deepEqual([plain?.type, plain?.transport_socket], ['STATIC', undefined])
})

test('a gateway is an edge: it appends the client, and trusts as many proxies as it is told', () => {
  const gateway = `apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: g, namespace: foo }
spec: { selector: { app: web }, servers: [{ port: { number: 8080, protocol: HTTP, name: http }, hosts: ["*"] }] }
---
apiVersion: v1
kind: ConfigMap
metadata: { name: istio, namespace: istio-system }
data: { mesh: "{ defaultConfig: { gatewayTopology: { numTrustedProxies: 2 } } }" }`
  const manager = (mesh: Mesh) => {
    const { listeners } = translate(mesh, placed(8080, 8080))
    const config = listeners[0]?.filter_chains[0]?.filters[0]?.typed_config
    return config !== undefined && 'use_remote_address' in config ? config : assert.fail()
  }
  const edge = manager(meshOf(gateway))
  assert.deepEqual(
    [edge.use_remote_address, edge.xff_num_trusted_hops, edge.forward_client_cert_details],
    [true, 2, 'SANITIZE_SET'],
  )
  const sidecar = manager(meshOf())
  assert.deepEqual([sidecar.use_remote_address, sidecar.forward_client_cert_details], [false, 'APPEND_FORWARD'])
})

test('PROXY protocol and the forwarded certificate are as the topology of the gateway says', () => {
  const text = (topology: string) => `apiVersion: apps/v1
kind: Deployment
metadata: { name: gw, namespace: foo }
spec:
  selector: { matchLabels: { app: gw } }
  template:
    metadata:
      labels: { app: gw }
      annotations: { proxy.istio.io/config: "gatewayTopology: ${topology}" }
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: g, namespace: foo }
spec: { selector: { app: gw }, servers: [{ port: { number: 80, name: http, protocol: HTTP }, hosts: ["*"] }] }
`
  const translated = (topology: string) => {
    const { mesh, diagnostics } = loadMesh(parseSource('mesh.yaml', text(topology)).documents)
    assert.deepEqual(diagnostics, [])
    const application = { kind: 'tcp', host: '127.0.0.1', port: 1 } as const
    const { listeners } = translateWorkload(mesh, mesh.workloads.get('foo/gw') ?? assert.fail(), {
      placement: {
        kind: 'ports',
        ports: [{ port: 80, protocol: 'http', listen: { host: '', port: 80 }, application }],
      },
      rbac: { kind: 'rules' },
      jwks: { byIssuer: new Map(), nobody: '{"keys":[]}', ca: '/nowhere.pem' },
      certificates: () => ({ certificate: 'c', key: 'k', ca: 'a' }),
      accessLog: [],
      prefix: '',
      service: null,
    })
    const [listener] = listeners
    const filters = listener?.filter_chains.at(-1)?.filters ?? []
    const manager = filters.at(-1)?.typed_config as { readonly forward_client_cert_details?: string }
    return [listener?.traffic_direction, listener?.listener_filters[0]?.name, manager.forward_client_cert_details]
  }
  const inspector = 'envoy.filters.listener.tls_inspector'
  assert.deepEqual(translated('{ proxyProtocol: {} }'), [
    'OUTBOUND',
    'envoy.filters.listener.proxy_protocol',
    'SANITIZE_SET',
  ])
  assert.deepEqual(translated('{ forwardClientCertDetails: FORWARD_ONLY }'), ['OUTBOUND', inspector, 'FORWARD_ONLY'])
})

test('what a Delegation asks about is refused, since Envoy is not told of its providers', () => {
  const delegation = (spec: string) =>
    `apiVersion: sallyport.dev/v1alpha1\nkind: Delegation\nmetadata: { name: d, namespace: foo }\nspec:\n  ${spec}`
  const rules = (spec: string) => {
    const { listeners } = translate(meshOf(delegation(spec)), placed(8080, 18080))
    return [...JSON.stringify(listeners).matchAll(/"(sallyport-delegation-[^"]*)"/g)].map(([, id]) => id)
  }
  const id = 'sallyport-delegation-ns[foo]-policy[d]-rule[0]'
  assert.ok(rules('providers: [{ name: a }]').every((found) => found === id))
  assert.notEqual(rules('providers: [{ name: a }]').length, 0)
  assert.notEqual(
    rules('rules: [{ when: [{ key: "request.auth.claims[a]", values: [b] }] }]\n  providers: [{ name: a }]').length,
    0,
  )
  assert.deepEqual(rules('providers: [{ name: a, mode: shadow }]'), [])
})
