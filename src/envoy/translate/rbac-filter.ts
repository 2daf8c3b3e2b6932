import type { Ruleset } from '../../policy/ir.ts'
import type { RbacStage } from './authorization.ts'
import type { ExecuteFilter, HttpRbac, RbacLists, RbacTree } from './http-filter.ts'
import type { Extension } from './matchers.ts'
import type { PortView } from './permission.ts'
import { rbacRules } from './rbac-rules.ts'
import { buildTree } from './tree/build.ts'
import { dimensionsOf } from './tree/dimension.ts'
import { type Peers, reachable } from './tree/peer-keys.ts'
import type { OnMatch } from './tree/xds-matcher.ts'

/** How RBAC filters are written. */
export type RbacForm =
  /** As Istio's compiler writes them: a list that Envoy walks. */
  | { readonly kind: 'rules' }
  /** A decision tree where there are `fewest` rules at least; the same lists, cut into leaves. */
  | {
      readonly kind: 'matcher'
      readonly fewest: number
      /** Also where a tree gains nothing. */
      readonly eager?: true
    }

/** What an RBAC filter came to, for whoever wants to know what it costs. */
export interface RbacReport {
  readonly purpose: RbacStage['purpose']
  readonly protocol: 'http' | 'tcp'
  /** In a filter chain for TLS. */
  readonly secured: boolean
  /** Enforced and shadow rules. */
  readonly rules: number
  /** The most rules that Envoy walks for a usual request. */
  readonly longest: number
  /** What the tree looks at; empty for a list. */
  readonly dimensions: readonly string[]
}

export const RBAC_FILTER = 'envoy.filters.http.rbac'

export function httpRbac(
  stage: RbacStage,
  { form, peers, portView }: { readonly form: RbacForm; readonly peers: Peers; readonly portView: PortView },
  report: (one: RbacReport) => void,
): Extension<HttpRbac | RbacTree> {
  const all = rulesOf(stage)
  const tell = (longest: number, dimensions: readonly string[]) =>
    report({
      ...{ purpose: stage.purpose, protocol: 'http', secured: peers.kind === 'tls' },
      ...{ rules: all.length, longest, dimensions },
    })
  if (form.kind === 'rules' || all.length < form.fewest) {
    tell(all.length, [])
    return { name: RBAC_FILTER, typed_config: listFilter(stage, portView) }
  }
  const some = reachable(all, peers)
  const part = partOf(stage)
  const tree = buildTree(some, {
    dimensions: dimensionsOf(some, peers, portView),
    leaf: (rules) => executeFilter(listFilter(part(rules), portView)),
    fewest: form.fewest,
    eager: form.eager ?? false,
  })
  tell(tree?.longest ?? some.length, tree?.dimensions ?? (some.length < all.length ? ['peer'] : []))
  if (tree === null) return { name: RBAC_FILTER, typed_config: listFilter(part(some), portView) }
  const { root } = tree
  if (!('matcher' in root)) throw new Error('a tree with dimensions has a matcher')
  return {
    name: RBAC_FILTER,
    typed_config: {
      '@type': 'type.googleapis.com/envoy.extensions.common.matching.v3.ExtensionWithMatcher',
      extension_config: {
        name: 'composite',
        typed_config: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.composite.v3.Composite' },
      },
      xds_matcher: root.matcher,
    },
  }
}

/** The parts that RBAC filters for HTTP and TCP share. */
export function rbacLists({ action, rules, shadow, shadowPrefix }: Lists, portView: PortView): RbacLists {
  return {
    ...(rules === null ? {} : { rules: rbacRules(action, rules, portView) }),
    ...(shadow === null ? {} : { shadow_rules: rbacRules(action, shadow, portView) }),
    ...(shadowPrefix === '' ? {} : { shadow_rules_stat_prefix: shadowPrefix }),
  }
}

type Lists = Pick<RbacStage, 'action' | 'rules' | 'shadow' | 'shadowPrefix'>

/** The rules that a filter enforces, then those that it only looks at. */
export function rulesOf({ rules, shadow }: RbacStage): Ruleset {
  return [...(rules ?? []), ...(shadow ?? [])]
}

function listFilter(lists: Lists, portView: PortView): HttpRbac {
  return {
    '@type': 'type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC',
    ...rbacLists(lists, portView),
  }
}

/** Cuts a filter's lists. A part without rules is not the same as no part: it still denies, or says that nothing matched. */
function partOf(stage: RbacStage): (rules: Ruleset) => Lists {
  const enforced = new Set(stage.rules)
  return (rules) => ({
    ...stage,
    rules: stage.rules === null ? null : rules.filter((rule) => enforced.has(rule)),
    shadow: stage.shadow === null ? null : rules.filter((rule) => !enforced.has(rule)),
  })
}

function executeFilter(filter: HttpRbac): OnMatch<ExecuteFilter> {
  return {
    action: {
      name: 'rules',
      typed_config: {
        '@type': 'type.googleapis.com/envoy.extensions.filters.http.composite.v3.ExecuteFilterAction',
        typed_config: { name: RBAC_FILTER, typed_config: filter },
      },
    },
  }
}
