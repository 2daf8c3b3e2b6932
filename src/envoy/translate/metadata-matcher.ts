import type { StringMatch } from '../../match/string-match.ts'
import type { MetadataMatcher, ValueMatcher } from './matchers.ts'
import { stringMatcher } from './string-matcher.ts'

const JWT_FILTER = 'envoy.filters.http.jwt_authn'
const PAYLOAD = 'payload'

/** A claim that is a string. */
export function claimMatcher(claim: string, match: StringMatch): MetadataMatcher {
  return metadataMatcher(JWT_FILTER, [PAYLOAD, claim], stringValue(match))
}

/** A claim that is one of these strings, or a list that holds one. */
export function claimListMatcher(path: readonly string[], matches: readonly StringMatch[]): MetadataMatcher {
  const value = anyValue(matches.map(stringValue))
  return metadataMatcher(JWT_FILTER, [PAYLOAD, ...path], {
    or_match: { value_matchers: [{ list_match: { one_of: value } }, value] },
  })
}

/** Metadata of a filter that has one of these values. */
export function filterMetadataMatcher(
  filter: string,
  key: string,
  values: readonly { readonly list: boolean; readonly match: StringMatch }[],
): MetadataMatcher {
  const matchers = values.map(({ list, match }): ValueMatcher => {
    const value = stringValue(match)
    return list ? { list_match: { one_of: value } } : value
  })
  return metadataMatcher(filter, [key], anyValue(matchers))
}

function metadataMatcher(filter: string, keys: readonly string[], value: ValueMatcher): MetadataMatcher {
  return { filter, path: keys.map((key) => ({ key })), value }
}

function stringValue(match: StringMatch): ValueMatcher {
  return { string_match: stringMatcher(match) }
}

function anyValue(matchers: readonly ValueMatcher[]): ValueMatcher {
  const [only, another] = matchers
  return only !== undefined && another === undefined ? only : { or_match: { value_matchers: matchers } }
}
