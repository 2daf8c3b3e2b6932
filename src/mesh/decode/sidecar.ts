import type { Meta, Origin } from '../resource.ts'
import type { EgressListener, IngressListener, ListenerPort, Sidecar, SocketEndpoint } from '../sidecar.ts'
import { anything, labels, list, map, oneOf, string, strings } from './decoder.ts'
import type { RawResource } from './meta.ts'
import { customResource } from './meta.ts'
import { istioProtocol, port } from './port.ts'
import { optional, record, required } from './record.ts'

const listenerPort = map(
  record(
    { number: required(port), protocol: optional(string, ''), name: optional(string, '') },
    { ignored: ['targetPort'] },
  ),
  (value): ListenerPort => ({ number: value.number, name: value.name, protocol: istioProtocol(value.protocol) }),
)

const captureMode = optional(oneOf('DEFAULT', 'IPTABLES', 'NONE'), 'DEFAULT')

const LOOPBACK_OR_INSTANCE = /^(127\.0\.0\.1|0\.0\.0\.0|\[::1\]|\[::\]):([0-9]{1,5})$/

const defaultEndpoint = map(string, (text, at): SocketEndpoint | undefined => {
  if (text.startsWith('unix://')) return { kind: 'unix', path: text.slice('unix://'.length) }
  const parts = LOOPBACK_OR_INSTANCE.exec(text)
  const number = Number(parts?.[2])
  if (parts !== null && number >= 1 && number <= 65535) {
    return { kind: 'tcp', host: (parts[1] as string).replace(/^\[(.*)\]$/, '$1'), port: number }
  }
  const help = 'it is 127.0.0.1:PORT, [::1]:PORT, 0.0.0.0:PORT, [::]:PORT or unix:///PATH'
  at.report('SP106', `\`${text}\` is not a place where an application can listen`, { help })
  return undefined
})

const ingress = map(
  record(
    {
      port: required(listenerPort),
      bind: optional(string, ''),
      captureMode,
      defaultEndpoint: optional(defaultEndpoint, null),
      tls: optional(anything, null),
    },
    { ignored: ['connectionPool'] },
  ),
  (value): IngressListener => ({
    port: value.port,
    bind: value.bind,
    // Without one, traffic goes where it was sent to: the same port of the instance.
    defaultEndpoint: value.defaultEndpoint ?? { kind: 'tcp', host: '127.0.0.1', port: value.port.number },
  }),
)

const egress = map(
  record({
    port: optional(listenerPort, null),
    bind: optional(string, ''),
    captureMode,
    hosts: required(strings),
  }),
  (value): EgressListener => ({
    port: value.port,
    bind: value.bind === '' ? '127.0.0.1' : value.bind,
    hosts: value.hosts,
  }),
)

const spec = record(
  {
    workloadSelector: optional(
      map(record({ labels: optional(labels, {}) }), (value) => value.labels),
      null,
    ),
    ingress: optional(list(ingress), []),
    egress: optional(list(egress), []),
  },
  { ignored: ['outboundTrafficPolicy', 'inboundConnectionPool'] },
)

type Spec = NonNullable<ReturnType<typeof spec.decode>>

const EMPTY: Spec = { workloadSelector: null, ingress: [], egress: [] }

export const sidecar = customResource(optional(spec, EMPTY))

export function toSidecar(raw: RawResource<Spec>, meta: Meta, origin: Origin): Sidecar {
  const { workloadSelector, ingress, egress } = raw.spec
  return { kind: 'Sidecar', meta, origin, selector: workloadSelector, ingress, egress }
}
