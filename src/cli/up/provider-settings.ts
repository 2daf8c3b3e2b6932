import type { HealthOptions } from '../../extauthz/client/health.ts'
import type { ClientOptions } from '../../extauthz/client/options.ts'
import type { OutlierOptions } from '../../extauthz/client/outlier.ts'
import type { OutlierDetection } from '../../mesh/destination-rule.ts'
import { destinationSettings } from '../../mesh/destination-settings.ts'
import type { Mesh } from '../../mesh/mesh.ts'
import type { Provider } from '../../mesh/provider.ts'
import type { Workload } from '../../mesh/workload.ts'

/** What a DestinationRule says of a provider's connections, as its client takes it. Plain data. */
export type ProviderSettings = Pick<ClientOptions, 'maxChecks' | 'maxPending' | 'maxConnections' | 'outlier'> & {
  readonly health?: HealthOptions
}

/** Empty where no rule says anything: the client's own defaults hold. */
export function providerSettings(
  mesh: Mesh,
  workload: Workload,
  { service, port }: Provider,
  health: HealthOptions | null,
): ProviderSettings {
  const { connectionPool, outlierDetection } = destinationSettings(mesh, workload, service, port)
  return {
    ...limit('maxChecks', connectionPool?.http2MaxRequests),
    ...limit('maxPending', connectionPool?.http1MaxPendingRequests),
    ...limit('maxConnections', connectionPool?.maxConnections),
    ...(outlierDetection === null ? {} : { outlier: outlierOptions(outlierDetection) }),
    ...(health === null ? {} : { health }),
  }
}

/** 0 is as if nothing were written, in Istio. */
function limit<K extends string>(name: K, value: number | null = null): Partial<Record<K, number>> {
  return value === null || value === 0 ? {} : ({ [name]: value } as Record<K, number>)
}

/** Envoy's defaults, which Istio leaves, for a rule that turns the detection on. */
const BASE_EJECTION_TIME = 30_000
const MAX_EJECTION_TIME = 300_000
const MAX_EJECTION_PERCENT = 10
const CONSECUTIVE_ERRORS = 5

/** Null: the rule turns it off. */
function outlierOptions(rule: OutlierDetection): OutlierOptions | null {
  const { consecutive5xxErrors, consecutiveGatewayErrors, baseEjectionTime, maxEjectionPercent } = rule
  const counts = [consecutive5xxErrors, consecutiveGatewayErrors].filter((count) => count !== null && count > 0)
  const off = consecutive5xxErrors === 0 && counts.length === 0
  if (off) return null
  const base = baseEjectionTime ?? BASE_EJECTION_TIME
  return {
    consecutiveFailures: counts.length === 0 ? CONSECUTIVE_ERRORS : Math.min(...(counts as number[])),
    baseEjectionTime: base,
    maxEjectionTime: Math.max(base, MAX_EJECTION_TIME),
    maxEjectionPercent: maxEjectionPercent ?? MAX_EJECTION_PERCENT,
  }
}
