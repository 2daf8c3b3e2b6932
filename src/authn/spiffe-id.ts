/** A workload's identity as Istio writes it. */
export interface WorkloadId {
  readonly trustDomain: string
  readonly namespace: string
  readonly serviceAccount: string
}

const segment = '[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?'
const syntax = new RegExp(`^spiffe://(${segment})/ns/(${segment})/sa/(${segment})$`)

/** Exactly `spiffe://TRUST-DOMAIN/ns/NAMESPACE/sa/SERVICE-ACCOUNT`, else null: no port, escape, query or other path. */
export function parseWorkloadId(uri: string): WorkloadId | null {
  const match = syntax.exec(uri)
  if (match === null) return null
  const [, trustDomain = '', namespace = '', serviceAccount = ''] = match
  return { trustDomain, namespace, serviceAccount }
}

export function printWorkloadId({ trustDomain, namespace, serviceAccount }: WorkloadId): string {
  return `spiffe://${trustDomain}/ns/${namespace}/sa/${serviceAccount}`
}
