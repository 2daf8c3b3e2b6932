import type { AuthorizationPolicy } from '../../mesh/authorization-policy.ts'
import type { Mesh } from '../../mesh/mesh.ts'
import { diagnostic } from '../../source/diagnostic.ts'
import { suggestName } from '../../source/suggest.ts'
import type { Analyzer } from './analyzer.ts'
import { rulesOfMesh, valuesOf } from './policy-values.ts'

/** Namespaces, service accounts and trust domains that are in no file where one of nearly the same name is. */
export const misspeltName: Analyzer = ({ mesh }) => {
  const names = new Names(mesh)
  return rulesOfMesh(mesh).flatMap((policy) =>
    [...valuesOf(policy)].flatMap(({ attribute, values, path }) =>
      values.flatMap((value, index) => {
        const found = value.includes('*') ? null : names.misspelt(policy, attribute, value)
        if (found === null) return []
        const place = { document: policy.origin.document, path: [...path, index] }
        const message = `the ${found.what} \`${found.name}\` is in no file`
        return [diagnostic('SP407', place, message, { help: `write \`${found.near}\` if that is meant` })]
      }),
    ),
  )
}

interface Misspelt {
  readonly what: string
  readonly name: string
  readonly near: string
}

class Names {
  readonly #namespaces: ReadonlySet<string>
  readonly #trustDomains: ReadonlySet<string>
  readonly #accounts = new Map<string, Set<string>>()
  readonly #known = new Map<string, Misspelt | null>()

  constructor(mesh: Mesh) {
    this.#namespaces = new Set([...mesh.namespaces, mesh.config.rootNamespace])
    this.#trustDomains = new Set([mesh.config.trustDomain, ...mesh.config.trustDomainAliases, 'cluster.local'])
    for (const { namespace, serviceAccount } of mesh.workloads.values()) {
      const accounts = this.#accounts.get(namespace)
      if (accounts === undefined) this.#accounts.set(namespace, new Set([serviceAccount]))
      else accounts.add(serviceAccount)
    }
  }

  misspelt(policy: AuthorizationPolicy, attribute: string, value: string): Misspelt | null {
    switch (attribute) {
      case 'source.namespace':
        return this.#near('namespace', value, this.#namespaces)
      case 'source.trustDomain':
        return this.#near('trust domain', value, this.#trustDomains)
      case 'source.serviceAccount': {
        const slash = value.indexOf('/')
        const namespace = slash === -1 ? policy.meta.namespace : value.slice(0, slash)
        return this.#account(namespace, value.slice(slash + 1))
      }
      case 'source.principal': {
        const parts = /^([^/]+)\/ns\/([^/]+)\/sa\/([^/]+)$/.exec(value)
        if (parts === null) return null
        const [, trustDomain = '', namespace = '', account = ''] = parts
        const wrong = this.#near('trust domain', trustDomain, this.#trustDomains)
        if (wrong !== null) return wrong
        return this.#trustDomains.has(trustDomain) ? this.#account(namespace, account) : null
      }
      default:
        return null
    }
  }

  #account(namespace: string, account: string): Misspelt | null {
    const accounts = this.#accounts.get(namespace)
    if (accounts === undefined) return this.#near('namespace', namespace, this.#namespaces)
    return this.#near(`service account of \`${namespace}\``, account, accounts)
  }

  #near(what: string, name: string, known: ReadonlySet<string>): Misspelt | null {
    if (known.has(name)) return null
    const key = `${what} ${name}`
    const before = this.#known.get(key)
    if (before !== undefined) return before
    const near = suggestName(name, known)
    const found = near === null ? null : { what, name, near }
    this.#known.set(key, found)
    return found
  }
}
