/**
 * The string patterns of AuthorizationPolicy (istio/istio pilot/pkg/security/authz/matcher/string.go). A `*` counts at
 * one end only; anywhere else it is an ordinary character.
 */
export type StringMatch =
  | { readonly kind: 'exact'; readonly value: string }
  | { readonly kind: 'prefix'; readonly value: string }
  | { readonly kind: 'suffix'; readonly value: string }
  /** A lone `*`: Envoy's regex `.+`, which an empty value or one with a line feed does not match. */
  | { readonly kind: 'nonEmpty' }

/** Reads a pattern in Istio's order: a lone `*`, a leading `*`, a trailing `*`, else the text itself. */
export function parseStringMatch(text: string): StringMatch {
  if (text === '*') return { kind: 'nonEmpty' }
  if (text.startsWith('*')) return { kind: 'suffix', value: text.slice(1) }
  if (text.endsWith('*')) return { kind: 'prefix', value: text.slice(0, -1) }
  return { kind: 'exact', value: text }
}

export function matchesString(match: StringMatch, text: string): boolean {
  switch (match.kind) {
    case 'exact':
      return text === match.value
    case 'prefix':
      return text.startsWith(match.value)
    case 'suffix':
      return text.endsWith(match.value)
    case 'nonEmpty':
      return text !== '' && !text.includes('\n')
    default:
      return match satisfies never
  }
}

export function printStringMatch(match: StringMatch): string {
  switch (match.kind) {
    case 'exact':
      return match.value
    case 'prefix':
      return `${match.value}*`
    case 'suffix':
      return `*${match.value}`
    case 'nonEmpty':
      return '*'
    default:
      return match satisfies never
  }
}
