import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseSource } from '../source/parse.ts'
import { type DestinationClient, destinationSettings } from './destination-settings.ts'
import { loadMesh } from './load.ts'
import { validateMesh } from './validate.ts'

const service = `
apiVersion: v1
kind: Service
metadata: { name: authz, namespace: shop }
spec: { ports: [{ name: grpc, port: 9191 }] }
`

interface Rule {
  readonly name: string
  readonly namespace?: string
  readonly created?: string
  readonly spec: Readonly<Record<string, unknown>>
}

function meshOf(rules: readonly Rule[]) {
  const documents = rules.map(({ name, namespace = 'shop', created, spec }) =>
    JSON.stringify({
      apiVersion: 'networking.istio.io/v1',
      kind: 'DestinationRule',
      metadata: { name, namespace, creationTimestamp: created ?? null },
      spec,
    }),
  )
  const { mesh, diagnostics } = loadMesh(parseSource('a.yaml', [service, ...documents].join('\n---\n')).documents)
  assert.deepEqual(diagnostics, [])
  return mesh
}

const HOST = 'authz.shop.svc.cluster.local'

/** A rule whose SNI is its name, so that the settings tell where they come from. */
const rule = (name: string, host: string, rest: Record<string, unknown> = {}, namespace = 'shop'): Rule => ({
  name,
  namespace,
  spec: { host, trafficPolicy: { tls: { mode: 'SIMPLE', sni: name } }, ...rest },
})

function from(
  rules: readonly Rule[],
  client: DestinationClient = { namespace: 'web', labels: { app: 'web' } },
  host = HOST,
): string | null {
  return destinationSettings(meshOf(rules), client, host, 9191).tls?.sni ?? null
}

test('the rule of the client counts first, then that of the service, then that of the root namespace', () => {
  const own = rule('own', '*.cluster.local', {}, 'web')
  const theirs = rule('theirs', 'authz')
  const root = rule('root', HOST, {}, 'istio-system')
  const elsewhere = rule('elsewhere', HOST, {}, 'other')
  assert.equal(from([elsewhere, root, theirs, own]), 'own')
  assert.equal(from([elsewhere, root, theirs]), 'theirs')
  assert.equal(from([elsewhere, root]), 'root')
  assert.equal(from([elsewhere]), null)
  const client = { namespace: 'istio-system', labels: {} }
  assert.equal(from([root, theirs], client), 'theirs', 'what the root namespace has for all does not hide it')
  assert.equal(from([rule('root', HOST, { exportTo: ['.'] }, 'istio-system'), theirs], client), 'root')
  assert.equal(from([theirs], undefined, `shop/${HOST}`), 'theirs')
})

test('in a namespace the longest host wins, then the oldest rule that has a traffic policy', () => {
  assert.equal(
    from([rule('all', '*'), rule('wide', '*.cluster.local'), rule('narrow', '*.shop.svc.cluster.local')]),
    'narrow',
  )
  assert.equal(from([rule('narrow', '*.shop.svc.cluster.local'), rule('exact', HOST)]), 'exact')
  assert.equal(from([rule('upper', HOST.toUpperCase())]), 'upper')
  const old = { ...rule('old', HOST), created: '2020-01-01T00:00:00Z' }
  const young = { ...rule('young', HOST), created: '2021-01-01T00:00:00Z' }
  assert.equal(from([young, old]), 'old')
  assert.equal(from([{ ...old, spec: { host: HOST } }, young]), 'young')
})

test('a rule that is not exported, or selects other workloads, is as good as absent', () => {
  assert.equal(from([rule('private', HOST, { exportTo: ['.'] })]), null)
  assert.equal(from([rule('to-web', HOST, { exportTo: ['web', 'other'] })]), 'to-web')
  assert.equal(from([rule('to-other', HOST, { exportTo: ['other'] })]), null)
  const selecting = (app: string) => rule(app, HOST, { workloadSelector: { matchLabels: { app } } }, 'web')
  const forAll = rule('for-all', HOST, {}, 'web')
  assert.equal(from([forAll, selecting('web')]), 'web')
  assert.equal(from([forAll, selecting('other')]), 'for-all')
  assert.equal(from([selecting('other'), rule('theirs', HOST)]), null, 'a namespace that has rules ends the search')
})

