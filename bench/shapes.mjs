/** Policies of one shape each, and requests of which half match one of them. `i` is the policy's number. */
const none = { values: [], notValues: [] }
const any = (...values) => ({ values, notValues: [] })
const not = (...notValues) => ({ values: [], notValues })

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

const network = (i) => `10.${(i >> 8) & 255}.${i & 255}.${(i >> 16) & 255}`
const account = (i) => `cluster.local/ns/n${i % 97}/sa/s${i}`

/** `rule(i)` is what the policy says; `hit(i)` is a request that meets it, `miss(i)` one that meets none. */
export const shapes = {
  mixed: {
    rule: (i) => {
      const path = i % 3 === 0 ? `/api/v1/r${i}/*` : `/api/v1/r${i}`
      return rule({ from: from({ principals: any(account(i)) }), to: to({ methods: any('GET'), paths: any(path) }) })
    },
    hit: (i) => ({ peer: account(i), path: i % 3 === 0 ? `/api/v1/r${i}/x` : `/api/v1/r${i}` }),
    miss: (i) => ({ peer: account(i + 1), path: `/api/v1/r${i}` }),
  },
  'prefixes that share a stem': {
    rule: (i) => rule({ to: to({ paths: any(`/a/stem/that/all/have/r${i}/*`) }) }),
    hit: (i) => ({ path: `/a/stem/that/all/have/r${i}/x` }),
    miss: (i) => ({ path: `/a/stem/that/all/have/q${i}/x` }),
  },
  suffixes: {
    rule: (i) => rule({ to: to({ paths: any(`*/end/r${i}`) }) }),
    hit: (i) => ({ path: `/x/end/r${i}` }),
    miss: (i) => ({ path: `/x/end/q${i}` }),
  },
  templates: {
    rule: (i) => rule({ to: to({ paths: any(`/{*}/r${i}/{*}`) }) }),
    hit: (i) => ({ path: `/a/r${i}/b` }),
    miss: (i) => ({ path: `/a/q${i}/b` }),
  },
  networks: {
    rule: (i) => rule({ from: from({ ipBlocks: any(`${network(i)}/32`) }) }),
    hit: (i) => ({ ip: network(i) }),
    miss: () => ({ ip: '11.0.0.1' }),
  },
  claims: {
    rule: (i) => rule({ when: [{ key: 'request.auth.claims[group]', ...any(`g${i}`) }] }),
    hit: (i) => ({ claims: { iss: 'i', sub: 's', group: `g${i}` } }),
    miss: () => ({ claims: { iss: 'i', sub: 's', group: 'none' } }),
  },
  'only `not` fields, all violated': {
    rule: (i) => rule({ to: to({ paths: not(`/r${i}`, '/everybody') }) }),
    hit: () => ({ path: '/everybody' }),
    miss: () => ({ path: '/everybody' }),
    matches: 0,
  },
}
