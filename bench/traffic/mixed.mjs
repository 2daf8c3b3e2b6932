// Policies as a large workload has them: most of them ALLOW, some DENY, with different fields in each.
import { account, allow, deny, request } from './policy.mjs'

const hostOf = (i) => `shop-${i}.example.com`
const network = (i) => `10.${(i >> 8) & 255}.${i & 255}`

/**
 * `policy(i)` is the policy of that number; `hit(i)` is a request that it decides about, and `miss(i)` one that comes
 * near to it and that no policy matches.
 */
const byPrincipal = {
  policy: (i) => allow(i, { from: { principals: [account(i)] }, to: { methods: ['GET'], paths: [`/api/v1/r${i}/*`] } }),
  hit: (i) => ({ peer: account(i), path: `/api/v1/r${i}/items?page=2` }),
  miss: (i) => ({ peer: account(i + 1), path: `/api/v1/r${i}/items?page=2` }),
}
const byTwoPrincipals = {
  policy: (i) =>
    allow(i, {
      from: { principals: [account(i), account(i + 1)] },
      to: { methods: ['GET', 'HEAD'], paths: [`/api/v2/r${i}`, `/api/v2/r${i}/status`] },
    }),
  hit: (i) => ({ peer: account(i + 1), path: `/api/v2/r${i}/status` }),
  miss: (i) => ({ peer: account(i), path: `/api/v2/r${i}/status`, method: 'PUT' }),
}
const byNamespace = {
  policy: (i) =>
    allow(i, { from: { namespaces: [`jobs-${i}`] }, to: { methods: ['GET', 'POST'], paths: [`/jobs/${i}/*`] } }),
  hit: (i) => ({ peer: `cluster.local/ns/jobs-${i}/sa/runner`, method: 'POST', path: `/jobs/${i}/runs` }),
  miss: (i) => ({ peer: `cluster.local/ns/jobs-${i}/sa/runner`, method: 'POST', path: `/jobs/${i + 1}/runs` }),
}
const byHost = {
  policy: (i) => allow(i, { to: { hosts: [hostOf(i)], methods: ['GET'], paths: ['/public/*'] } }),
  hit: (i) => ({ peer: account(i), host: hostOf(i), path: '/public/index.html' }),
  miss: (i) => ({ peer: account(i), host: hostOf(i), path: '/private/index.html' }),
}
const byTenant = {
  policy: (i) =>
    allow(i, {
      from: { principals: [account(i)] },
      to: { paths: ['/tenant/*'] },
      when: [{ key: 'request.headers[x-tenant]', values: [`tenant-${i}`] }],
    }),
  hit: (i) => ({ peer: account(i), path: '/tenant/home', headers: { 'x-tenant': `tenant-${i}` } }),
  miss: (i) => ({ peer: account(i), path: '/tenant/home', headers: { 'x-tenant': `tenant-${i + 1}` } }),
}
const byNetwork = {
  policy: (i) => allow(i, { from: { remoteIpBlocks: [`${network(i)}.0/24`] }, to: { paths: [`*/feeds/${i}.json`] } }),
  hit: (i) => ({ peer: account(i), remoteIp: `${network(i)}.9`, path: `/v3/feeds/${i}.json` }),
  miss: (i) => ({ peer: account(i), remoteIp: `${network(i + 1)}.9`, path: `/v3/feeds/${i}.json` }),
}
// What is denied would be allowed otherwise: `shop` is the number of a policy by host.
const exceptOne = {
  policy: (i) => deny(i, { from: { notPrincipals: [account(i)] }, to: { paths: [`/public/area-${i}/*`] } }),
  hit: (i, shop) => ({ peer: account(i + 1), host: hostOf(shop), path: `/public/area-${i}/users` }),
  miss: (i) => ({ peer: account(i), path: `/public/area-${i}/users` }),
}
const denied = {
  policy: (i) => deny(i, { to: { methods: ['GET'], paths: [`/public/archive/${i}`] } }),
  hit: (i, shop) => ({ peer: account(i), host: hostOf(shop), path: `/public/archive/${i}` }),
  miss: (i) => ({ peer: account(i), method: 'PUT', path: `/public/archive/${i}` }),
}
const byPort = {
  policy: (i) =>
    allow(i, { from: { principals: [account(i)] }, to: { ports: ['9090', '8080'], paths: [`/internal/r${i}`] } }),
  hit: (i) => ({ peer: account(i), path: `/internal/r${i}` }),
  miss: (i) => ({ peer: account(i), path: `/internal/r${i}`, port: 80 }),
}
const byClaim = {
  policy: (i) =>
    allow(i, {
      from: { requestPrincipals: ['https://issuer.example.com/*'] },
      to: { methods: ['GET'], paths: [`/docs/r${i}*`] },
      when: [{ key: 'request.auth.claims[groups]', values: [`group-${i}`, 'auditors'] }],
    }),
  hit: (i) => ({ peer: account(i), path: `/docs/r${i}.html`, claims: token('reader', ['staff', `group-${i}`]) }),
  miss: (i) => ({ peer: account(i), path: `/docs/r${i}.html`, claims: token('reader', ['staff']) }),
}
const byRequestPrincipal = {
  policy: (i) =>
    allow(i, {
      from: { requestPrincipals: [`https://issuer.example.com/user-${i}`] },
      to: { methods: ['POST'], paths: [`/orders/${i}`] },
    }),
  hit: (i) => ({ peer: account(i), method: 'POST', path: `/orders/${i}`, claims: token(`user-${i}`, []) }),
  miss: (i) => ({ peer: account(i), method: 'POST', path: `/orders/${i}`, claims: token(`user-${i + 1}`, []) }),
}
const byTemplate = {
  policy: (i) =>
    allow(i, {
      from: { serviceAccounts: [`default/front-${i}`] },
      to: { notMethods: ['DELETE'], paths: [`/users/{*}/r${i}/{**}`] },
    }),
  hit: (i) => ({ peer: `cluster.local/ns/default/sa/front-${i}`, path: `/users/u7/r${i}/photos/1` }),
  miss: (i) => ({
    peer: `cluster.local/ns/default/sa/front-${i}`,
    path: `/users/u7/r${i}/photos/1`,
    method: 'DELETE',
  }),
}

function token(subject, groups) {
  return { iss: 'https://issuer.example.com', sub: subject, aud: 'web', exp: 2_000_000_000, groups }
}

/** Every field of the language that ordinary policies use. */
export const mixed = mix([
  byPrincipal,
  byTwoPrincipals,
  byNamespace,
  byHost,
  byTenant,
  byNetwork,
  exceptOne,
  byPort,
  byClaim,
  byRequestPrincipal,
  byTemplate,
  denied,
])

/** What each of the peers can express too: no claims, no templates, no ports, no service accounts. */
export const common = mix([
  byPrincipal,
  byTwoPrincipals,
  byNamespace,
  byHost,
  byTenant,
  byNetwork,
  exceptOne,
  byPrincipal,
  byNamespace,
  denied,
])

function mix(parts) {
  const part = (i) => parts[i % parts.length]
  const shop = (i) => i - (i % parts.length) + parts.indexOf(byHost)
  return {
    policy: (i) => part(i).policy(i),
    hit: (i) => request(part(i).hit(i, shop(i))),
    miss: (i) => request(part(i).miss(i)),
    /** Whether a request that the policy decides about is let through. */
    allows: (i) => part(i).policy(i).spec.action === 'ALLOW',
  }
}
