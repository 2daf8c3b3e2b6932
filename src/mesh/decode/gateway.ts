import type { Gateway, GatewayServer, KubernetesGateway, KubernetesListener } from '../gateway.ts'
import type { GatewayTopology } from '../gateway-topology.ts'
import type { Labels, Meta, Origin } from '../resource.ts'
import { labels, list, map, string, strings } from './decoder.ts'
import type { RawResource } from './meta.ts'
import { customResource, kubernetesResource } from './meta.ts'
import { istioProtocol, kubernetesPort, port } from './port.ts'
import { optional, record, required } from './record.ts'

const server = map(
  record(
    {
      port: required(
        record(
          { number: required(port), protocol: optional(string, ''), name: optional(string, '') },
          { ignored: ['targetPort'] },
        ),
      ),
      hosts: optional(strings, []),
    },
    { ignored: ['bind', 'tls', 'defaultEndpoint', 'name'] },
  ),
  ({ port: { number, name, protocol }, hosts }): GatewayServer => ({
    port: number,
    name,
    protocol: istioProtocol(protocol),
    hosts,
  }),
)

const spec = record({ selector: optional(labels, {}), servers: optional(list(server), []) })

type Spec = NonNullable<ReturnType<typeof spec.decode>>

/** Istio's own Gateway. */
export const gateway = customResource(required(spec))

export function toGateway(raw: RawResource<Spec>, meta: Meta, origin: Origin): Gateway {
  return { kind: 'Gateway', meta, origin, ...raw.spec }
}

const open = { open: true }

const listener = map(
  record({ name: optional(string, ''), port: required(kubernetesPort), protocol: optional(string, '') }, open),
  (value): KubernetesListener => ({ ...value, protocol: istioProtocol(value.protocol) }),
)

const infrastructure = record({ labels: optional(labels, {}), annotations: optional(labels, {}) }, open)

const kubernetesSpec = record(
  {
    gatewayClassName: required(string),
    listeners: optional(list(listener), []),
    infrastructure: optional(infrastructure, null),
  },
  open,
)

type KubernetesSpec = NonNullable<ReturnType<typeof kubernetesSpec.decode>>

/** Gateway API's Gateway. */
export const kubernetesGateway = kubernetesResource(required(kubernetesSpec))

export function toKubernetesGateway(
  raw: RawResource<KubernetesSpec>,
  meta: Meta,
  origin: Origin,
  topology: GatewayTopology | null,
): KubernetesGateway {
  const { gatewayClassName, listeners, infrastructure } = raw.spec
  return {
    kind: 'KubernetesGateway',
    meta,
    origin,
    className: gatewayClassName,
    listeners,
    labels: withoutReserved(infrastructure?.labels ?? meta.labels),
    annotations: withoutReserved(infrastructure?.annotations ?? meta.annotations),
    topology,
  }
}

/** Istio copies no label of Gateway API's own to the Pods. */
function withoutReserved(from: Labels): Labels {
  return Object.fromEntries(Object.entries(from).filter(([name]) => !name.startsWith('gateway.networking.k8s.io/')))
}
