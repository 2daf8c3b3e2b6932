/** AuthorizationPolicies as Istio's YAML has them, and requests as plain data; every engine is given the same ones. */

const NAMESPACE = 'default'

/** A policy's resource, named by its number. */
export function policy(number, action, { from, to, when }) {
  const rule = {
    ...(from === undefined ? {} : { from: [{ source: from }] }),
    ...(to === undefined ? {} : { to: [{ operation: to }] }),
    ...(when === undefined ? {} : { when }),
  }
  return {
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata: { name: `p${number}`, namespace: NAMESPACE },
    spec: { action, rules: [rule] },
  }
}

export const allow = (number, rule) => policy(number, 'ALLOW', rule)
export const deny = (number, rule) => policy(number, 'DENY', rule)

/** What Envoy would report for a request that this policy decides about. */
export function ruleId({ metadata }) {
  return `ns[${metadata.namespace}]-policy[${metadata.name}]-rule[0]`
}

/** The account of an application, of which each has its own, in one of 97 namespaces. */
export function account(number) {
  return `cluster.local/ns/team-${number % 97}/sa/app-${number}`
}

export const accountNamespace = (peer) => peer.split('/')[2]

/** A request with what it does not say filled in. `peer` is a SPIFFE id without its scheme, or null without mTLS. */
export function request({ headers = {}, ...given }) {
  return {
    peer: account(0),
    method: 'GET',
    path: '/',
    host: 'web.default.svc.cluster.local',
    sourceIp: '10.255.0.1',
    remoteIp: '198.51.100.7',
    port: 8080,
    claims: null,
    ...given,
    headers: { ...ORDINARY, ...headers },
  }
}

const ORDINARY = {
  accept: 'application/json',
  'accept-encoding': 'gzip, br',
  'user-agent': 'bench/1.0',
  'x-forwarded-proto': 'http',
  'x-request-id': '5b0c1f6e-6f0a-4e43-9a0e-8a6a3f3c1f0d',
  traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
}
