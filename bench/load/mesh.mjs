// A large mesh as its users write it: up to 500 workloads in a hundred namespaces, each with policies of its own, of its
// namespace and of the mesh.
import { allow, deny } from '../traffic/policy.mjs'

const NAMESPACES = 100
const WORKLOADS_EACH = 5
const MESH_WIDE = 5

const namespaceOf = (i) => `team-${i % NAMESPACES}`
const appOf = (i) => ['web', 'orders', 'payments', 'search', 'mail'][Math.floor(i / NAMESPACES) % WORKLOADS_EACH]
const principal = (i) => `cluster.local/ns/${namespaceOf(i * 7)}/sa/${appOf(i * 31)}`

/** One field or two, as most policies have. */
const short = [
  (i) => allow(i, { from: { principals: [principal(i)] } }),
  (i) => allow(i, { from: { namespaces: [namespaceOf(i * 3)] }, to: { methods: ['GET'] } }),
  (i) => allow(i, { to: { paths: [`/public/${i}/*`] } }),
  (i) => allow(i, { from: { principals: [principal(i)] }, to: { paths: [`/api/v1/r${i}`], methods: ['GET', 'POST'] } }),
  (i) => deny(i, { from: { notNamespaces: ['ops'] }, to: { ports: ['8080'], paths: [`/admin/${i}/*`] } }),
  (i) => allow(i, { when: [{ key: 'request.headers[x-tenant]', values: [`tenant-${i}`] }] }),
  (i) => deny(i, { from: { notIpBlocks: ['10.0.0.0/8'] }, to: { ports: ['9090'] } }),
  (i) => allow(i, { from: { requestPrincipals: ['https://issuer.example.com/*'] } }),
]

/** Several values of several fields, some with labels and annotations: what generated policies tend to look like. */
const long = [
  (i) =>
    labelled(i, {
      from: { principals: [principal(i), principal(i + 1), principal(i + 2)], notNamespaces: ['sandbox'] },
      to: { methods: ['GET', 'HEAD', 'OPTIONS'], paths: [`/api/v1/r${i}/*`, `/api/v2/r${i}/*`, `/health/${i}`] },
    }),
  (i) =>
    allow(i, {
      from: { requestPrincipals: ['https://issuer.example.com/*'], remoteIpBlocks: [`10.${i & 255}.0.0/16`] },
      to: {
        hosts: [`shop-${i}.example.com`, `shop-${i}.example.com:*`],
        methods: ['POST'],
        paths: [`/orders/{*}/${i}`],
      },
      when: [
        { key: 'request.auth.claims[groups]', values: [`group-${i}`, 'auditors', 'operators'] },
        { key: 'request.headers[x-tenant]', notValues: [`tenant-${i}`] },
      ],
    }),
]

function labelled(i, rule) {
  const resource = allow(i, rule)
  const labels = {
    'app.kubernetes.io/name': appOf(i),
    'app.kubernetes.io/managed-by': 'pipeline',
    team: namespaceOf(i),
  }
  const annotations = { description: `Who may use part ${i} of ${appOf(i)}: asked for by ${namespaceOf(i)}` }
  return { ...resource, metadata: { ...resource.metadata, labels, annotations } }
}

/** All documents of a mesh with so many policies, as plain data. */
export function mesh(count, { size }) {
  const kinds = size === 'short' ? short : long
  // A small mesh has as many policies a workload as a large one.
  const workloads = Math.min(NAMESPACES * WORKLOADS_EACH, Math.ceil(count / 20))
  const policies = Array.from({ length: count }, (_, i) => attached(i, kinds[i % kinds.length](i)))
  return [...Array.from({ length: workloads }, (_, i) => deployment(i)), ...policies]
}

/** To the mesh, to a namespace, or (four of five) to one workload. ALLOW is the default, and left out. */
function attached(i, resource) {
  const { action, rules } = resource.spec
  const metadata = { ...resource.metadata, namespace: i < MESH_WIDE ? 'istio-system' : namespaceOf(i) }
  const selector = { matchLabels: { app: appOf(i) } }
  const wide = i < MESH_WIDE || Math.floor(i / NAMESPACES) % 5 === 0
  const spec = { ...(wide ? {} : { selector }), ...(action === 'ALLOW' ? {} : { action }), rules }
  return { ...resource, metadata, spec }
}

function deployment(i) {
  const labels = { app: appOf(i) }
  const containers = [{ name: 'app', image: `registry.example.com/${appOf(i)}:1`, ports: [{ containerPort: 8080 }] }]
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: appOf(i), namespace: namespaceOf(i) },
    spec: {
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { serviceAccountName: appOf(i), containers } },
    },
  }
}
