import type { Placement as EnvoyPlacement } from '../../envoy/index.ts'
import type { Mesh } from '../../mesh/mesh.ts'
import type { PortProtocol, Workload, WorkloadPort } from '../../mesh/workload.ts'
import type { LocalWorkload } from '../../proxy/configure.ts'
import { UsageError } from '../command.ts'
import { type Placement, place } from '../up/select.ts'

/** Istio's port of the inbound listener. */
const INBOUND_PORT = 15006

const protocols: readonly PortProtocol[] = ['http', 'http2', 'grpc', 'tcp', 'auto']

export interface EnvoyPlan {
  /** With the ports that the command line adds, or without those that it leaves out. */
  readonly workload: Workload
  readonly place: EnvoyPlacement
  /** The listeners, for what can be said about their sockets; null where iptables redirects. */
  readonly local: LocalWorkload | null
}

/** Listeners of a Sidecar and of the command line, else Istio's single one. */
export function placementOf(mesh: Mesh, found: Workload, placement: Placement, ports: readonly string[]): EnvoyPlan {
  const wanted = ports.map((text) => readWorkloadPort(text, found))
  const workload = wanted.length === 0 ? found : { ...found, ports: wanted }
  const listen = new Map(placement.listen)
  // An application and ports are enough: the sockets are those ports.
  if (placement.app !== undefined && listen.size === 0) {
    for (const { number } of workload.ports) listen.set(number, { host: '', port: number })
  }
  const local = place(mesh, workload, { ...placement, listen })
  const inbound = local.inbound.filter(
    ({ port }) => wanted.length === 0 || wanted.some(({ number }) => number === port),
  )
  if (inbound.length === 0) {
    if (placement.app !== undefined) {
      throw new UsageError('--app needs a port that Envoy listens on', 'add --listen [PORT=]HOST:PORT, or --port N')
    }
    return {
      ...{ workload, local: null },
      place: { kind: 'redirected', listen: { host: '0.0.0.0', port: INBOUND_PORT } },
    }
  }
  const written = new Map(wanted.map(({ number, protocol }) => [number, protocol]))
  return {
    workload,
    local: { ...local, inbound },
    place: {
      kind: 'ports',
      ports: inbound.map(({ port, protocol, listen, application }) => ({
        ...{ port, listen, application, protocol: written.get(port) ?? protocol },
      })),
    },
  }
}

/** `N` or `N/PROTOCOL`; the protocol is the files' where they know the port. */
function readWorkloadPort(text: string, workload: Workload): WorkloadPort {
  const [number = '', protocol] = text.split('/', 2)
  if (!/^[0-9]{1,5}$/.test(number) || Number(number) < 1 || Number(number) > 65535) {
    throw new UsageError(`--port: \`${text}\` is no port`, 'for example: --port 8080, or --port 5432/tcp')
  }
  const known = workload.ports.find((port) => port.number === Number(number))
  if (protocol === undefined) return known ?? { number: Number(number), name: '', protocol: 'http' }
  const named = protocols.find((one) => one === protocol)
  if (named === undefined) {
    throw new UsageError(`--port: \`${protocol}\` is no protocol`, `there are: ${protocols.join(', ')}`)
  }
  return { number: Number(number), name: '', protocol: named }
}
