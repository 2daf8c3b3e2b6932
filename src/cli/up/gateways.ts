import type { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { createSecureContext } from 'node:tls'
import { clientIdentity } from '../../authn/client-identity.ts'
import { forwardedClientCertificate } from '../../authn/xfcc.ts'
import type { GatewayServer, ServerTls } from '../../mesh/gateway.ts'
import { selects } from '../../mesh/labels.ts'
import type { Mesh } from '../../mesh/mesh.ts'
import type { Origin } from '../../mesh/resource.ts'
import type { SocketEndpoint } from '../../mesh/sidecar.ts'
import type { PortProtocol, Workload } from '../../mesh/workload.ts'
import type { ListenAddress } from '../../proxy/config.ts'
import type { LocalIngress, LocalServers } from '../../proxy/configure.ts'
import type { GatewayTlsServer } from '../../proxy/gateway-tls.ts'
import { type Diagnostic, diagnostic } from '../../source/diagnostic.ts'

/** A gateway's ports as they are served here, and the servers that are not. */
export interface PlacedGateway {
  readonly inbound: readonly LocalIngress[]
  readonly problems: readonly Diagnostic[]
}

export interface GatewayPlacement {
  readonly application: SocketEndpoint
  /** Other sockets, by the port that policies see. */
  readonly listen: ReadonlyMap<number, ListenAddress>
  /** Paths of certificates are relative to it. */
  readonly cwd: string
}

export function isGateway({ role }: Workload): boolean {
  return role.kind === 'gateway' || role.kind === 'gatewayApi'
}

/**
 * The servers of the Gateways that select a workload, or of the Gateway that it is, by port. HTTP in plaintext and behind
 * TLS (SIMPLE, MUTUAL) is served; a port with any other server answers nothing, and a diagnostic says so.
 */
export function placeGateway(mesh: Mesh, workload: Workload, placement: GatewayPlacement): PlacedGateway {
  const { listen, application } = placement
  const ports = new Map<number, Server[]>()
  for (const server of serversOf(mesh, workload)) {
    const known = ports.get(server.port)
    if (known === undefined) ports.set(server.port, [server])
    else known.push(server)
  }
  const inbound: LocalIngress[] = []
  const problems: Diagnostic[] = []
  for (const port of listen.keys()) {
    // In plaintext for any host, it would let in whom the servers of another port keep out.
    if (!ports.has(port)) problems.push(...noServer(workload, port, [...ports.keys()]))
  }
  for (const [port, servers] of ports) {
    const served = serve(servers, placement.cwd)
    problems.push(...served.problems)
    if (served.servers === null) continue
    const origin = listen.has(port) ? null : (servers[0]?.origin ?? null)
    const socket = listen.get(port) ?? { host: servers[0]?.bind ?? '', port }
    inbound.push({ origin, port, protocol: 'http', listen: socket, application, servers: served.servers })
  }
  return { inbound, problems }
}

function noServer({ namespace, name, origin }: Workload, port: number, served: readonly number[]): Diagnostic[] {
  const message = `port ${port} of the gateway \`${namespace}/${name}\` is not served: no Gateway has a server there`
  const known = [...served].sort((x, y) => x - y).join(', ')
  const help = known === '' ? 'add a server with that port' : `name the port of a server: ${known}`
  return origin === null ? [] : [diagnostic('SP505', origin, message, { help })]
}

interface Server extends Omit<GatewayServer, 'name'> {
  readonly origin: Origin
}

function serversOf(mesh: Mesh, workload: Workload): readonly Server[] {
  const { role } = workload
  const classic = mesh.gateways
    .filter(({ selector }) => selects(selector, workload.labels))
    .flatMap(({ servers, origin }) =>
      servers.map((server, i) => ({
        ...server,
        port: targetOf(mesh, workload, server.port),
        origin: { ...origin, path: [...origin.path, 'spec', 'servers', i, 'port'] },
      })),
    )
  if (role.kind !== 'gatewayApi') return classic
  const own = mesh.kubernetesGateways.filter(
    ({ meta }) => meta.name === role.gateway && meta.namespace === workload.namespace,
  )
  return own.flatMap(({ listeners, origin }) =>
    listeners.map(({ port, protocol, hostname }, i) => ({
      ...{ port, protocol, bind: '', tls: null, hosts: [hostname === '' ? '*' : hostname] },
      origin: { ...origin, path: [...origin.path, 'spec', 'listeners', i, 'port'] },
    })),
  )
}

/** A server names the Service's port: the gateway listens on that port's target. */
function targetOf(mesh: Mesh, { namespace, labels, ports }: Workload, port: number): number {
  for (const service of mesh.services) {
    if (service.meta.namespace !== namespace || Object.keys(service.selector).length === 0) continue
    const served = selects(service.selector, labels) ? service.ports.find((one) => one.port === port) : undefined
    if (served === undefined) continue
    const { targetPort } = served
    if (typeof targetPort === 'number') return targetPort
    return ports.find(({ name }) => name === targetPort)?.number ?? port
  }
  return port
}

interface Served {
  readonly servers: LocalServers | null
  readonly problems: readonly Diagnostic[]
}

/** One port; a server that cannot be served takes it away from the others too, which would answer in its place. */
function serve(servers: readonly Server[], cwd: string): Served {
  const problems: Diagnostic[] = []
  const hosts = new Set<string>()
  const redirected = new Set<string>()
  const tls: GatewayTlsServer[] = []
  for (const server of servers) {
    const names = server.hosts.map(dnsName)
    const read = readServer(server, names, cwd)
    if (typeof read === 'string') {
      const help = 'its port answers nothing here; with Istio, or with `sallyport envoy`, an Envoy serves it'
      problems.push(
        diagnostic('SP505', server.origin, `port ${server.port} of this gateway is not served: ${read}`, { help }),
      )
      continue
    }
    if (read !== null) tls.push(read)
    for (const name of names) hosts.add(name)
    if (server.tls?.httpsRedirect === true) for (const name of names) redirected.add(name)
  }
  const [first] = servers
  if (problems.length === 0 && tls.length > 0 && tls.length < servers.length && first !== undefined) {
    const message = `port ${first.port} of this gateway is not served: it has servers with TLS and without`
    problems.push(diagnostic('SP505', first.origin, message, { help: 'give each its own port' }))
  }
  if (problems.length > 0) return { servers: null, problems }
  const both = { hosts: [...hosts], redirected: [...redirected] }
  return { servers: { tls: tls.length === 0 ? null : { servers: tls }, ...both }, problems }
}

/** `namespace/dnsName`, of which the namespace says whose routes count. */
function dnsName(host: string): string {
  return host.slice(host.indexOf('/') + 1)
}

/** What a server needs to end TLS, null for plaintext, or why it is not served. */
function readServer(
  { protocol, tls }: Server,
  hosts: readonly string[],
  cwd: string,
): GatewayTlsServer | null | string {
  if (isHttp(protocol)) {
    if (tls === null || tls.mode === 'PASSTHROUGH') return null
    return `TLS on a port of plain HTTP`
  }
  if (protocol !== 'https') return `its protocol is not HTTP or HTTPS`
  if (tls === null) return 'its certificate is not one of a file'
  if (tls.mode !== 'SIMPLE' && tls.mode !== 'MUTUAL') return `\`mode: ${tls.mode}\` of its \`tls\``
  const [other] = tls.others
  if (other !== undefined)
    return `\`${other}\` of its \`tls\`; write \`serverCertificate\` and \`privateKey\`, paths of files`
  return readTls(tls, hosts, cwd)
}

function isHttp(protocol: PortProtocol): boolean {
  return protocol === 'http' || protocol === 'http2' || protocol === 'grpc'
}

function readTls(tls: ServerTls, hosts: readonly string[], cwd: string): GatewayTlsServer | string {
  const certificate = readFile(cwd, tls.serverCertificate)
  const key = readFile(cwd, tls.privateKey)
  if (certificate === null) return `its certificate \`${tls.serverCertificate}\` cannot be read`
  if (key === null) return `its key \`${tls.privateKey}\` cannot be read`
  const roots = tls.mode === 'MUTUAL' ? readFile(cwd, tls.caCertificates) : null
  if (tls.mode === 'MUTUAL' && roots === null) return `its roots \`${tls.caCertificates}\` cannot be read`
  const clients = roots === null ? null : { ca: [roots], identifyPeer: clientIdentity, forwardedClientCert }
  const minVersion = tls.minProtocolVersion === 'TLSV1_3' ? 'TLSv1.3' : 'TLSv1.2'
  const maxVersion =
    tls.maxProtocolVersion === 'TLS_AUTO' || tls.maxProtocolVersion === 'TLSV1_3' ? 'TLSv1.3' : 'TLSv1.2'
  try {
    createSecureContext({ cert: certificate, key, minVersion, maxVersion, ...(roots === null ? {} : { ca: roots }) })
  } catch (error) {
    // OpenSSL's words name no part of a key.
    return `its certificate, key, roots or versions do not fit: ${error instanceof Error ? error.message : 'unknown'}`
  }
  return { hosts, certificate, key, clients, minVersion, maxVersion }
}

function readFile(cwd: string, path: string): string | null {
  try {
    return path === '' ? null : readFileSync(resolve(cwd, path), 'utf8')
  } catch {
    return null
  }
}

/** As at a sidecar, with the certificate itself. */
function forwardedClientCert(certificate: X509Certificate): string {
  const pem = encodeURIComponent(certificate.toString())
  return forwardedClientCertificate(null, certificate).replace(/^Hash=[0-9a-f]+/, (hash) => `${hash};Cert="${pem}"`)
}
