import { sidecarFor } from '../../mesh/attach.ts'
import type { Mesh } from '../../mesh/mesh.ts'
import type { Origin } from '../../mesh/resource.ts'
import type { Sidecar, SocketEndpoint } from '../../mesh/sidecar.ts'
import { undescribedWorkload, type Workload } from '../../mesh/workload.ts'
import type { ListenAddress } from '../../proxy/config.ts'
import type { LocalEgress, LocalIngress, LocalWorkload } from '../../proxy/configure.ts'
import { type Diagnostic, diagnostic } from '../../source/diagnostic.ts'
import type { Path } from '../../source/document.ts'
import { type Args, UsageError } from '../command.ts'
import { findWorkload } from '../load.ts'
import { isGateway, placeGateway } from './gateways.ts'

/** What the command line says about where proxies listen. */
export interface Placement {
  /** `NAMESPACE/NAME`, or undefined for every workload that a Sidecar selects. */
  readonly workload: string | undefined
  readonly namespace: string | undefined
  readonly labels: Readonly<Record<string, string>>
  readonly serviceAccount: string | undefined
  /** By the port that policies see. */
  readonly listen: ReadonlyMap<number, ListenAddress>
  readonly app: SocketEndpoint | undefined
}

export function readPlacement(args: Args): Placement {
  const app = args.value('app')
  const placement: Placement = {
    workload: args.value('workload'),
    namespace: args.value('namespace'),
    labels: Object.fromEntries(args.values('label').map(readLabel)),
    serviceAccount: args.value('service-account'),
    listen: new Map(args.values('listen').map(readListen)),
    app: app === undefined ? undefined : readEndpoint(app),
  }
  if (placement.workload === undefined) {
    const stray = ['listen', 'app', 'label', 'service-account'].find((name) => args.flag(name))
    if (stray !== undefined) throw new UsageError(`--${stray} needs --workload NAMESPACE/NAME: whose is it?`)
  }
  return placement
}

export interface Selection {
  readonly local: readonly LocalWorkload[]
  /** What of gateways is not served. */
  readonly problems: readonly Diagnostic[]
}

/**
 * The workloads whose proxies run here. Throws UsageError when a named one has no place to listen. `cwd` is where paths of
 * certificates begin.
 */
export function selectWorkloads(mesh: Mesh, placement: Placement, cwd: string): Selection {
  if (placement.workload !== undefined) return named(mesh, placement, cwd)
  const workloads = [...mesh.workloads.values()]
  const local = workloads
    .filter((workload) => !isGateway(workload))
    .map((workload) => place(mesh, workload, placement))
    .filter((one) => one.inbound.length > 0 || one.outbound.length > 0)
  return { local, problems: workloads.filter(isGateway).map(notRun) }
}

/** Which application a gateway's hosts are for stands in no file that is read. */
function notRun({ namespace, name, origin }: Workload): Diagnostic {
  const message = `the gateway ${namespace}/${name} is not run: nothing says where its requests go`
  const help = `run it alone: --workload ${namespace}/${name} --app HOST:PORT`
  return diagnostic('SP505', origin ?? { file: '--workload' }, message, { help })
}

function named(mesh: Mesh, placement: Placement, cwd: string): Selection {
  const workload = namedWorkload(mesh, placement)
  if (isGateway(workload)) return namedGateway(mesh, workload, placement, cwd)
  const local = place(mesh, workload, placement)
  if (local.inbound.length === 0 && local.outbound.length === 0) {
    throw new UsageError(`\`${workload.namespace}/${workload.name}\` has no place to listen`, sidecarHint(workload))
  }
  return { local: [local], problems: [] }
}

function namedGateway(mesh: Mesh, workload: Workload, { app, listen }: Placement, cwd: string): Selection {
  const title = `\`${workload.namespace}/${workload.name}\``
  if (app === undefined) {
    throw new UsageError(`nothing says where requests to the gateway ${title} go`, 'add --app HOST:PORT')
  }
  const { inbound, problems } = placeGateway(mesh, workload, { application: app, listen, cwd })
  if (inbound.length === 0 && problems.length === 0) {
    throw new UsageError(`the gateway ${title} has no server`, 'add --listen PORT=HOST:PORT, or a Gateway to the files')
  }
  return { local: inbound.length === 0 ? [] : [{ workload, inbound, outbound: [] }], problems }
}

/** The workload that the command line names, or describes by labels and an account. Throws UsageError. */
export function namedWorkload(mesh: Mesh, placement: Placement): Workload {
  const described = Object.keys(placement.labels).length > 0 || placement.serviceAccount !== undefined
  return described ? describe(mesh, placement) : findWorkload(mesh, placement.workload, placement.namespace)
}

