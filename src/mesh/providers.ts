import type { Path } from '../source/document.ts'
import { isEnvoyStatus } from './envoy-status.ts'
import type { Mesh } from './mesh.ts'
import type { Provider } from './provider.ts'
import { findService } from './registry.ts'

export type ProviderUse =
  | { readonly kind: 'usable'; readonly provider: Provider }
  /** Requests that a CUSTOM rule of it matches are then refused. */
  | { readonly kind: 'unusable'; readonly reason: string }

/** The provider that a CUSTOM policy names, or why requests cannot be delegated to it, in Istio's words. */
export function usableProvider(mesh: Mesh, name: string): ProviderUse {
  const { providers } = mesh.config
  const provider = providers.find((candidate) => candidate.name === name)
  if (provider === undefined) {
    const available = providers.map((candidate) => candidate.name).join(' ')
    return { kind: 'unusable', reason: `available providers are [${available}] but found ${JSON.stringify(name)}` }
  }
  const problem = providerProblems(provider)[0]?.message ?? registryProblem(mesh, provider)
  if (problem === null) return { kind: 'usable', provider }
  return { kind: 'unusable', reason: `found errors in provider ${name}: ${problem}` }
}

/** Why a provider's host cannot be reached, or null. */
export function registryProblem(mesh: Mesh, provider: Provider): string | null {
  const found = findService(mesh, provider.service, provider.port)
  return found.kind === 'unknown' ? found.reason : null
}

export interface ProviderProblem {
  /** From the provider's entry in `extensionProviders`. */
  readonly path: Path
  readonly message: string
  readonly help: string
}

/** What Istio refuses in a provider that decodes. */
export function providerProblems(provider: Provider): readonly ProviderProblem[] {
  const kind = provider.kind === 'grpc' ? 'envoyExtAuthzGrpc' : 'envoyExtAuthzHttp'
  const problems: ProviderProblem[] = []
  const report = (path: Path, message: string, help: string) => problems.push({ path, message, help })
  const { name, service, port, statusOnError, includeRequestBody } = provider
  // Released versions of Istio take a point in a name, and examples everywhere have one.
  if (!/^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$/.test(name)) {
    const help = 'use lower-case letters, digits and hyphens, 63 at most, not a hyphen first or last'
    report(['name'], `invalid provider name ${JSON.stringify(name)}`, help)
  }
  if (service === '')
    report([kind, 'service'], 'service must not be empty', 'write the full host: `authz.ns.svc.cluster.local`')
  else if (!isServiceName(service)) {
    report([kind, 'service'], `invalid service fmt ${service}`, 'write `HOST` or `NAMESPACE/HOST`, without a wildcard')
  }
  if (port < 1 || port > 65535) {
    report([kind, 'port'], `port must be in the range [1, 65535], found: ${port}`, "write the service's port")
  }
  if (!isEnvoyStatus(statusOnError)) {
    const help = 'use a status that Envoy knows, such as `"403"` or `"503"`'
    report([kind, 'statusOnError'], `unsupported statusOnError value ${statusOnError}`, help)
  }
  if (includeRequestBody !== null && includeRequestBody.maxRequestBytes === 0) {
    const path = [kind, 'includeRequestBodyInCheck', 'maxRequestBytes']
    report(path, 'maxRequestBytes must be greater than 0', 'write how many bytes of the body are sent: `8192`')
  }
  if (provider.kind === 'grpc') return problems
  if (provider.pathPrefix !== '' && !provider.pathPrefix.startsWith('/')) {
    const message = `pathPrefix should begin with \`/\` but found ${JSON.stringify(provider.pathPrefix)}`
    report([kind, 'pathPrefix'], message, `write \`/${provider.pathPrefix}\``)
  }
  for (const [field, values] of [
    ['includeRequestHeadersInCheck', provider.includeRequestHeaders],
    ['headersToUpstreamOnAllow', provider.headersToUpstreamOnAllow],
    ['headersToDownstreamOnAllow', provider.headersToDownstreamOnAllow],
    ['headersToDownstreamOnDeny', provider.headersToDownstreamOnDeny],
  ] as const) {
    const index = values.indexOf('*')
    if (index === -1) continue
    const message = `a single wildcard ("*") is not supported in ${field}`
    report([kind, field, index], message, 'list the headers, or use a prefix `x-*` or a suffix `*-id`')
  }
  return problems
}

function isServiceName(service: string): boolean {
  const parts = service.split('/')
  if (parts.length > 2) return false
  const host = parts.at(-1) as string
  return (parts.length === 1 || label.test(parts[0] as string)) && host.length <= 255 && host.split('.').every(isLabel)
}

const label = /^[a-z0-9A-Z]([-a-z0-9A-Z]{0,61}[a-z0-9A-Z])?$/

function isLabel(text: string, index: number, labels: readonly string[]): boolean {
  // A name may end in a point.
  return label.test(text) || (text === '' && index === labels.length - 1 && index > 0)
}
