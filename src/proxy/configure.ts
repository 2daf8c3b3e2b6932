import type { KeySource } from '../authn/key-source.ts'
import { createRequestAuthenticator, type RequestAuthenticatorOptions } from '../authn/request-authenticator.ts'
import type { CheckClient } from '../extauthz/check.ts'
import { compileFoldedHeaderList } from '../extauthz/client/header-list.ts'
import type { IpAddress } from '../match/ip.ts'
import { authorizationPoliciesFor, delegationsFor, jwtRulesFor, mtlsModeFor } from '../mesh/attach.ts'
import { gatewayTopologyFor } from '../mesh/gateway-topology.ts'
import type { Mesh } from '../mesh/mesh.ts'
import type { Provider } from '../mesh/provider.ts'
import { usableProvider } from '../mesh/providers.ts'
import type { Origin } from '../mesh/resource.ts'
import type { SocketEndpoint } from '../mesh/sidecar.ts'
import type { PortProtocol, Workload } from '../mesh/workload.ts'
import { compileDelegation, lowerDelegation } from '../policy/delegation.ts'
import type { Policies } from './chain.ts'
import { CompiledPolicies } from './compiled-policies.ts'
import type { InboundConfig, ListenAddress, OutboundConfig, ProxyConfig, WorkloadIdentity } from './config.ts'
import { bindDelegations } from './delegations.ts'
import type { EdgeConfig } from './edge-config.ts'
import { looksAtEnvoyHeaders } from './envoy-headers.ts'
import type { GatewayTls } from './gateway-tls.ts'
import { routesOf } from './routes.ts'

/** A workload whose proxy runs here. */
export interface LocalWorkload {
  readonly workload: Workload
  readonly inbound: readonly LocalIngress[]
  readonly outbound: readonly LocalEgress[]
}

export interface LocalIngress {
  /** Where a file asks for it; null from the command line. */
  readonly origin: Origin | null
  /** The port that policies see. */
  readonly port: number
  readonly protocol: PortProtocol
  readonly listen: ListenAddress
  readonly application: SocketEndpoint
  /** What a gateway's servers on this port say; absent elsewhere. */
  readonly servers?: LocalServers
}

export interface LocalServers {
  /** As in `EdgeConfig`. */
  readonly tls: GatewayTls | null
  readonly hosts: readonly string[]
  readonly redirected: readonly string[]
}

export interface LocalEgress {
  readonly origin: Origin | null
  readonly port: number
  readonly protocol: PortProtocol
  readonly listen: ListenAddress
  /** `namespace/dnsName` as in a Sidecar. */
  readonly hosts: readonly string[]
}

export interface ConfigureInput {
  readonly mesh: Mesh
  readonly local: readonly LocalWorkload[]
  readonly identity: (workload: Workload) => WorkloadIdentity
  readonly keys: KeySource
  /** How tokens are verified. */
  readonly tokens?: RequestAuthenticatorOptions
  readonly client: (provider: Provider, workload: Workload) => CheckClient
  /** An address of this machine that is none of the loopback, for X-Forwarded-For; null or absent without. */
  readonly ownAddress?: IpAddress | null
  /** Whether gateways drop all `x-envoy-` fields of clients, even where a policy or a provider may look at them. */
  readonly dropEnvoyHeaders?: boolean
  /**
   * Headers that only an authorization provider sets (`abc`, `abc*`, `*abc`): a client's own are removed at workloads with
   * a CUSTOM policy or a Delegation, also where a name has `_` or `.` in place of `-`.
   */
  readonly providerHeaders?: readonly string[]
  /** Kept from one configuration to the next, so that only policies that changed are compiled. */
  readonly compiled?: CompiledPolicies
}

/** What one process listens on and enforces, from what the files say. Pure but for the clients that it is given. */
export function configure(input: ConfigureInput): ProxyConfig {
  const inbound: InboundConfig[] = []
  const outbound: OutboundConfig[] = []
  const compiled = input.compiled ?? new CompiledPolicies()
  for (const local of input.local) {
    const policies = policiesOf(input, local.workload, compiled)
    for (const ingress of local.inbound) inbound.push(inboundOf(input, local.workload, ingress, policies))
    for (const egress of local.outbound) outbound.push(outboundOf(input, local.workload, egress))
  }
  compiled.settle()
  return { inbound, outbound }
}

/** The id of a listener in the proxy's configuration, logs and problems. */
export function inboundId({ namespace, name }: Workload, { port }: LocalIngress): string {
  return `inbound ${namespace}/${name}:${port}`
}

