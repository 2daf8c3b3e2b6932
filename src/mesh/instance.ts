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
  /** Ports that the instance has under other numbers than its Service says, by port name. */
  readonly ports: ReadonlyMap<string, number>
}
