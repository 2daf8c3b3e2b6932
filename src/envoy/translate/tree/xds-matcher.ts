import type { CidrRange, Extension } from '../matchers.ts'

/** `xds.type.matcher.v3.Matcher`, as far as the translation writes it. `Action` is what a leaf does. */
export type XdsMatcher<Action extends { readonly '@type': string }> =
  | {
      readonly matcher_list: {
        readonly matchers: readonly { readonly predicate: Predicate; readonly on_match: OnMatch<Action> }[]
      }
      readonly on_no_match: OnMatch<Action>
    }
  | { readonly matcher_tree: MatcherTree<Action>; readonly on_no_match: OnMatch<Action> }

export type OnMatch<Action extends { readonly '@type': string }> =
  | { readonly matcher: XdsMatcher<Action> }
  | { readonly action: Extension<Action> }

type MatcherTree<Action extends { readonly '@type': string }> = { readonly input: MatchInput } & (
  | { readonly exact_match_map: MatchMap<Action> }
  | { readonly prefix_match_map: MatchMap<Action> }
  | { readonly custom_match: Extension<IpMatcher<Action>> }
)

interface MatchMap<Action extends { readonly '@type': string }> {
  readonly map: Readonly<Record<string, OnMatch<Action>>>
}

export interface IpMatcher<Action extends { readonly '@type': string }> {
  readonly '@type': 'type.googleapis.com/xds.type.matcher.v3.IPMatcher'
  readonly range_matchers: readonly { readonly ranges: readonly CidrRange[]; readonly on_match: OnMatch<Action> }[]
}

export type Predicate =
  | { readonly single_predicate: { readonly input: MatchInput; readonly value_match: TextMatch } }
  | { readonly not_matcher: Predicate }
  | { readonly and_matcher: { readonly predicate: readonly Predicate[] } }

/** `xds.type.matcher.v3.StringMatcher`. */
export type TextMatch =
  | { readonly contains: string }
  | { readonly safe_regex: { readonly google_re2: Readonly<Record<string, never>>; readonly regex: string } }

export type MatchInput = Extension<
  | {
      readonly '@type': 'type.googleapis.com/envoy.type.matcher.v3.HttpRequestHeaderMatchInput'
      readonly header_name: string
    }
  | { readonly '@type': `type.googleapis.com/envoy.extensions.matching.common_inputs.ssl.v3.${SslInput}` }
  | { readonly '@type': `type.googleapis.com/envoy.extensions.matching.common_inputs.network.v3.${NetworkInput}` }
>

type SslInput = 'UriSanInput' | 'DnsSanInput' | 'SubjectInput'
type NetworkInput = 'DestinationPortInput' | 'DirectSourceIPInput' | 'SourceIPInput'

/** The value of a request header; repeated lines are one value, joined with commas. */
export function headerInput(name: string): MatchInput {
  return {
    name: 'request-headers',
    typed_config: {
      '@type': 'type.googleapis.com/envoy.type.matcher.v3.HttpRequestHeaderMatchInput',
      header_name: name,
    },
  }
}

/** A part of the peer's certificate; several SANs are one value, joined with commas. */
export function certificateInput(input: SslInput): MatchInput {
  return {
    name: 'certificate',
    typed_config: { '@type': `type.googleapis.com/envoy.extensions.matching.common_inputs.ssl.v3.${input}` },
  }
}

export function connectionInput(input: NetworkInput): MatchInput {
  return {
    name: 'connection',
    typed_config: { '@type': `type.googleapis.com/envoy.extensions.matching.common_inputs.network.v3.${input}` },
  }
}

export function inputMatches(input: MatchInput, value_match: TextMatch): Predicate {
  return { single_predicate: { input, value_match } }
}

/** RE2, the whole value. */
export function regex(text: string): TextMatch {
  return { safe_regex: { google_re2: {}, regex: text } }
}

export function not(predicate: Predicate): Predicate {
  return { not_matcher: predicate }
}

export function allOf(predicates: readonly Predicate[]): Predicate {
  const [only, another] = predicates
  return only !== undefined && another === undefined ? only : { and_matcher: { predicate: predicates } }
}
