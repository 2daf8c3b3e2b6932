import type { Labels } from './resource.ts'

/** One address of a workload: a WorkloadEntry or a Pod with an IP. What Services and ServiceEntries select. */
export interface Instance {
  readonly namespace: string
  /** `namespace/name` of the workload that it belongs to. */
  readonly workload: string
  /** An IP address, a DNS name, or `unix:///path`. */
  readonly address: string
  readonly labels: Labels
  readonly serviceAccount: string
  /** A WorkloadEntry's own port numbers, by the name of the Service's port. */
  readonly ports: ReadonlyMap<string, number>
  /** Port numbers by the names that containers give them. */
  readonly containerPorts: ReadonlyMap<string, number>
}
