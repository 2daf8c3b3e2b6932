// A large mesh as its users write it: up to 500 workloads in a hundred namespaces, each with policies of its own, of its
// namespace and of the mesh.
import { allow, deny } from '../traffic/policy.mjs'

const NAMESPACES = 100
const MESH_WIDE = 5

const applications = ['web', 'orders', 'payments', 'search', 'mail']
const principal = (i) =>
  `cluster.local/ns/team-${(i * 7) % NAMESPACES}/sa/${applications[(i * 31) % applications.length]}`

/** One field or two, as most policies have. */
const short = [
  (i) => allow(i, { from: { principals: [principal(i)] } }),
  (i) => allow(i, { from: { namespaces: [`team-${(i * 3) % NAMESPACES}`] }, to: { methods: ['GET'] } }),
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
  const labels = { 'app.kubernetes.io/part-of': `shop-${i % 9}`, 'app.kubernetes.io/managed-by': 'pipeline' }
  const annotations = { description: `Who may use part ${i} of the shop, as its owners asked for it` }
  return { ...resource, metadata: { ...resource.metadata, labels, annotations } }
}

/**
 * All documents of a mesh with so many policies, as plain data: of 500 workloads (fewer in a small mesh), or `together`
 * of one.
 */
export function mesh(count, { size, together = false }) {
  const kinds = size === 'short' ? short : long
  const namespaces = together ? 1 : Math.min(NAMESPACES, Math.ceil(count / 100))
  const apps = together ? applications.slice(0, 1) : applications
  const place = (i) => ({ namespace: `team-${i % namespaces}`, app: apps[Math.floor(i / namespaces) % apps.length] })
  const workloads = Array.from({ length: namespaces * apps.length }, (_, i) => deployment(place(i)))
  const policies = Array.from({ length: count }, (_, i) => {
    const resource = kinds[i % kinds.length](i)
    if (i < MESH_WIDE) return attached(resource, { namespace: 'istio-system' })
    const { namespace, app } = place(i)
    // One of five is of the whole namespace.
    const wide = !together && Math.floor(i / workloads.length) % 5 === 0
    return attached(resource, wide ? { namespace } : { namespace, app })
  })
  return [...workloads, ...policies]
}

/** ALLOW is the default, and left out. */
function attached(resource, { namespace, app }) {
  const { action, rules } = resource.spec
  const selector = app === undefined ? {} : { selector: { matchLabels: { app } } }
  const spec = { ...selector, ...(action === 'ALLOW' ? {} : { action }), rules }
  return { ...resource, metadata: { ...resource.metadata, namespace }, spec }
}

function deployment({ namespace, app }) {
  const labels = { app }
  const containers = [{ name: 'app', image: `registry.example.com/${app}:1`, ports: [{ containerPort: 8080 }] }]
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: app, namespace },
    spec: {
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { serviceAccountName: app, containers } },
    },
  }
}
