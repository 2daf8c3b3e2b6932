import { attaches, byAge } from './attach.ts'
import type { AuthorizationPolicy } from './authorization-policy.ts'
import type { Mesh } from './mesh.ts'
import type { Attachment, Labels, Resource } from './resource.ts'
import type { TargetService } from './service.ts'
import type { Workload } from './workload.ts'

/**
 * Which AuthorizationPolicies attach to which workload, for whoever asks about many workloads: what
 * `authorizationPoliciesFor` gives, but only policies that a label of the workload points to are looked at.
 */
export class Attachments {
  readonly #mesh: Mesh
  readonly #policies: SelectorIndex<AuthorizationPolicy>

  constructor(mesh: Mesh) {
    this.#mesh = mesh
    this.#policies = new SelectorIndex(mesh.authorizationPolicies)
  }

  policiesFor(workload: Workload, service: TargetService | null = null): readonly AuthorizationPolicy[] {
    const namespaces = new Set([workload.namespace, this.#mesh.config.rootNamespace])
    if (service !== null) namespaces.add(service.namespace)
    return this.#policies
      .candidates(namespaces, workload.labels)
      .filter((policy) => attaches(this.#mesh, workload, service, policy))
  }
}

/** Policies by one of the labels that they select. */
class SelectorIndex<P extends Resource & { readonly attachment: Attachment }> {
  /** By age. */
  readonly #policies: readonly P[]
  /** Places in `policies`, by namespace, and by one label where there is a selector. */
  readonly #places = new Map<string, number[]>()

  constructor(policies: readonly P[]) {
    this.#policies = [...policies].sort(byAge)
    for (const [place, { meta, attachment }] of this.#policies.entries()) {
      const [label] = attachment.kind === 'selector' ? Object.entries(attachment.labels) : []
      const key = keyOf(meta.namespace, label)
      const places = this.#places.get(key)
      if (places === undefined) this.#places.set(key, [place])
      else places.push(place)
    }
  }

  /** All that could attach to a workload of these labels, and more, by age. */
  candidates(namespaces: ReadonlySet<string>, labels: Labels): readonly P[] {
    const places: number[] = []
    for (const namespace of namespaces) {
      for (const label of [undefined, ...Object.entries(labels)]) {
        for (const place of this.#places.get(keyOf(namespace, label)) ?? []) places.push(place)
      }
    }
    return places.sort((a, b) => a - b).map((place) => this.#policies[place] as P)
  }
}

function keyOf(namespace: string, label: readonly [string, string] | undefined): string {
  return label === undefined ? namespace : JSON.stringify([namespace, ...label])
}