export function outboundId({ namespace, name }: Workload, { port }: LocalEgress): string {
  return `outbound ${namespace}/${name}:${port}`
}

type PoliciesFor = (protocol: 'http' | 'tcp') => Policies

/** One decider a workload and protocol, whatever the number of its listeners. */
function policiesOf(input: ConfigureInput, workload: Workload, compiled: CompiledPolicies): PoliciesFor {
  const { mesh, providerHeaders = [] } = input
  const policies = authorizationPoliciesFor(mesh, workload)
  const delegations = delegationsFor(mesh, workload)
  const jwtRules = jwtRulesFor(mesh, workload)
  const trustDomains = [mesh.config.trustDomain, ...mesh.config.trustDomainAliases]
  const authenticator = jwtRules.length === 0 ? null : createRequestAuthenticator(jwtRules, input.keys, input.tokens)
  const made = new Map<'http' | 'tcp', Policies>()
  return (protocol) => {
    const known = made.get(protocol)
    if (known !== undefined) return known
    const provider = (name: string) => usableProvider(mesh, name)
    const { ir, decider } = compiled.compile(workload, { policies, trustDomains, protocol, provider })
    const { custom } = ir
    const client = (one: Provider) => input.client(one, workload)
    const providers = custom.kind === 'ask' ? [[custom.provider.name, client(custom.provider)] as const] : []
    const strips = providerHeaders.length > 0 && (custom.kind !== 'none' || delegations.length > 0)
    const fresh: Policies = {
      ...{ decider, authenticator, providers: new Map(providers) },
      delegations: bindDelegations(
        delegations.map((one) => compileDelegation(lowerDelegation(one, { trustDomains, protocol, provider }))),
        client,
      ),
      ...(strips ? { providerHeaders: compileFoldedHeaderList(providerHeaders) } : {}),
    }
    made.set(protocol, fresh)
    return fresh
  }
}

function inboundOf(
  input: ConfigureInput,
  workload: Workload,
  ingress: LocalIngress,
  policies: PoliciesFor,
): InboundConfig {
  const { mesh } = input
  const edge = edgeOf(input, workload, ingress)
  // PeerAuthentication is about what comes from within the mesh: a gateway's servers say for themselves.
  const mode = edge === null ? mtlsModeFor(mesh, workload, ingress.port) : 'DISABLE'
  const protocol = forwardsHttp(ingress.protocol) ? 'http' : 'tcp'
  return {
    id: inboundId(workload, ingress),
    workload: `${workload.namespace}/${workload.name}`,
    listen: ingress.listen,
    protocol,
    port: ingress.port,
    application: ingress.application,
    mtls: mode === 'DISABLE' ? { mode } : { mode, identity: input.identity(workload) },
    edge,
    pathMode: mesh.config.pathNormalization,
    policies: policies(protocol),
  }
}

/** What a gateway does that a sidecar does not; null for a sidecar. */
function edgeOf(input: ConfigureInput, workload: Workload, { servers }: LocalIngress): EdgeConfig | null {
  const { kind } = workload.role
  if (kind !== 'gateway' && kind !== 'gatewayApi') return null
  const { numTrustedProxies, proxyProtocol, forwardClientCertDetails } = gatewayTopologyFor(input.mesh, workload)
  return {
    trustedHops: numTrustedProxies,
    proxyProtocol,
    forwardClientCertificate: forwardClientCertDetails,
    own: input.ownAddress ?? null,
    // What a trusted proxy in front has written may be meant.
    dropEnvoyHeaders: input.dropEnvoyHeaders === true || (numTrustedProxies === 0 && !looksAtEnvoyHeaders(input.mesh)),
    ...(servers ?? { tls: null, hosts: ['*'], redirected: [] }),
  }
}

function outboundOf(input: ConfigureInput, workload: Workload, egress: LocalEgress): OutboundConfig {
  return {
    id: outboundId(workload, egress),
    workload: `${workload.namespace}/${workload.name}`,
    listen: egress.listen,
    protocol: forwardsHttp(egress.protocol) ? 'http' : 'tcp',
    port: egress.port,
    identity: input.identity(workload),
    pathMode: input.mesh.config.pathNormalization,
    route: routesOf(input.mesh, workload, egress.hosts),
  }
}

/** A port whose protocol is not told is HTTP here; Istio would look at the first bytes. */
function forwardsHttp(protocol: PortProtocol): boolean {
  return protocol === 'http' || protocol === 'http2' || protocol === 'grpc' || protocol === 'auto'
}
