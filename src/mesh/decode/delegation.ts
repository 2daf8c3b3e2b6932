import type { AuthorizationPolicy, Rule } from '../authorization-policy.ts'
import type { DelegateProvider, Delegation } from '../delegation.ts'
import type { Labels, Meta, Origin } from '../resource.ts'
import { selector } from './attachment.ts'
import { rules } from './authorization-policy.ts'
import type { Decoder } from './decoder.ts'
import { boolean, integer, list, map, oneOf, string } from './decoder.ts'
import { duration } from './duration.ts'
import type { RawResource } from './meta.ts'
import { customResource } from './meta.ts'
import { optional, record, required } from './record.ts'

const MOST_PROVIDERS = 16

const HOUR = 3_600_000
const DEFAULT_ENTRIES = 10_000
const MOST_ENTRIES = 50_000

/** `abc`, `abc*`, `*abc` or `*`; `pattern` is what may stand for `abc`. */
function names(pattern: RegExp, what: string): Decoder<readonly string[]> {
  return list(
    map(string, (text, at): string | undefined => {
      if (text === '*') return text
      const bare = text.startsWith('*') ? text.slice(1) : text.endsWith('*') ? text.slice(0, -1) : text
      if (pattern.test(bare)) return text
      at.report('SP106', `\`${text}\` names no ${what}`, {
        help: 'write a name, or one with a `*` at its beginning or its end',
      })
      return undefined
    }),
  )
}

/** RFC 9110, section 5.6.2, without its star. */
const headerNames = names(/^[!#$%&'+\-.^_`|~0-9A-Za-z]+$/, 'header')
const parameterNames = names(/^[^*]+$/, 'query parameter')
const claimNames = names(/^[^*]+$/, 'claim')

const view = record({
  source: optional(list(oneOf('principal', 'ip')), []),
  headers: optional(headerNames, []),
  queryParameters: optional(parameterNames, []),
  claims: optional(claimNames, []),
  body: optional(boolean, false),
})

const ttl = map(duration, (milliseconds, at): number | undefined => {
  if (milliseconds > 0 && milliseconds <= HOUR) return milliseconds
  const help = 'write how long an answer may be used again: `5s`; without `cache` every request is asked about'
  at.report('SP106', 'answers can be kept for more than nothing and at most an hour', { help })
  return undefined
})

const cache = record({ ttl: required(ttl), maxEntries: optional(integer(1, MOST_ENTRIES), DEFAULT_ENTRIES) })

const provider = map(
  record({
    name: required(string),
    mode: optional(oneOf('enforce', 'shadow'), 'enforce'),
    sees: optional(view, null),
    cache: optional(cache, null),
  }),
  (value, at): DelegateProvider | undefined => {
    const written = at.value as { readonly [key: string]: unknown }
    if (value.name === '') {
      at.report('SP105', '`name` is required', { help: 'write a name from `extensionProviders`' })
      return undefined
    }
    if (written.cache != null && written.sees == null) {
      const help =
        'write `sees: { claims: [sub] }` or the like: an answer may be used again for all requests that look the same to the provider, so that has to be said'
      at.child('cache', null).report('SP106', '`cache` needs `sees`', { help })
      return undefined
    }
    if (value.mode === 'shadow' && value.sees?.body === true) {
      const help = 'remove `body`, or let the provider enforce'
      at.child('sees', null).child('body', null).report('SP106', SHADOW_BODY, { help })
      return undefined
    }
    // What of a part could not be read has been reported, and must not become less than was written.
    if (written.cache != null && value.cache === null) return undefined
    if (written.sees != null && value.sees === null) return undefined
    return value
  },
)

const SHADOW_BODY = 'a provider in shadow is not shown bodies: the request would have to wait for its own'

const providers = map(list(provider), (all, at): readonly DelegateProvider[] | undefined => {
  const written = at.value as readonly unknown[]
  if (written.length === 0) {
    at.report('SP106', 'a Delegation asks somebody', { help: 'write `- name: NAME` with one of `extensionProviders`' })
    return undefined
  }
  if (written.length > MOST_PROVIDERS) {
    const help = 'split it: all Delegations of a workload must let a request pass'
    at.report('SP106', `a Delegation has at most ${MOST_PROVIDERS} providers, found ${written.length}`, { help })
    return undefined
  }
  const seen = new Set<string>()
  for (const [index, { name }] of all.entries()) {
    if (seen.has(name)) {
      const help = 'keep one of them, or write another Delegation'
      at.child(index, null).report('SP106', `the provider \`${name}\` is listed twice`, { help })
    }
    seen.add(name)
  }
  // One that could not be read has been reported, and the others alone would allow more.
  return seen.size === written.length ? all : undefined
})

const someLabels = map(selector, (labels, at): Labels | undefined => {
  if (Object.keys(labels).length > 0) return labels
  const help = 'name labels under `matchLabels`, or leave `selector` out to mean the whole namespace'
  at.report('SP106', 'the selector has no labels', { help })
  return undefined
})

const someRules = map(rules, (all, at): readonly Rule[] | undefined => {
  if ((at.value as readonly unknown[]).length > 0) return all
  const help = 'leave `rules` out to ask about every request'
  at.report('SP106', 'a Delegation without rules in `rules` would never ask', { help })
  return undefined
})

const spec = map(
  record({
    selector: optional(someLabels, null),
    order: optional(oneOf('inOrder', 'atOnce'), 'inOrder'),
    rules: optional(someRules, null),
    providers: required(providers),
  }),
  (value, at) => {
    const written = at.value as { readonly [key: string]: unknown }
    const unread = (['selector', 'rules'] as const).some((field) => written[field] != null && value[field] === null)
    return unread ? undefined : value
  },
)

type Spec = NonNullable<ReturnType<typeof spec.decode>>

export const delegation = customResource(required(spec))

export function toDelegation({ spec }: RawResource<Spec>, meta: Meta, origin: Origin): Delegation {
  const { selector, order, providers } = spec
  return {
    kind: 'Delegation',
    meta,
    origin,
    attachment: selector === null ? { kind: 'namespace' } : { kind: 'selector', labels: selector },
    order,
    trigger: spec.rules === null ? null : triggerOf(spec.rules, meta, origin),
    providers,
  }
}

/** Rules stand at the same place in both kinds, so that whatever reads the policy points into the Delegation. */
function triggerOf(rules: readonly Rule[], meta: Meta, origin: Origin): AuthorizationPolicy {
  return {
    kind: 'AuthorizationPolicy',
    meta,
    origin,
    attachment: { kind: 'namespace' },
    action: 'CUSTOM',
    provider: null,
    dryRun: false,
    rules,
  }
}
