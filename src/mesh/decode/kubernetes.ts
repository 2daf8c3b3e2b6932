import type { Meta, Origin } from '../resource.ts'
import type { Service, ServicePort } from '../service.ts'
import type { Decoder } from './decoder.ts'
import { labels, list, mapping, string, wrongType } from './decoder.ts'
import type { RawResource } from './meta.ts'
import { kubernetesResource, openMeta } from './meta.ts'
import { kubernetesPort, kubernetesProtocol } from './port.ts'
import { optional, record, required } from './record.ts'
import { LEAF } from './shape.ts'

const open = { open: true }

const targetPort: Decoder<number | string> = {
  shape: LEAF,
  decode(at) {
    if (typeof at.value === 'number') return kubernetesPort.decode(at)
    return typeof at.value === 'string' ? at.value : wrongType(at, 'a port number or name')
  },
}

const serviceSpec = record(
  {
    selector: optional(labels, {}),
    ports: optional(
      list(
        record(
          {
            name: optional(string, ''),
            port: required(kubernetesPort),
            targetPort: optional(targetPort, null),
            protocol: optional(string, 'TCP'),
            appProtocol: optional(string, null),
          },
          open,
        ),
      ),
      [],
    ),
    externalName: optional(string, null),
    type: optional(string, 'ClusterIP'),
  },
  open,
)

type ServiceSpec = NonNullable<ReturnType<typeof serviceSpec.decode>>

export const service = kubernetesResource(
  optional(serviceSpec, { selector: {}, ports: [], externalName: null, type: '' }),
)

export function toService(raw: RawResource<ServiceSpec>, meta: Meta, origin: Origin): Service {
  const { selector, ports, externalName, type } = raw.spec
  return {
    kind: 'Service',
    meta,
    origin,
    selector,
    ports: ports.map(
      (port): ServicePort => ({
        name: port.name,
        port: port.port,
        // An empty name or 0 is an absent field in Kubernetes.
        targetPort: port.targetPort === null || port.targetPort === '' ? port.port : port.targetPort,
        protocol: kubernetesProtocol(port.port, port.name, port.protocol, port.appProtocol),
      }),
    ),
    externalName: type === 'ExternalName' ? externalName : null,
  }
}

const containers = optional(
  list(
    record(
      {
        ports: optional(
          list(
            record(
              {
                containerPort: required(kubernetesPort),
                name: optional(string, ''),
                protocol: optional(string, 'TCP'),
              },
              open,
            ),
          ),
          [],
        ),
      },
      open,
    ),
  ),
  [],
)

export const podSpec = record(
  {
    serviceAccountName: optional(string, ''),
    // The old name, which Kubernetes still fills in.
    serviceAccount: optional(string, ''),
    containers,
  },
  open,
)

export type PodSpec = NonNullable<ReturnType<typeof podSpec.decode>>

export const NO_POD: PodSpec = { serviceAccountName: '', serviceAccount: '', containers: [] }

const podMeta = record({ labels: optional(labels, {}), annotations: optional(labels, {}) }, open)

const controllerSpec = record(
  {
    selector: optional(record({ matchLabels: optional(labels, null) }, open), { matchLabels: null }),
    template: required(
      record({ metadata: optional(podMeta, { labels: {}, annotations: {} }), spec: optional(podSpec, NO_POD) }, open),
    ),
  },
  open,
)

export type ControllerSpec = NonNullable<ReturnType<typeof controllerSpec.decode>>

/** Deployment, StatefulSet, DaemonSet and Job. */
export const controller = kubernetesResource(required(controllerSpec))

const status = record(
  { podIP: optional(string, ''), podIPs: optional(list(record({ ip: required(string) }, open)), []) },
  open,
)

export const pod = record(
  {
    metadata: required(openMeta),
    spec: optional(podSpec, NO_POD),
    status: optional(status, { podIP: '', podIPs: [] }),
  },
  open,
)

export type RawPod = NonNullable<ReturnType<typeof pod.decode>>

/** Namespace and ServiceAccount, of which only the metadata is read. */
export const bare = record({ metadata: required(openMeta) }, open)

/** A ConfigMap; its texts stay where they are. */
export const configMap = record({ metadata: required(openMeta), data: optional(mapping(string), {}) }, open)
