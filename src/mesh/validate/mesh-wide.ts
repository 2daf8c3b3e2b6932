import type { Diagnostic } from '../../source/diagnostic.ts'
import type { Path } from '../../source/document.ts'
import { suggest } from '../../source/suggest.ts'
import type { AuthorizationPolicy } from '../authorization-policy.ts'
import { parseHeaderTemplate, templateValues } from '../header-template.ts'
import type { Mesh } from '../mesh.ts'
import type { HttpProvider } from '../provider.ts'
import { providerProblems, registryProblem } from '../providers.ts'
import { findService } from '../registry.ts'
import { Findings } from './findings.ts'

/** The providers of the mesh configuration, and whether their hosts are in the mesh. */
export function validateProviders(mesh: Mesh, diagnostics: Diagnostic[]): void {
  const { origin, providers } = mesh.config
  if (origin === null) return
  const findings = new Findings(origin, diagnostics)
  const entries = findings.written(['extensionProviders']) === undefined ? 'extension_providers' : 'extensionProviders'
  const names = (findings.written([entries]) as readonly { readonly name?: unknown }[] | undefined)?.map(
    ({ name }) => name,
  )
  for (const provider of providers) {
    const index = names?.indexOf(provider.name) ?? -1
    const at = [entries, index]
    const problems = providerProblems(provider)
    for (const { path, message, help } of problems)
      findings.report('SP240', [...at, ...path], `${message}${REFUSED}`, help)
    if (provider.name.includes('.')) {
      const message = `the provider name ${JSON.stringify(provider.name)} has a point, which newer releases of Istio refuse`
      findings.report('SP253', [...at, 'name'], message, `write \`${provider.name.replaceAll('.', '-')}\``)
    }
    if (provider.kind === 'http') validateTemplates(provider, [...at, 'envoyExtAuthzHttp'], findings)
    const reason = problems.length > 0 ? null : registryProblem(mesh, provider)
    if (reason === null) continue
    const kind = provider.kind === 'grpc' ? 'envoyExtAuthzGrpc' : 'envoyExtAuthzHttp'
    const found = findService(mesh, provider.service, provider.port)
    const near = found.kind === 'unknown' ? suggest(provider.service, found.hosts) : null
    const help =
      near === null
        ? 'write the full name of a Service (`NAME.NAMESPACE.svc.cluster.local`), or add a ServiceEntry for the host'
        : `write \`${near}\``
    findings.report('SP303', [...at, kind, 'service'], `${reason}${REFUSED}`, help)
  }
}

function validateTemplates({ includeAdditionalHeaders }: HttpProvider, at: Path, findings: Findings): void {
  for (const [name, value] of includeAdditionalHeaders) {
    const template = parseHeaderTemplate(value)
    if (template.kind === 'parsed') continue
    const path = [...at, 'includeAdditionalHeadersInCheck', name]
    const message = `\`${template.text}\` is no variable that is known here: the header is not sent`
    const known = ['REQ(NAME)', ...templateValues].map((one) => `\`%${one}%\``).join(', ')
    findings.report('SP256', path, message, `write \`%%\` for a percent sign; known are ${known}`)
  }
}

const REFUSED = ': requests that a CUSTOM policy of this provider matches are refused'

/** Istio refuses a mesh configuration with another name; it becomes part of certificates and of file names. */
export function validateTrustDomainNames(mesh: Mesh, diagnostics: Diagnostic[]): void {
  const { origin, trustDomain, trustDomainAliases } = mesh.config
  if (origin === null) return
  const findings = new Findings(origin, diagnostics)
  const check = (path: Path, name: string) => {
    if (isTrustDomainName(name)) return
    const help = 'write a name like that of a host: `cluster.local`'
    findings.report('SP210', path, `trust domain name ${JSON.stringify(name)} invalid`, help)
  }
  const written = (name: string, other: string) => (findings.written([name]) === undefined ? other : name)
  check([written('trustDomain', 'trust_domain')], trustDomain)
  const aliases = written('trustDomainAliases', 'trust_domain_aliases')
  for (const [index, alias] of trustDomainAliases.entries()) check([aliases, index], alias)
}

const label = /^[a-zA-Z0-9]([-a-zA-Z0-9]{0,61}[a-zA-Z0-9])?$/

/** Labels with points between them; it may end in a point. */
function isTrustDomainName(name: string): boolean {
  const labels = name.split('.')
  return labels.every((text, i) => label.test(text) || (text === '' && i > 0 && i === labels.length - 1))
}

/** Names of providers that a message lists. */
const MOST_NAMED = 20

/** A CUSTOM policy whose provider is not declared is valid for Istio, whose proxies then refuse what it matches. */
export function validateProviderName(mesh: Mesh, policy: AuthorizationPolicy, findings: Findings): void {
  const { provider } = policy
  if (provider === null || provider === '') return
  const names = mesh.config.providers.map(({ name }) => name)
  if (names.includes(provider)) return
  const shown = names.length > MOST_NAMED ? [...names.slice(0, MOST_NAMED), '..'] : names
  const message =
    `available providers are [${shown.join(' ')}] but found ${JSON.stringify(provider)}: ` +
    'requests that the policy matches are refused'
  const near = suggest(provider, names)
  const declare = 'declare it under `extensionProviders` of the mesh configuration'
  const other = mesh.config.otherProviders.includes(provider)
  const help = other
    ? `\`${provider}\` is a provider of another kind: declare one with \`envoyExtAuthzGrpc\` or \`envoyExtAuthzHttp\``
    : near === null
      ? declare
      : `write \`${near}\`, or ${declare}`
  findings.report('SP301', ['spec', 'provider', 'name'], message, help)
}
