// Sets of policies that are hard for an engine, each of one kind. A large set of real policies is none of them.
import { account, allow, request } from './policy.mjs'

const address = (i) => `10.${(i >> 8) & 255}.${i & 255}.${(i >> 16) & 255}`
const claims = (more) => ({ iss: 'https://issuer.example.com', sub: 'somebody', ...more })

/**
 * By name, `policies(count)`: `policy(i)`, and for one of them `hit(i)`, a request that it matches, and `miss(i)`, one that
 * none of them matches.
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
  }),
  'templates of two literals, each with each': (count) => {
    const side = Math.ceil(Math.sqrt(count))
    return {
      policy: (i) => allow(i, { to: { paths: [`/a${i % side}/{*}/b${Math.floor(i / side)}/{*}`] } }),
      hit: (i) => ({ path: `/a${i % side}/x/b${Math.floor(i / side)}/y` }),
      miss: (i) => ({ path: `/a${i % side}/x/b${Math.floor(i / side)}/` }),
    }
  },
  'only `not` fields': () => ({
    policy: (i) => allow(i, { to: { notPaths: [`/r${i}`, '/everybody'] } }),
    hit: (i) => ({ path: `/q${i}` }),
    miss: () => ({ path: '/everybody' }),
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
    }
  },
  'each principal with each host and path': (count) => {
    const side = Math.ceil(Math.cbrt(count))
    const host = (i) => Math.floor(i / side) % side
    const path = (i) => 2 * Math.floor(i / side ** 2) + (((i % side) + host(i)) % 2)
    const caller = (i) => ({ peer: account(i % side), host: `h${host(i)}.example.com` })
    return {
      policy: (i) => {
        const to = { hosts: [`h${host(i)}.example.com`], paths: [`/r${path(i)}`] }
        return allow(i, { from: { principals: [account(i % side)] }, to })
      },
      hit: (i) => ({ ...caller(i), path: `/r${path(i)}` }),
      miss: (i) => ({ ...caller(i), path: `/r${path(i) + (path(i) % 2 === 0 ? 1 : -1)}` }),
    }
  },
}

/** The shape of that name with whole requests, for `count` policies. */
export function shape(name, count) {
  const { policy, hit, miss } = shapes[name](count)
  return { policy, hit: (i) => request(hit(i)), miss: (i) => request(miss(i)) }
}
