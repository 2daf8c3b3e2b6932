import type { Meta, Origin } from '../resource.ts'
import type { Endpoint, ServiceEntry, ServiceEntryPort } from '../service.ts'
import { labels, list, map, mapping, oneOf, string, strings, uint32 } from './decoder.ts'
import type { RawResource } from './meta.ts'
import { customResource } from './meta.ts'
import { istioProtocol, port } from './port.ts'
import { optional, record, required } from './record.ts'

const servicePort = map(
  record({
    number: required(port),
    protocol: optional(string, ''),
    name: optional(string, ''),
    targetPort: optional(port, null),
  }),
  (value): ServiceEntryPort => ({
    name: value.name,
    number: value.number,
    targetPort: value.targetPort,
    protocol: istioProtocol(value.protocol),
  }),
)

/** A WorkloadEntry's spec, which is also what ServiceEntry endpoints and WorkloadGroup templates are. */
export const endpoint = map(
  record(
    {
      address: optional(string, ''),
      ports: optional(mapping(port), {}),
      labels: optional(labels, {}),
      weight: optional(uint32, 0),
      serviceAccount: optional(string, ''),
    },
    { ignored: ['network', 'locality'] },
  ),
  (value): Endpoint => ({ ...value, ports: new Map(Object.entries(value.ports)) }),
)

const spec = record(
  {
    hosts: required(strings),
    addresses: optional(strings, []),
    ports: optional(list(servicePort), []),
    location: optional(oneOf('MESH_EXTERNAL', 'MESH_INTERNAL'), 'MESH_EXTERNAL'),
    resolution: optional(oneOf('NONE', 'STATIC', 'DNS', 'DNS_ROUND_ROBIN', 'DYNAMIC_DNS'), 'NONE'),
    endpoints: optional(list(endpoint), []),
    workloadSelector: optional(
      map(record({ labels: optional(labels, {}) }), (value) => value.labels),
      null,
    ),
    subjectAltNames: optional(strings, []),
  },
  { ignored: ['exportTo'] },
)

type Spec = NonNullable<ReturnType<typeof spec.decode>>

export const serviceEntry = customResource(required(spec))

export function toServiceEntry(raw: RawResource<Spec>, meta: Meta, origin: Origin): ServiceEntry {
  return { kind: 'ServiceEntry', meta, origin, ...raw.spec }
}