test('the settings of a port replace all others, also with nothing', () => {
  const mesh = meshOf([
    {
      name: 'r',
      spec: {
        host: HOST,
        trafficPolicy: {
          tls: { mode: 'ISTIO_MUTUAL' },
          connectionPool: {
            tcp: { maxConnections: '7', connectTimeout: '2s', idleTimeout: '5m' },
            http: { http2MaxRequests: 100 },
          },
          outlierDetection: {
            consecutive5xxErrors: 3,
            consecutiveGatewayErrors: 0,
            interval: '10s',
            maxEjectionPercent: 50,
          },
          portLevelSettings: [
            {
              port: { number: 8000 },
              tls: { mode: 'SIMPLE', subjectAltNames: ['authz.example'], insecureSkipVerify: false },
            },
          ],
        },
      },
    },
  ])
  const client = { namespace: 'web', labels: {} }
  const general = destinationSettings(mesh, client, HOST, 9191)
  assert.equal(general.tls?.mode, 'ISTIO_MUTUAL')
  assert.deepEqual(general.connectionPool, {
    maxConnections: 7,
    connectTimeout: 2000,
    maxConnectionDuration: null,
    http1MaxPendingRequests: null,
    http2MaxRequests: 100,
    maxRequestsPerConnection: null,
    maxRetries: null,
    idleTimeout: 300_000,
    maxConcurrentStreams: null,
    keepAlive: null,
  })
  assert.deepEqual(general.outlierDetection, {
    splitExternalLocalOriginErrors: false,
    consecutiveLocalOriginFailures: null,
    consecutiveGatewayErrors: 0,
    consecutive5xxErrors: 3,
    interval: 10_000,
    baseEjectionTime: null,
    maxEjectionPercent: 50,
    minHealthPercent: 0,
  })
  const port = destinationSettings(mesh, client, HOST, 8000)
  assert.deepEqual(
    [port.tls?.subjectAltNames, port.connectionPool, port.outlierDetection],
    [['authz.example'], null, null],
  )
})

function findings(spec: string): string[] {
  const text = `apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: { name: r }\nspec: ${spec}\n`
  const { mesh, diagnostics } = loadMesh(parseSource('a.yaml', text).documents)
  return [...diagnostics, ...validateMesh(mesh)].map((d) => {
    assert.ok(d.help !== undefined && d.help !== '', d.message)
    return `${d.code} ${d.line}:${d.column} ${d.message}`
  })
}

test('what Istio refuses is said at its place', () => {
  const table: [spec: string, ...found: string[]][] = [
    ['{ host: a }'],
    [
      '{ host: "*.a.b", trafficPolicy: { tls: { mode: ISTIO_MUTUAL } }, subsets: [{ name: v1, labels: { version: v1 } }] }',
    ],
    ['{ host: a, trafficPolicy: { loadBalancer: { simple: LEAST_REQUEST } } }'],
    ['{ host: a, trafficPolcy: {} }', 'SP103 4:18 the field `trafficPolcy` is unknown in `spec`'],
    ['{ trafficPolicy: { tls: {} } }', 'SP105 4:1 `host` is required'],
    [
      '{ host: a, trafficPolicy: { tls: { mode: SIMPEL } } }',
      'SP106 4:42 `SIMPEL` is not one of `DISABLE`, `SIMPLE`, `MUTUAL`, `ISTIO_MUTUAL`',
    ],
    ['{ host: "a.*" }', 'SP231 4:9 domain name "a.*" invalid'],
    ['{ host: a, trafficPolicy: {} }', 'SP231 4:18 traffic policy must have at least one field'],
    [
      '{ host: a, trafficPolicy: { tls: { mode: MUTUAL } } }',
      'SP231 4:42 client certificate required for mutual tls',
      'SP231 4:42 private key required for mutual tls',
    ],
    [
      '{ host: a, trafficPolicy: { tls: { mode: SIMPLE, insecureSkipVerify: true, subjectAltNames: [a] } } }',
      'SP231 4:82 cannot specify subjectAltNames when insecureSkipVerify is set true',
    ],
    [
      '{ host: a, trafficPolicy: { tls: { mode: SIMPLE, credentialName: x } } }',
      "SP306 4:56 credentialName is read by gateways only: Istio's sidecars leave TLS out, and here calls fail",
    ],
    ['{ host: a, trafficPolicy: { connectionPool: {} } }', 'SP231 4:35 connection pool must have at least one field'],
    [
      '{ host: a, trafficPolicy: { connectionPool: { tcp: { maxConnections: -1 } } } }',
      'SP231 4:60 maxConnections must be non-negative',
    ],
    [
      '{ host: a, trafficPolicy: { outlierDetection: { consecutiveLocalOriginFailures: 2, maxEjectionPercent: 101, interval: 0s } } }',
      'SP231 4:55 outlier detection consecutive local origin failures is specified, but split external local origin errors is set to false',
      'SP231 4:90 percentage 101 is not in range 0..100',
      'SP231 4:115 duration must be greater than 1ms',
    ],
    [
      '{ host: a, trafficPolicy: { portLevelSettings: [{ tls: {} }, { port: { number: 1 } }] } }',
      'SP231 4:55 portTrafficPolicy must have valid port',
      'SP231 4:68 port traffic policy must have at least one field',
    ],
    ['{ host: a, exportTo: [".", default] }', 'SP231 4:18 duplicate entries in exportTo'],
    [
      '{ host: a, exportTo: ["*", x] }',
      'SP231 4:18 cannot have both public (*) and non-public exportTo values for a resource',
    ],
    [
      '{ host: a, exportTo: [x], workloadSelector: { matchLabels: { app: a } } }',
      'SP231 4:18 destination rule with workload selector cannot have exportTo beyond current namespace',
    ],
  ]
  assert.deepEqual(
    table.map(([spec]) => [spec, ...findings(spec)]),
    table,
  )
})
