// What real Envoy does with both forms of the translation, by the number and the shape of policies.
import { writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { createDevelopmentCa } from '../dist/authn/certificate-authority.js'
import { bootstrap, translateWorkload } from '../dist/envoy/index.js'
import { loadMesh } from '../dist/mesh/load.js'
import { parseSource } from '../dist/source/parse.js'
import { folder, freePort, load, startEnvoy } from './envoy/server.mjs'
import { shapes } from './envoy/shapes.mjs'
import { Report } from './report.mjs'

const words = process.argv.slice(2)
const option = (name) => (words.includes(name) ? words[words.indexOf(name) + 1] : undefined)
const output = option('--output') ?? words.find((word) => !word.startsWith('--')) ?? 'text'
const quick = words.includes('--quick')
const core = Number(option('--spare-core') ?? (cpus().length > 1 ? 1 : -1))
const envoyCore = core === -1 ? null : core

const seconds = quick ? 0.2 : 2.5
const CONNECTIONS = 32
const REQUESTS = 256
const main = ['exact paths', 'prefixes', 'exact hosts', 'exact principals']

const text =
  'apiVersion: apps/v1\nkind: Deployment\nmetadata: { name: web, namespace: foo }\nspec: { template: { metadata: { labels: { app: web } } } }\n'
const { mesh } = loadMesh(parseSource('mesh.yaml', text).documents)
const workload = mesh.workloads.get('foo/web')
const ca = createDevelopmentCa({ trustDomain: 'cluster.local', now: Date.now })
const own = ca.issue({ namespace: 'foo', serviceAccount: 'web' })
const certificates = Object.fromEntries(
  [
    ['certificate', own.chain],
    ['key', own.key],
    ['ca', ca.root],
  ].map(([name, pem]) => {
    const file = join(folder, `${name}.pem`)
    writeFileSync(file, pem)
    return [name, file]
  }),
)

const report = new Report()
const memory = []
for (const [name, shape] of Object.entries(shapes)) {
  for (const count of main.includes(name) ? [1, 10, 1000, 10_000] : [10_000]) {
    const list = await measure(name, shape, count, { kind: 'rules' })
    const tree = await measure(name, shape, count, { kind: 'matcher', fewest: 16 })
    report.add({
      ...{ what: `${name}, ${count} policies`, ours: tree.rate, unit: 'req/s' },
      ...{ peer: 'rules', theirs: list.rate, more: true },
    })
    if (count === 10_000 && name === main[0])
      memory.push(`${Math.round(tree.memory)} MB as a tree`, `${Math.round(list.memory)} MB as rules`)
  }
}
report.note(
  'Requests a second of one core of Envoy: those answered, by the processor time that Envoy took for them. Half of them match one policy.',
)
report.note(`Envoy holds 10,000 policies on exact paths in ${memory.join(' and ')}. Fewer than 16 rules stay a list.`)
report.note(
  'Suffixes have no index in Envoy, and rules of two kinds in equal numbers would have to be multiplied: they stay lists.',
)
report.print(output)

async function measure(name, shape, count, rbac) {
  const port = await freePort()
  const peers = 'account' in shape.hit(0)
  const config = configOf(shape, count, rbac, port, peers)
  const envoy = await startEnvoy(config, port, envoyCore)
  try {
    const result = await load({
      ...{ port, seconds, connections: CONNECTIONS, cpu: envoy.cpu },
      tls: peers ? (index) => clientTls(requestOf(shape, count, index)) : null,
      // A connection has one certificate, so that its requests are of one sort.
      requests: (index) =>
        peers
          ? [textOf(requestOf(shape, count, index))]
          : Array.from({ length: REQUESTS }, (_, k) => textOf(requestOf(shape, count, k))),
    })
    const wanted = shape.miss === null ? 1 : 0.5
    if (Math.abs(result.allowed - wanted) > 0.1 && result.count > 200) {
      throw new Error(`${name}, ${count}, ${rbac.kind}: ${result.allowed} of the requests were allowed, not ${wanted}`)
    }
    return { rate: result.count / result.cpu, memory: envoy.memory() }
  } finally {
    await envoy.stop()
  }
}

/** The listener as it would be in service, but that it answers itself: an application would be measured with it. */
function configOf(shape, count, rbac, port, peers) {
  const policies = Array.from({ length: count }, (_, i) => ({
    kind: 'AuthorizationPolicy',
    meta: { name: `p${i}`, namespace: 'foo', labels: {}, annotations: {}, createdAt: 0 },
    origin: workload.origin,
    attachment: { kind: 'namespace' },
    ...{ action: 'ALLOW', provider: null, dryRun: false, rules: [shape.rule(i)] },
  }))
  const peerAuthentication = {
    kind: 'PeerAuthentication',
    meta: { name: 'default', namespace: 'foo', labels: {}, annotations: {}, createdAt: 0 },
    ...{ origin: workload.origin, selector: null, mtls: peers ? 'STRICT' : 'DISABLE', portLevelMtls: new Map() },
  }
  const application = { kind: 'tcp', host: '127.0.0.1', port: 9 }
  const part = translateWorkload(
    { ...mesh, authorizationPolicies: policies, peerAuthentications: [peerAuthentication] },
    workload,
    {
      placement: {
        kind: 'ports',
        ports: [{ port, protocol: 'http', listen: { host: '127.0.0.1', port }, application }],
      },
      ...{ rbac, certificates: () => certificates, accessLog: [], prefix: '', service: null },
      jwks: { byIssuer: new Map(), nobody: '', ca: '' },
    },
  )
  const config = structuredClone(bootstrap([part], { id: 'bench', cluster: 'bench', admin: null }))
  for (const { filters } of config.static_resources.listeners.flatMap((listener) => listener.filter_chains)) {
    for (const { typed_config } of filters) {
      for (const route of typed_config.route_config.virtual_hosts.flatMap(({ routes }) => routes)) {
        route.route = undefined
        route.direct_response = { status: 200, body: { inline_string: 'ok' } }
      }
    }
  }
  return config
}

function requestOf(shape, count, k) {
  const i = (Math.floor(k / 2) * 7919) % count
  return k % 2 === 0 || shape.miss === null ? shape.hit(i) : shape.miss(i)
}

function textOf({ path = '/', host = 'web.foo', headers = '' }) {
  return `GET ${path} HTTP/1.1\r\nhost: ${host}\r\n${headers}\r\n`
}

function clientTls({ account }) {
  const [, , namespace, , serviceAccount] = account.split('/')
  const { chain, key } = ca.issue({ namespace, serviceAccount })
  return { cert: chain, key, ca: ca.root, checkServerIdentity: () => undefined, ALPNProtocols: ['http/1.1'] }
}
