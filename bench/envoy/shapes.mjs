/** Policies of one shape each: `rule(i)` of the i-th policy, and requests that meet the i-th one, or none. */
const none = { values: [], notValues: [] }
const any = (...values) => ({ values, notValues: [] })

const source = {
  principals: none,
  requestPrincipals: none,
  namespaces: none,
  serviceAccounts: none,
  trustDomains: none,
  ipBlocks: none,
  remoteIpBlocks: none,
}
const operation = { hosts: none, ports: none, methods: none, paths: none }
const from = (fields) => [{ ...source, ...fields }]
const to = (fields) => [{ ...operation, ...fields }]
const rule = (parts) => ({ from: null, to: null, when: [], ...parts })

/** `indexed`: a tree can take them apart. `account`: the callers that have certificates, `null` for plaintext. */
export const shapes = {
  'exact paths': {
    indexed: true,
    rule: (i) => rule({ to: to({ paths: any(`/api/v1/r${i}`), methods: any('GET') }) }),
    hit: (i) => ({ path: `/api/v1/r${i}${i % 4 === 0 ? '?page=1' : ''}` }),
    miss: (i) => ({ path: `/api/v1/q${i}` }),
  },
  prefixes: {
    indexed: true,
    rule: (i) => rule({ to: to({ paths: any(`/api/v1/r${i}/*`), methods: any('GET') }) }),
    hit: (i) => ({ path: `/api/v1/r${i}/items/7` }),
    miss: (i) => ({ path: `/api/v1/q${i}/items/7` }),
  },
  'exact hosts': {
    indexed: true,
    rule: (i) => rule({ to: to({ hosts: any(`s${i}.shop.example`), methods: any('GET') }) }),
    hit: (i) => ({ host: `s${i}.shop.example` }),
    miss: (i) => ({ host: `t${i}.shop.example` }),
  },
  'exact principals': {
    indexed: true,
    rule: (i) => rule({ from: from({ principals: any(account(i)) }), to: to({ methods: any('GET') }) }),
    hit: (i) => ({ account: account(i) }),
    miss: (i) => ({ account: account(i).replace('/sa/s', '/sa/t') }),
  },
  'principal, method and path': {
    indexed: true,
    rule: (i) =>
      rule({
        from: from({ principals: any(account(i % 8)) }),
        to: to({ methods: any('GET'), paths: any(`/api/v1/r${i}`) }),
      }),
    hit: (i) => ({ account: account(i % 8), path: `/api/v1/r${i}` }),
    miss: (i) => ({ account: account((i + 1) % 8), path: `/api/v1/r${i}` }),
  },
  namespaces: {
    indexed: true,
    rule: (i) => rule({ from: from({ namespaces: any(`team-${i}`) }) }),
    hit: (i) => ({ account: `cluster.local/ns/team-${i}/sa/s` }),
    miss: (i) => ({ account: `cluster.local/ns/other-${i}/sa/s` }),
  },
  'header values': {
    indexed: true,
    rule: (i) => rule({ when: [{ key: 'request.headers[x-tenant]', ...any(`t${i}`) }] }),
    hit: (i) => ({ headers: `x-tenant: t${i}\r\n` }),
    miss: (i) => ({ headers: `x-tenant: u${i}\r\n` }),
  },
  'source networks': {
    indexed: true,
    rule: (i) =>
      rule({ from: from({ ipBlocks: any(i === 9999 ? '127.0.0.1' : `10.${(i >> 8) & 255}.${i & 255}.0/24`) }) }),
    hit: () => ({}),
    miss: null,
  },
  'path templates': {
    indexed: true,
    rule: (i) => rule({ to: to({ paths: any(`/api/r${i}/{*}/items`) }) }),
    hit: (i) => ({ path: `/api/r${i}/a/items` }),
    miss: (i) => ({ path: `/api/q${i}/a/items` }),
  },
  'suffixes (a list)': {
    indexed: false,
    rule: (i) => rule({ to: to({ paths: any(`*/end/r${i}`) }) }),
    hit: (i) => ({ path: `/x/end/r${i}` }),
    miss: (i) => ({ path: `/x/end/q${i}` }),
  },
  'half paths, half header values (a list)': {
    indexed: false,
    rule: (i) =>
      i % 2 === 0
        ? rule({ to: to({ paths: any(`/api/v1/r${i}`) }) })
        : rule({ when: [{ key: 'request.headers[x-tenant]', ...any(`t${i}`) }] }),
    hit: (i) => (i % 2 === 0 ? { path: `/api/v1/r${i}` } : { headers: `x-tenant: t${i}\r\n` }),
    miss: (i) => ({ path: `/api/v1/q${i}` }),
  },
}

function account(i) {
  return `cluster.local/ns/n${i % 97}/sa/s${i}`
}
