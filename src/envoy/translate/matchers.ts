/** Envoy's common matchers (`envoy.type.matcher.v3` and its neighbours), as far as the translation writes them. */

export type StringMatcher = StringPattern & { readonly ignore_case?: true }

type StringPattern =
  | { readonly exact: string }
  | { readonly prefix: string }
  | { readonly suffix: string }
  | { readonly safe_regex: { readonly regex: string } }

export type ValueMatcher =
  | { readonly string_match: StringMatcher }
  | { readonly list_match: { readonly one_of: ValueMatcher } }
  | { readonly or_match: { readonly value_matchers: readonly ValueMatcher[] } }

export interface MetadataMatcher {
  readonly filter: string
  readonly path: readonly { readonly key: string }[]
  readonly value: ValueMatcher
}

/** `envoy.config.route.v3.HeaderMatcher`. */
export type HeaderMatcher = { readonly name: string } & (
  | { readonly present_match: true }
  | { readonly string_match: StringMatcher }
)

/** `envoy.config.core.v3.CidrRange`. */
export interface CidrRange {
  readonly address_prefix: string
  readonly prefix_len: number
}

/** `envoy.config.core.v3.TypedExtensionConfig`. */
export interface Extension<Config extends { readonly '@type': string }> {
  readonly name: string
  readonly typed_config: Config
}
