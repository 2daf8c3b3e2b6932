import type { PeerPattern } from '../../match/spiffe.ts'
import { peerRegex, SPIFFE_SCHEME } from '../../match/spiffe.ts'
import { parseStringMatch, type StringMatch } from '../../match/string-match.ts'
import type { HeaderMatcher, StringMatcher } from './matchers.ts'

/** A user's pattern as Istio's compiler writes it (pilot/pkg/security/authz/matcher/string.go). */
export function stringMatcher(match: StringMatch): StringMatcher {
  switch (match.kind) {
    case 'exact':
      return { exact: match.value }
    case 'prefix':
      return { prefix: match.value }
    case 'suffix':
      return { suffix: match.value }
    case 'nonEmpty':
      return regexMatcher('.+')
    default:
      return match satisfies never
  }
}

/** A header's value, where a lone `*` asks for presence only. `written` is the user's own text. */
export function headerMatcher(name: string, written: string, ignoreCase: boolean): HeaderMatcher {
  if (written === '*') return { name, present_match: true }
  const pattern = stringMatcher(parseStringMatch(written))
  return { name, string_match: ignoreCase ? { ...pattern, ignore_case: true } : pattern }
}

/** A pattern on the peer's SPIFFE id, with its scheme. */
export function peerMatcher(pattern: PeerPattern): StringMatcher {
  switch (pattern.kind) {
    case 'principal':
      return principalMatcher(pattern.match, pattern)
    case 'namespace':
    case 'serviceAccount':
      return regexMatcher(peerRegex(pattern))
    case 'trustDomain': {
      const { parts } = pattern
      if (parts === null) return { prefix: SPIFFE_SCHEME }
      return parts.length === 1 ? { prefix: `${SPIFFE_SCHEME}${parts[0]}/` } : regexMatcher(peerRegex(pattern))
    }
    default:
      return pattern satisfies never
  }
}

function principalMatcher(match: StringMatch, pattern: PeerPattern): StringMatcher {
  switch (match.kind) {
    case 'exact':
      return { exact: SPIFFE_SCHEME + match.value }
    case 'prefix':
      return { prefix: SPIFFE_SCHEME + match.value }
    case 'suffix':
    case 'nonEmpty':
      return regexMatcher(peerRegex(pattern))
    default:
      return match satisfies never
  }
}

function regexMatcher(regex: string): StringMatcher {
  return { safe_regex: { regex } }
}
