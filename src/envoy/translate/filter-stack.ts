import { jwtRulesFor } from '../../mesh/attach.ts'
import type { Mesh } from '../../mesh/mesh.ts'
import type { Provider } from '../../mesh/provider.ts'
import type { TargetService } from '../../mesh/service.ts'
import type { Workload } from '../../mesh/workload.ts'
import { type AuthorizationFilter, authorizationOf, trustDomainsOf } from './authorization.ts'
import type { Cluster } from './cluster.ts'
import { httpExtAuthz, networkExtAuthz } from './ext-authz.ts'
import type { HttpFilter } from './http-filter.ts'
import { type JwksOptions, jwksPlace } from './jwks-place.ts'
import { jwtAuthentication } from './jwt-authn.ts'
import type { NetworkFilter } from './network-filter.ts'
import type { PortView } from './permission.ts'
import { type ProviderCluster, providerCluster, providerTarget } from './provider-target.ts'
import { httpRbac, type RbacForm, type RbacReport, rbacLists, rulesOf } from './rbac-filter.ts'
import type { Peers } from './tree/peer-keys.ts'

export interface FilterOptions {
  readonly rbac: RbacForm
  readonly jwks: JwksOptions
  /** Before the names of clusters and secrets. */
  readonly prefix: string
  /** At a waypoint, what the request is for. */
  readonly service: TargetService | null
  readonly portView: PortView
  /** Whether connections of this filter chain are TLS; on one that is not the tree must not look at certificates. */
  readonly secured: boolean
}

/** Filters in Istio's order, and what else they need. */
export interface FilterStack<Filter> {
  readonly filters: readonly Filter[]
  readonly clusters: readonly Cluster[]
  readonly reports: readonly RbacReport[]
  /** Whether a cluster shows the workload's certificate. */
  readonly secrets: boolean
}

/** Collects what filters need, as they are made. */
class Needs {
  readonly clusters: Cluster[] = []
  readonly reports: RbacReport[] = []
  #secrets = false

  provider({ cluster, secured }: ProviderCluster): void {
    this.clusters.push(cluster)
    this.#secrets ||= secured
  }

  stackOf<Filter>(filters: readonly Filter[]): FilterStack<Filter> {
    return { filters, clusters: this.clusters, reports: this.reports, secrets: this.#secrets }
  }
}

/** What authenticates and authorizes a workload's requests: CUSTOM, tokens, AUDIT, DENY, ALLOW. */
export function httpFilterStack(mesh: Mesh, workload: Workload, options: FilterOptions): FilterStack<HttpFilter> {
  const { custom, local } = authorizationOf(mesh, workload, 'http', options.service)
  const peers: Peers = options.secured ? { kind: 'tls', trustDomains: trustDomainsOf(mesh) } : { kind: 'plaintext' }
  const needs = new Needs()
  const filterOf = (stage: AuthorizationFilter): HttpFilter => {
    switch (stage.kind) {
      case 'rbac':
        return httpRbac(stage, { form: options.rbac, peers, portView: options.portView }, (report) =>
          needs.reports.push(report),
        )
      case 'check':
        needs.provider(providerCluster(mesh, workload, stage.provider, options.prefix))
        return {
          name: 'envoy.filters.http.ext_authz',
          typed_config: httpExtAuthz(stage.provider, targetOf(mesh, stage.provider, options)),
        }
      default:
        return stage satisfies never
    }
  }
  const before = custom.map(filterOf)
  const rules = jwtRulesFor(mesh, workload, options.service)
  const placeOf = (rule: (typeof rules)[number]) => {
    const { place, cluster } = jwksPlace(mesh, rule, options.jwks, options.prefix)
    if (cluster !== null) needs.clusters.push(cluster)
    return place
  }
  const jwt = jwtAuthentication(rules, placeOf, workload.role.kind !== 'sidecar')
  const verify = jwt === null ? [] : [{ name: 'envoy.filters.http.jwt_authn', typed_config: jwt }]
  return needs.stackOf([...before, ...verify, ...local.map(filterOf)])
}

/** What authorizes a workload's connections. */
export function networkFilterStack(mesh: Mesh, workload: Workload, options: FilterOptions): FilterStack<NetworkFilter> {
  const { custom, local } = authorizationOf(mesh, workload, 'tcp', options.service)
  const needs = new Needs()
  const filterOf = (stage: AuthorizationFilter): NetworkFilter => {
    switch (stage.kind) {
      case 'rbac': {
        const rules = rulesOf(stage).length
        const { secured } = options
        needs.reports.push({ purpose: stage.purpose, protocol: 'tcp', secured, rules, longest: rules, dimensions: [] })
        return {
          name: 'envoy.filters.network.rbac',
          typed_config: {
            '@type': 'type.googleapis.com/envoy.extensions.filters.network.rbac.v3.RBAC',
            ...rbacLists(stage, options.portView),
            stat_prefix: 'tcp.',
          },
        }
      }
      case 'check':
        needs.provider(providerCluster(mesh, workload, stage.provider, options.prefix))
        return {
          name: 'envoy.filters.network.ext_authz',
          typed_config: networkExtAuthz(stage.provider, targetOf(mesh, stage.provider, options)),
        }
      default:
        return stage satisfies never
    }
  }
  return needs.stackOf([...custom, ...local].map(filterOf))
}

function targetOf(mesh: Mesh, provider: Provider, { prefix }: FilterOptions) {
  return providerTarget(mesh, provider, prefix)
}
