import { parseStringMatch } from '../../match/string-match.ts'
import type { Condition, Conjunction, Match } from '../../policy/ir.ts'
import { cidrRange } from './cidr-range.ts'
import { filterMetadataMatcher } from './metadata-matcher.ts'
import type { Permission } from './rbac.ts'
import { headerMatcher, stringMatcher } from './string-matcher.ts'

/**
 * How a port that policies name looks to Envoy, which sees the socket: as itself, or, where the socket is elsewhere and
 * stands for one port, always or never.
 */
export type PortView = (port: number) => 'itself' | 'always' | 'never'

/** One alternative of a rule's permissions, in the form and order of Istio's compiler. */
export function permissionOf(conjunction: Conjunction, portView: PortView): Permission {
  const all = conjunction.flatMap((condition) => permissionsOf(condition, portView))
  return { and_rules: { rules: all.length === 0 ? [{ any: true }] : all } }
}

/** What never holds. */
export const NEVER_PERMITTED: Permission = { not_rule: { any: true } }

function permissionsOf({ any, none }: Condition, portView: PortView): Permission[] {
  const permissions: Permission[] = []
  if (any.length > 0) permissions.push(anyOf(any, portView))
  if (none.length > 0) permissions.push({ not_rule: anyOf(none, portView) })
  return permissions
}

/** Values of metadata are one matcher; those of every other field stand side by side. */
function anyOf(matches: readonly Match[], portView: PortView): Permission {
  const [first] = matches
  if (first?.kind === 'metadata') {
    const values = matches.filter((match) => match.kind === 'metadata')
    return { metadata: filterMetadataMatcher(first.filter, first.key, values) }
  }
  return { or_rules: { rules: matches.map((match) => permissionFor(match, portView)) } }
}

function permissionFor(match: Match, portView: PortView): Permission {
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
    case 'port':
      return portPermission(match.port, portView(match.port))
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

function portPermission(port: number, view: ReturnType<PortView>): Permission {
  switch (view) {
    case 'itself':
      return { destination_port: port }
    case 'always':
      return { any: true }
    case 'never':
      return NEVER_PERMITTED
    default:
      return view satisfies never
  }
}
