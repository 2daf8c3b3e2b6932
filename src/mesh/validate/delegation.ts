import type { Path } from '../../source/document.ts'
import { suggest } from '../../source/suggest.ts'
import type { DelegateProvider, Delegation } from '../delegation.ts'
import type { Mesh } from '../mesh.ts'
import type { Provider } from '../provider.ts'
import { validateSelector } from './attachment.ts'
import { validateRules } from './authorization-policy.ts'
import type { Findings } from './findings.ts'
import { validateMetadata } from './metadata.ts'

/** What is wrong with a Delegation that decodes. Its rules are held to what Istio's validation asks of rules. */
export function validateDelegation(mesh: Mesh, delegation: Delegation, findings: Findings): void {
  validateMetadata(delegation.meta, null, findings)
  validateSelector(findings)
  if (delegation.trigger !== null) validateRules(delegation.trigger.rules, 'Delegation', findings)
  for (const [index, delegate] of delegation.providers.entries()) {
    const path = ['spec', 'providers', index]
    const provider = mesh.config.providers.find(({ name }) => name === delegate.name)
    if (provider === undefined) unknownProvider(mesh, delegate, path, findings)
    else validateView(delegate, provider, path, findings)
  }
}

function unknownProvider(mesh: Mesh, { name, mode }: DelegateProvider, path: Path, findings: Findings): void {
  const effect = mode === 'enforce' ? ': loaded all the same, requests that it asks about are refused' : ''
  const declare = 'declare it under `extensionProviders` of the mesh configuration'
  const near = suggest(
    name,
    mesh.config.providers.map((provider) => provider.name),
  )
  const help = mesh.config.otherProviders.includes(name)
    ? `\`${name}\` is a provider of another kind: declare one with \`envoyExtAuthzGrpc\` or \`envoyExtAuthzHttp\``
    : near === null
      ? declare
      : `write \`${near}\`, or ${declare}`
  findings.report('SP304', [...path, 'name'], `there is no provider \`${name}\`${effect}`, help)
}

/** Where the provider's own configuration and what a Delegation says of it do not meet. */
function validateView({ mode, sees }: DelegateProvider, provider: Provider, path: Path, findings: Findings): void {
  const { name, kind, includeRequestBody } = provider
  if (sees?.body === true && includeRequestBody === null) {
    const help = 'set `includeRequestBodyInCheck` of the provider, which says how much of a body is shown'
    findings.report('SP305', [...path, 'sees', 'body'], `\`${name}\` is shown no body`, help)
  }
  if (mode === 'shadow' && includeRequestBody !== null && sees === null) {
    const message = `\`${name}\` is shown bodies where it enforces, but none in shadow: the request would have to wait`
    const help = 'expect other answers where the provider looks at bodies, or write `sees`'
    findings.report('SP305', [...path, 'mode'], message, help)
  }
  if (sees === null || kind === 'grpc') return
  for (const [index, entry] of sees.headers.entries()) {
    const header = entry.toLowerCase()
    if (header.includes('*') || header === 'authorization' || isIncluded(header, provider.includeRequestHeaders)) {
      continue
    }
    const message = `\`${name}\` is not shown \`${entry}\`: an HTTP provider is sent what it also lists itself`
    const help = `add \`${entry}\` to its \`includeRequestHeadersInCheck\``
    findings.report('SP305', [...path, 'sees', 'headers', index], message, help)
  }
}

/** Whether a list of `abc`, `abc*` and `*abc` has a name. */
function isIncluded(header: string, entries: readonly string[]): boolean {
  return entries.some((entry) => {
    const text = entry.toLowerCase()
    if (text.endsWith('*')) return header.startsWith(text.slice(0, -1))
    return text.startsWith('*') ? header.endsWith(text.slice(1)) : header === text
  })
}
