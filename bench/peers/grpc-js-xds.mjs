// The RBAC engine of grpc-js-xds, the nearest relative in this language: Istio's own rules, tested one after the other.
import { createRequire } from 'node:module'
import { rbacOf } from './rbac.mjs'

const require = createRequire(import.meta.url)
const { parseConfig } = require('@grpc/grpc-js-xds/build/src/rbac.js')
const { Metadata } = require('@grpc/grpc-js')

export function open(policies) {
  const [deny, allow] = ['DENY', 'ALLOW'].map((action) => {
    const rbac = rbacOf(policies, action, (principal_name) => ({ authenticated: { principal_name } }))
    return rbac === null ? null : parseConfig(message(rbac))
  })
  return {
    prepare({ peer, path, host, method, headers, remoteIp, port }) {
      const metadata = new Metadata()
      metadata.set(':authority', host)
      metadata.set(':method', method)
      for (let i = 0; i < headers.length; i += 2) metadata.set(headers[i], headers[i + 1])
      return {
        headers: metadata,
        urlPath: path.split('?')[0],
        destinationIp: '10.9.9.9',
        destinationPort: port,
        sourceIp: remoteIp,
        tls: peer !== null,
        peerCertificate: { subject: {}, subjectaltname: `URI:spiffe://${peer}` },
      }
    },
    // A group that denies answers true where nothing matched.
    allows: (info) => (deny === null || deny.apply(info)) && (allow === null || allow.apply(info)),
  }
}

/** Which field of a `oneof` is set, as the library's decoder notes it. */
const oneofs = {
  permissions: 'rule',
  rules: 'rule',
  not_rule: 'rule',
  principals: 'identifier',
  ids: 'identifier',
  not_id: 'identifier',
  principal_name: 'match_pattern',
  path: 'match_pattern',
  string_match: 'match_pattern',
  header: 'header_match_specifier',
}

/** From the JSON form to what the library's decoder makes of the bytes. */
function message(value, field) {
  if (Array.isArray(value)) return value.map((item) => message(item, field))
  if (field === 'prefix_len') return { value }
  if (typeof value !== 'object') return value
  const entries = Object.entries(value).map(([key, inner]) => [key, message(inner, key)])
  const oneof = oneofs[field]
  // Where a message has other fields besides, they stand elsewhere than in the first (a name) or the last place.
  const chosen = Object.keys(value).find((key) => key !== 'name' && key !== 'ignore_case')
  return { ...Object.fromEntries(entries), ...(oneof === undefined ? {} : { [oneof]: chosen }) }
}
