import type { HttpExtAuthz } from './ext-authz.ts'
import type { JwtAuthentication } from './jwt-authn.ts'
import type { Extension } from './matchers.ts'
import type { RbacRules } from './rbac.ts'
import type { XdsMatcher } from './tree/xds-matcher.ts'

/** The HTTP filters that the translation writes. */
export type HttpFilter = Extension<HttpRbac | RbacTree | HttpExtAuthz | JwtAuthentication | Router>

/** `envoy.extensions.filters.http.rbac.v3.RBAC` with lists of rules. */
export interface HttpRbac extends RbacLists {
  readonly '@type': 'type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC'
}

export interface RbacLists {
  readonly rules?: RbacRules
  readonly shadow_rules?: RbacRules
  readonly shadow_rules_stat_prefix?: string
}

/** A tree that picks, for each request, one of many RBAC filters with few rules each. */
export interface RbacTree {
  readonly '@type': 'type.googleapis.com/envoy.extensions.common.matching.v3.ExtensionWithMatcher'
  readonly extension_config: Extension<Composite>
  readonly xds_matcher: XdsMatcher<ExecuteFilter>
}

interface Composite {
  readonly '@type': 'type.googleapis.com/envoy.extensions.filters.http.composite.v3.Composite'
}

/** What a leaf of such a tree does. */
export interface ExecuteFilter {
  readonly '@type': 'type.googleapis.com/envoy.extensions.filters.http.composite.v3.ExecuteFilterAction'
  readonly typed_config: Extension<HttpRbac>
}

interface Router {
  readonly '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router'
}
