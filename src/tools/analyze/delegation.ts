import { delegationsFor } from '../../mesh/attach.ts'
import type { Delegation } from '../../mesh/delegation.ts'
import { type Diagnostic, diagnostic } from '../../source/diagnostic.ts'
import type { Path } from '../../source/document.ts'
import type { Analyzer } from './analyzer.ts'

/** Istio skips what it does not know, so that what only a Delegation would refuse passes there. */
export const notPortable: Analyzer = ({ mesh }) =>
  mesh.delegations.map((delegation) => {
    const name = `${delegation.meta.namespace}/${delegation.meta.name}`
    const enforced = delegation.providers.filter(({ mode }) => mode === 'enforce').map((one) => `\`${one.name}\``)
    const effect =
      enforced.length === 0
        ? 'its providers only look on, so that the same requests pass there'
        : `a request that only ${enforced.join(' or ')} would refuse passes there`
    const help =
      'keep it in a file of its own that is not applied to a cluster; what Istio has is an AuthorizationPolicy with `action: CUSTOM`, which asks one provider before tokens are verified'
    return at(delegation, ['metadata', 'name'], 'SP410', `Istio ignores the Delegation \`${name}\`: ${effect}`, help)
  })

/** An HTTP provider cannot be asked about a connection, and a Delegation does not pass over whom it cannot ask. */
export const httpDelegate: Analyzer = ({ mesh, targets }) => {
  const closed = new Set(
    mesh.config.providers.filter(({ kind, failOpen }) => kind === 'http' && !failOpen).map(({ name }) => name),
  )
  const found = new Map<string, Diagnostic>()
  for (const { workload } of targets) {
    const port = workload.ports.find(({ protocol }) => protocol === 'tcp' || protocol === 'tls' || protocol === 'https')
    if (port === undefined || workload.origin === null) continue
    for (const delegation of delegationsFor(mesh, workload)) {
      for (const [index, { name, mode }] of delegation.providers.entries()) {
        const key = `${delegation.meta.namespace}/${delegation.meta.name} ${name}`
        if (mode === 'shadow' || !closed.has(name) || found.has(key)) continue
        const where = `the TCP port ${port.number} of \`${workload.namespace}/${workload.name}\``
        const message = `\`${name}\` speaks HTTP and cannot be asked at ${where}: connections that it is asked about are refused`
        const help = "use `envoyExtAuthzGrpc`, or name the HTTP ports in each rule's `to`: `ports: ['8080']`"
        found.set(key, at(delegation, ['spec', 'providers', index, 'name'], 'SP411', message, help))
      }
    }
  }
  return [...found.values()]
}

/** Claims that no token can bring, so that the provider decides about nobody. */
export const claimsOfNobody: Analyzer = ({ mesh, targets }) => {
  const told = new Set<Delegation>()
  const untold = new Set<Delegation>()
  for (const { workload, jwtRules } of targets) {
    for (const delegation of delegationsFor(mesh, workload)) (jwtRules.length > 0 ? told : untold).add(delegation)
  }
  return [...untold]
    .filter((delegation) => !told.has(delegation))
    .flatMap((delegation) =>
      delegation.providers.flatMap(({ name, sees }, index) => {
        if (sees === null || sees.claims.length === 0) return []
        const message = `\`${name}\` never sees a claim here: no RequestAuthentication applies to the workload, so no token is verified`
        const help = 'add a RequestAuthentication with the issuer whose tokens are meant, with the same selector'
        return [at(delegation, ['spec', 'providers', index, 'sees', 'claims'], 'SP403', message, help)]
      }),
    )
}

function at(
  { origin: { document, path } }: Delegation,
  within: Path,
  code: 'SP403' | 'SP410' | 'SP411',
  message: string,
  help: string,
): Diagnostic {
  return diagnostic(code, { document, path: [...path, ...within] }, message, { help })
}
