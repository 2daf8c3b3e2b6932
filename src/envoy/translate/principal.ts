import type { StringMatch } from '../../match/string-match.ts'
import type { Condition, Conjunction, Match } from '../../policy/ir.ts'
import { cidrRange } from './cidr-range.ts'
import { claimListMatcher, claimMatcher } from './metadata-matcher.ts'
import type { Principal } from './rbac.ts'
import { headerMatcher, peerMatcher } from './string-matcher.ts'

/** One alternative of a rule's principals, in the form and order of Istio's compiler. */
export function principalOf(conjunction: Conjunction): Principal {
  const all = conjunction.flatMap(principalsOf)
  return { and_ids: { ids: all.length === 0 ? [{ any: true }] : all } }
}

/** What never holds. */
export const NO_PRINCIPAL: Principal = { not_id: { any: true } }

function principalsOf(condition: Condition): Principal[] {
  const principals: Principal[] = []
  if (condition.any.length > 0) principals.push(anyOf(condition.any, condition))
  if (condition.none.length > 0) principals.push({ not_id: anyOf(condition.none, condition) })
  return principals
}

/** Values of a claim are one matcher; a lone request principal stands for itself. */
function anyOf(matches: readonly Match[], condition: Condition): Principal {
  const [first, second] = matches
  if (first?.kind === 'claim') {
    const values = matches.flatMap((match): StringMatch[] => (match.kind === 'claim' ? [match.match] : []))
    return { metadata: claimListMatcher(first.path, values) }
  }
  if (first?.kind === 'requestPrincipal' && second === undefined) return principalFor(first, condition)
  return { or_ids: { ids: matches.map((match) => principalFor(match, condition)) } }
}

function principalFor(match: Match, condition: Condition): Principal {
  switch (match.kind) {
    case 'peer':
      return { authenticated: { principal_name: peerMatcher(match.pattern) } }
    case 'requestPrincipal':
      return {
        and_ids: {
          ids: [{ metadata: claimMatcher('iss', match.issuer) }, { metadata: claimMatcher('sub', match.subject) }],
        },
      }
    case 'sourceIp':
      return { direct_remote_ip: cidrRange(match.written, match.block.bits) }
    case 'remoteIp':
      return { remote_ip: cidrRange(match.written, match.block.bits) }
    case 'header':
      return { header: headerMatcher(writtenName(condition), match.written, false) }
    case 'claim':
      return { metadata: claimListMatcher(match.path, [match.match]) }
    case 'host':
    case 'method':
    case 'path':
    case 'pathTemplate':
    case 'port':
    case 'destinationIp':
    case 'sni':
    case 'metadata':
      throw new Error(`${match.kind} is no principal`)
    default:
      return match satisfies never
  }
}

/** The name in `request.headers[NAME]`: Envoy ignores its case, and Istio leaves it as it was written. */
function writtenName({ field }: Condition): string {
  return field.slice(field.indexOf('[') + 1, -1)
}
