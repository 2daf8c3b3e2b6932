// Sets of policies that are hard for an engine, each of one kind. A large set of real policies is none of them.
import { account, allow, request } from './policy.mjs'

const address = (i) => `10.${(i >> 8) & 255}.${i & 255}.${(i >> 16) & 255}`
const claims = (more) => ({ iss: 'https://issuer.example.com', sub: 'somebody', ...more })

/**
 * By name, `policies(count)`: `policy(i)`, and for one of them `hit(i)`, a request that it matches, and `miss(i)`, one that
 * none of them matches. `slow` says why it costs time in the number of policies where it does.
 */
export const shapes = {
  'prefixes that share a stem': () => ({
    policy: (i) => allow(i, { to: { paths: [`/a/stem/that/all/of/them/have/r${i}/*`] } }),
    hit: (i) => ({ path: `/a/stem/that/all/of/them/have/r${i}/x` }),
    miss: (i) => ({ path: `/a/stem/that/all/of/them/have/r${i}x/x` }),
  }),
  suffixes: () => ({
    policy: (i) => allow(i, { to: { paths: [`*/r${i}/and/an/end/that/all/have`] } }),
    hit: (i) => ({ path: `/x/r${i}/and/an/end/that/all/have` }),
    miss: (i) => ({ path: `/x${i}/and/an/end/that/all/have` }),
  }),
  templates: () => ({
    policy: (i) => allow(i, { to: { paths: [`/{*}/r${i}/{*}`] } }),
    hit: (i) => ({ path: `/a/r${i}/b` }),
    miss: (i) => ({ path: `/a/r${i}x/b` }),
  }),
  'templates that share a stem': () => ({
    policy: (i) => allow(i, { to: { paths: [`/tenants/{*}/r${i}/{**}`] } }),
    hit: (i) => ({ path: `/tenants/t/r${i}/b/c` }),
    miss: (i) => ({ path: `/tenants/t/r${i}x/b/c` }),
    slow: 'a template is looked up by one literal part only, here the one that all of them share',
  }),
  'only `not` fields': () => ({
    policy: (i) => allow(i, { to: { notPaths: [`/r${i}`, '/everybody'] } }),
    hit: (i) => ({ path: `/q${i}` }),
    miss: () => ({ path: '/everybody' }),
    slow: 'what a rule does not want leaves nothing to look it up by: each is tested until one matches',
  }),
  networks: () => ({
    policy: (i) => allow(i, { from: { ipBlocks: [`${address(i)}/32`] } }),
    hit: (i) => ({ sourceIp: address(i) }),
    miss: (i) => ({ sourceIp: address(i).replace(/\d+$/, '200') }),
  }),
  claims: () => ({
    policy: (i) => {
      const key = i % 2 === 0 ? 'request.auth.claims[groups]' : 'request.auth.claims[realm][role]'
      return allow(i, { when: [{ key, values: [`g${i}`] }] })
    },
    hit: (i) => ({ claims: claims(i % 2 === 0 ? { groups: ['staff', `g${i}`] } : { realm: { role: `g${i}` } }) }),
    miss: (i) => ({ claims: claims({ groups: ['staff', `g${i}x`], realm: { role: `g${i}x` } }) }),
  }),
  'each principal with each path': (count) => {
    const side = Math.ceil(Math.sqrt(count))
    const path = (i) => 2 * Math.floor(i / side) + ((i % side) % 2)
    return {
      policy: (i) => allow(i, { from: { principals: [account(i % side)] }, to: { paths: [`/r${path(i)}`] } }),
      hit: (i) => ({ peer: account(i % side), path: `/r${path(i)}` }),
      miss: (i) => ({ peer: account(i % side), path: `/r${path(i) + (path(i) % 2 === 0 ? 1 : -1)}` }),
      slow: 'a rule is looked up by one of its fields only, and each value of each field is shared by many rules',
    }
  },
}

/** The shape of that name with whole requests, for `count` policies. */
export function shape(name, count) {
  const { policy, hit, miss } = shapes[name](count)
  return { policy, hit: (i) => request(hit(i)), miss: (i) => request(miss(i)) }
}

/** Why that shape is slow, where it is known to be. */
export function slowness(name) {
  return shapes[name]?.(1).slow
}