/** A workload of the files with other labels or another account, or one that the files do not know. */
function describe(mesh: Mesh, placement: Placement): Workload {
  const text = placement.workload ?? ''
  const [namespace, name] = text.includes('/') ? text.split('/', 2) : [placement.namespace ?? 'default', text]
  if (namespace === '' || name === '' || namespace === undefined || name === undefined) {
    throw new UsageError(`--workload needs NAMESPACE/NAME, not \`${text}\``)
  }
  const known = mesh.workloads.get(`${namespace}/${name}`)
  const workload = known ?? undescribedWorkload(namespace, name, {})
  return {
    ...workload,
    kind: 'CommandLine',
    labels: { ...workload.labels, ...placement.labels },
    serviceAccount: placement.serviceAccount ?? workload.serviceAccount,
  }
}

/** Where its Sidecar and the command line say that it listens: possibly nowhere. */
export function place(mesh: Mesh, workload: Workload, placement: Placement): LocalWorkload {
  const sidecar = sidecarFor(mesh, workload)
  const inbound: LocalIngress[] = (sidecar?.ingress ?? []).map(({ port, bind, defaultEndpoint }, i) => ({
    origin: placement.listen.has(port.number) ? null : within(sidecar, ['spec', 'ingress', i, 'port']),
    port: port.number,
    protocol: port.protocol,
    listen: placement.listen.get(port.number) ?? { host: bind, port: port.number },
    application: placement.app ?? defaultEndpoint,
  }))
  if (placement.app !== undefined) {
    for (const [port, listen] of placement.listen) {
      if (inbound.some((one) => one.port === port)) continue
      const protocol = workload.ports.find((one) => one.number === port)?.protocol ?? 'http'
      inbound.push({ origin: null, port, protocol, listen, application: placement.app })
    }
  } else {
    const stray = [...placement.listen.keys()].find((port) => !inbound.some((one) => one.port === port))
    if (stray !== undefined) {
      throw new UsageError(
        `--listen names port ${stray}, and no Sidecar says where its application is`,
        'add --app HOST:PORT',
      )
    }
  }
  const outbound: LocalEgress[] = (sidecar?.egress ?? []).flatMap(({ port, bind, hosts }, i) =>
    port === null
      ? []
      : [
          {
            origin: within(sidecar, ['spec', 'egress', i, 'port']),
            port: port.number,
            protocol: port.protocol,
            listen: { host: bind, port: port.number },
            hosts,
          },
        ],
  )
  return { workload, inbound, outbound }
}

function within(sidecar: Sidecar | null, path: Path): Origin | null {
  return sidecar === null ? null : { ...sidecar.origin, path: [...sidecar.origin.path, ...path] }
}

function sidecarHint(workload: Workload): string {
  const port = workload.ports[0]?.number ?? 8080
  const labels = Object.entries(workload.labels).map(([name, value]) => `${name}: ${value}`)
  return [
    'say where on the command line, for example:',
    `  --listen ${port}=127.0.0.1:1${String(port).padStart(4, '0')} --app 127.0.0.1:3000`,
    'or add a Sidecar to the files:',
    '  apiVersion: networking.istio.io/v1',
    '  kind: Sidecar',
    `  metadata: { name: ${workload.name}, namespace: ${workload.namespace} }`,
    '  spec:',
    `    workloadSelector: { labels: { ${labels.join(', ')} } }`,
    '    ingress:',
    `    - port: { number: ${port}, protocol: HTTP, name: http }`,
    '      defaultEndpoint: 127.0.0.1:3000   # where the application listens',
  ].join('\n  ')
}

function readLabel(text: string): [string, string] {
  const equals = text.indexOf('=')
  if (equals < 1) throw new UsageError(`--label needs NAME=VALUE, not \`${text}\``)
  return [text.slice(0, equals), text.slice(equals + 1)]
}

/** `PORT=HOST:PORT`, `PORT=PORT`, `HOST:PORT` or `PORT`; without `PORT=` policies see the socket's own port. */
function readListen(text: string): [number, ListenAddress] {
  const equals = text.indexOf('=')
  const listen = readAddress(text.slice(equals + 1), '--listen')
  return [equals === -1 ? listen.port : readPort(text.slice(0, equals), '--listen'), listen]
}

function readEndpoint(text: string): SocketEndpoint {
  if (text.startsWith('unix:')) return { kind: 'unix', path: text.replace(/^unix:(\/\/)?/, '') }
  const { host, port } = readAddress(text, '--app')
  return { kind: 'tcp', host, port }
}

/** `HOST:PORT`, `[V6]:PORT`, or `PORT` on the loopback address. */
export function readAddress(text: string, option: string): ListenAddress {
  const colon = text.lastIndexOf(':')
  const host = colon === -1 ? '127.0.0.1' : text.slice(0, colon).replace(/^\[(.*)\]$/, '$1')
  return { host, port: readPort(text.slice(colon + 1), option) }
}

function readPort(text: string, option: string): number {
  if (!/^[0-9]{1,5}$/.test(text) || Number(text) > 65535) throw new UsageError(`${option}: \`${text}\` is no port`)
  return Number(text)
}
