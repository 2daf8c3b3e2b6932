import type { Json } from '../../source/document.ts'
import type { Gateway, GatewayServer, KubernetesGateway, KubernetesListener, ServerTls } from '../gateway.ts'
import type { GatewayTopology } from '../gateway-topology.ts'
import type { Labels, Meta, Origin } from '../resource.ts'
import { anything, boolean, labels, list, map, oneOf, string, strings } from './decoder.ts'
import type { RawResource } from './meta.ts'
import { customResource, kubernetesResource } from './meta.ts'
import { istioProtocol, kubernetesPort, port } from './port.ts'
import { optional, record, required } from './record.ts'

const tlsProtocol = optional(oneOf('TLS_AUTO', 'TLSV1_0', 'TLSV1_1', 'TLSV1_2', 'TLSV1_3'), 'TLS_AUTO')

/** Fields of `tls` of which only whether they are set is known. */
const otherTls = {
  credentialName: optional(anything, null),
  credentialNames: optional(anything, null),
  caCertCredentialName: optional(anything, null),
  caCrl: optional(anything, null),
  tlsCertificates: optional(anything, null),
  subjectAltNames: optional(anything, null),
  verifyCertificateSpki: optional(anything, null),
  verifyCertificateHash: optional(anything, null),
  cipherSuites: optional(anything, null),
}

const tls = map(
  record({
    httpsRedirect: optional(boolean, false),
    // The first value of Istio's enumeration, which stands for none.
    mode: optional(
      oneOf('PASSTHROUGH', 'SIMPLE', 'MUTUAL', 'AUTO_PASSTHROUGH', 'ISTIO_MUTUAL', 'OPTIONAL_MUTUAL'),
      'PASSTHROUGH',
    ),
    serverCertificate: optional(string, ''),
    privateKey: optional(string, ''),
    caCertificates: optional(string, ''),
    minProtocolVersion: tlsProtocol,
    maxProtocolVersion: tlsProtocol,
    ...otherTls,
  }),
  (raw): ServerTls => {
    const { httpsRedirect, mode, serverCertificate, privateKey, caCertificates } = raw
    const { minProtocolVersion, maxProtocolVersion } = raw
    const others = (Object.keys(otherTls) as (keyof typeof otherTls)[]).filter((name) => isSet(raw[name]))
    return {
      ...{ httpsRedirect, mode, serverCertificate, privateKey, caCertificates },
      ...{ minProtocolVersion, maxProtocolVersion, others },
    }
  },
)

function isSet(value: Json): boolean {
  return value !== null && value !== '' && !(Array.isArray(value) && value.length === 0)
}

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
      bind: optional(string, ''),
      tls: optional(tls, null),
    },
    { ignored: ['defaultEndpoint', 'name'] },
  ),
  ({ port: { number, name, protocol }, hosts, bind, tls }): GatewayServer => ({
    port: number,
    name,
    protocol: istioProtocol(protocol),
    hosts,
    bind,
    tls,
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
  record(
    {
      name: optional(string, ''),
      port: required(kubernetesPort),
      protocol: optional(string, ''),
      hostname: optional(string, ''),
    },
    open,
  ),
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
