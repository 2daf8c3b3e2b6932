import type { Cluster } from './cluster.ts'
import { type Address, type Listener, socketAddress } from './listener.ts'
import type { Secret } from './tls.ts'

/** `envoy.config.bootstrap.v3.Bootstrap`, as far as the translation writes it. */
export interface Bootstrap {
  readonly node: { readonly id: string; readonly cluster: string }
  readonly admin?: { readonly address: Address }
  readonly layered_runtime: {
    readonly layers: readonly [
      { readonly name: 'global config'; readonly static_layer: Readonly<Record<string, string | boolean>> },
    ]
  }
  readonly stats_config: {
    readonly use_all_default_tags: false
    readonly stats_tags: readonly { readonly tag_name: string; readonly regex: string }[]
  }
  readonly static_resources: Resources
}

/** What a workload needs of an Envoy; several workloads' can be joined where their names differ. */
export interface Resources {
  readonly listeners: readonly Listener[]
  readonly clusters: readonly Cluster[]
  readonly secrets: readonly Secret[]
}

export interface BootstrapOptions {
  /** How Envoy names itself. */
  readonly id: string
  readonly cluster: string
  /** Null: no administration interface. */
  readonly admin: { readonly host: string; readonly port: number } | null
}

/** A whole configuration, which Envoy runs as it is. Clusters and secrets of one name are taken once. */
export function bootstrap(parts: readonly Resources[], { id, cluster, admin }: BootstrapOptions): Bootstrap {
  return {
    node: { id, cluster },
    ...(admin === null ? {} : { admin: { address: socketAddress(admin.host, admin.port) } }),
    layered_runtime: { layers: [{ name: 'global config', static_layer: runtimeFlags }] },
    stats_config: { use_all_default_tags: false, stats_tags: statsTags },
    static_resources: {
      listeners: parts.flatMap((part) => part.listeners),
      clusters: byName(parts.flatMap((part) => part.clusters)),
      secrets: byName(parts.flatMap((part) => part.secrets)),
    },
  }
}

function byName<T extends { readonly name: string }>(all: readonly T[]): readonly T[] {
  return [...new Map(all.map((one) => [one.name, one])).values()]
}

/** Istio's: regular expressions may be long, and a fragment is cut off a path instead of refusing it. */
const runtimeFlags = {
  're2.max_program_size.error_level': '32768',
  'envoy.reloadable_features.http_reject_path_with_fragment': false,
} as const

/** Istio's tags of the authorization filters' counters, and of the prefixes that they stand under. */
const statsTags = [
  { tag_name: 'cluster_name', regex: '^cluster(\\.(.+);)' },
  {
    tag_name: 'http_conn_manager_prefix',
    regex: '^http\\.(((?:[_.[:digit:]\\w]*|[_\\[\\]aAbBcCdDeEfF[:digit:]\\w\\:]*));\\.)',
  },
  { tag_name: 'tcp_prefix', regex: '^tcp\\.((.*?)\\.)\\w+?$' },
  { tag_name: 'response_code', regex: '_rq(_(\\d{3}))$' },
  { tag_name: 'response_code_class', regex: '_rq(_(\\dxx))$' },
  { tag_name: 'authz_enforce_result', regex: 'rbac(\\.(allowed|denied))' },
  { tag_name: 'authz_dry_run_action', regex: '(\\.istio_dry_run_(allow|deny)_)' },
  { tag_name: 'authz_dry_run_result', regex: '(\\.shadow_(allowed|denied))' },
]
