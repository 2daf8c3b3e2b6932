// The RBAC engine of grpc-js-xds, the nearest relative in this language: the same rules as its own objects.
import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)
const rbac = require('@grpc/grpc-js-xds/build/src/rbac.js')
const matcher = require('@grpc/grpc-js-xds/build/src/matcher.js')
const { Metadata } = require('@grpc/grpc-js')

/** Rules with principals, methods and paths, exact or prefix. */
export function grpcDecider(rules) {
  const policies = new Map(
    rules.map((rule, i) => [
      `p${i}`,
      new rbac.RbacPolicy(
        rule.to.map(
          ({ paths }) => new rbac.OrRules(paths.values.map((path) => new rbac.UrlPathPermission(text(path)))),
        ),
        rule.from.map(
          ({ principals }) =>
            new rbac.OrRules(principals.values.map((one) => new rbac.AuthenticatedPrincipal(text(`spiffe://${one}`)))),
        ),
      ),
    ]),
  )
  const group = new rbac.RbacPolicyGroup(policies, true)
  const headers = new Metadata()
  return {
    info: ({ peer, path = '/' }) => ({
      headers,
      urlPath: path,
      destinationIp: '10.9.9.9',
      destinationPort: 80,
      sourceIp: '10.0.0.1',
      tls: peer !== undefined,
      peerCertificate: { subject: {}, subjectaltname: `URI:spiffe://${peer}` },
    }),
    allows: (info) => group.apply(info),
  }
}

function text(pattern) {
  return pattern.endsWith('*')
    ? new matcher.PrefixValueMatcher(pattern.slice(0, -1), false)
    : new matcher.ExactValueMatcher(pattern, false)
}
