import { parseStringMatch } from '../../match/string-match.ts'
import type { Condition, Conjunction, Match } from '../../policy/ir.ts'
import { cidrRange } from './cidr-range.ts'
import { filterMetadataMatcher } from './metadata-matcher.ts'
import type { Permission } from './rbac.ts'
import { headerMatcher, stringMatcher } from './string-matcher.ts'

/** The socket's port for a port that policies name, or null where that port cannot be seen on the socket. */
export type SocketPort = (port: number) => number | null

/** One alternative of a rule's permissions, in the form and order of Istio's compiler. */
export function permissionOf(conjunction: Conjunction, socketPort: SocketPort): Permission {
  const all = conjunction.flatMap((condition) => permissionsOf(condition, socketPort))
  return { and_rules: { rules: all.length === 0 ? [{ any: true }] : all } }
}

/** What never holds. */
export const NEVER_PERMITTED: Permission = { not_rule: { any: true } }

function permissionsOf({ any, none }: Condition, socketPort: SocketPort): Permission[] {
  const permissions: Permission[] = []
  if (any.length > 0) permissions.push(anyOf(any, socketPort))
  if (none.length > 0) permissions.push({ not_rule: anyOf(none, socketPort) })
  return permissions
}

/** Values of metadata are one matcher; those of every other field stand side by side. */
function anyOf(matches: readonly Match[], socketPort: SocketPort): Permission {
  const [first] = matches
  if (first?.kind === 'metadata') {
    const values = matches.filter((match) => match.kind === 'metadata')
    return { metadata: filterMetadataMatcher(first.filter, first.key, values) }
  }
  return { or_rules: { rules: matches.map((match) => permissionFor(match, socketPort)) } }
}

function permissionFor(match: Match, socketPort: SocketPort): Permission {
  switch (match.kind) {
    case 'host':
      return { header: headerMatcher(':authority', match.written, true) }
    case 'method':
      return { header: headerMatcher(':method', match.written, false) }
    case 'path':
      return { url_path: { path: stringMatcher(parseStringMatch(match.written)) } }
    case 'pathTemplate':
      return {
        uri_template: {
          name: 'uri-template',
          typed_config: {
            '@type': 'type.googleapis.com/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig',
            path_template: match.template.text.replaceAll('{*}', '*').replaceAll('{**}', '**'),
          },
        },
      }
    case 'port': {
      const port = socketPort(match.port)
      return port === null ? NEVER_PERMITTED : { destination_port: port }
    }
    case 'destinationIp':
      return { destination_ip: cidrRange(match.written, match.block.bits) }
    case 'sni':
      return { requested_server_name: stringMatcher(parseStringMatch(match.written)) }
    case 'metadata':
      return { metadata: filterMetadataMatcher(match.filter, match.key, [match]) }
    case 'peer':
    case 'requestPrincipal':
    case 'sourceIp':
    case 'remoteIp':
    case 'header':
    case 'claim':
      throw new Error(`${match.kind} is no permission`)
    default:
      return match satisfies never
  }
}
