import type { GatewayTopology } from './gateway-topology.ts'
import type { Provider } from './provider.ts'
import type { Origin } from './resource.ts'

/** `meshConfig.pathNormalization.normalization`; DEFAULT is BASE. */
export type PathNormalization = 'NONE' | 'BASE' | 'MERGE_SLASHES' | 'DECODE_AND_MERGE_SLASHES'

/** What the product uses of Istio's MeshConfig. */
export interface MeshConfig {
  /** Default `cluster.local`. */
  readonly trustDomain: string
  readonly trustDomainAliases: readonly string[]
  /** `caCertificates[].trustDomains`: their peers are accepted, and no policy means them by another name. */
  readonly certificateTrustDomains: readonly string[]
  /** Default `istio-system`. */
  readonly rootNamespace: string
  readonly pathNormalization: PathNormalization
  /** Whether calls use mutual TLS where the other side takes it and no DestinationRule says otherwise; default true. */
  readonly autoMtls: boolean
  /** In the file's order; names are unique. */
  readonly providers: readonly Provider[]
  /** Names of extensionProviders of other kinds (tracers, loggers): known, but not usable by CUSTOM. */
  readonly otherProviders: readonly string[]
  /** `defaultConfig.gatewayTopology`; a workload's own annotation replaces it: `gatewayTopologyFor`. */
  readonly gatewayTopology: GatewayTopology
  /** Null when no mesh configuration was read and the defaults apply. */
  readonly origin: Origin | null
}

/**
 * The trust domains whose peers TLS lets in (istio/istio, networking/plugin/authn: TrustDomainsForValidation); the aliases
 * sorted, as istio/istio's pkg/config/mesh leaves them.
 */
export function acceptedTrustDomains({
  trustDomain,
  trustDomainAliases,
  certificateTrustDomains,
}: MeshConfig): readonly string[] {
  return [...new Set([trustDomain, ...[...trustDomainAliases].sort(), ...certificateTrustDomains])].filter(
    (name) => name !== '',
  )
}
