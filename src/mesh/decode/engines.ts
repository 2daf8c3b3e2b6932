import type { CedarEngine, IstioEngine } from '../authorizer.ts'
import { labels, map, oneOf, string, strings } from './decoder.ts'
import { optional, record, required } from './record.ts'

const tokens = optional(strings, [])

/** Istio's own resources, for one workload or for the one that each request names. */
export const istio = map(
  record({
    paths: required(strings),
    workload: optional(string, null),
    labels: optional(labels, null),
    workloadFrom: optional(record({ contextExtension: required(string) }), null),
  }),
  (value, at): IstioEngine | undefined => {
    const { paths, workload: name, labels: own, workloadFrom } = value
    const written = at.value as { readonly [key: string]: unknown }
    if (paths.length === 0) {
      at.report('SP105', 'the engine needs files', { help: 'write `paths: [policies/]`' })
      return undefined
    }
    if (workloadFrom !== null && (name !== null || own !== null)) {
      const help = 'keep `workload` for one workload, or `workloadFrom` for the one that each request names'
      at.child('workloadFrom', null).report('SP106', 'a workload is named once', { help })
      return undefined
    }
    // One that could not be read has been reported, and must not turn into another choice.
    if ((written.workload ?? null) !== null && name === null) return undefined
    if ((written.labels ?? null) !== null && own === null) return undefined
    if ((written.workloadFrom ?? null) !== null && workloadFrom === null) return undefined
    if (own !== null && name === null) {
      at.child('labels', null).report('SP105', '`labels` need a workload', { help: 'write `workload: NAMESPACE/NAME`' })
      return undefined
    }
    if (name !== null && !WORKLOAD.test(name)) {
      at.child('workload', null).report('SP106', `\`${name}\` is not the name of a workload`, {
        help: 'write `workload: NAMESPACE/NAME`',
      })
      return undefined
    }
    const workload: IstioEngine['workload'] =
      workloadFrom !== null
        ? { kind: 'contextExtension', key: workloadFrom.contextExtension }
        : name === null
          ? { kind: 'only' }
          : { kind: 'named', name, labels: own }
    return { kind: 'istio', paths, namespace: '', workload }
  },
)

const WORKLOAD = /^(?:[^/\s]+\/)?[^/\s]+$/

export const cel = map(
  record({ path: required(string), tokens }),
  ({ path, tokens }) => ({ kind: 'cel', path, tokens }) as const,
)

export const cedar = map(
  record({
    policies: required(string),
    entities: optional(string, null),
    schema: optional(string, null),
    tokens,
    principal: optional(oneOf('source', 'token'), null),
  }),
  ({ principal, ...value }, at): CedarEngine | undefined => {
    if (principal === 'token' && value.tokens.length === 0) {
      at.child('principal', null).report('SP105', 'a principal of tokens needs `tokens`', {
        help: 'write `tokens: [tokens.yaml]`, files of RequestAuthentication',
      })
      return undefined
    }
    return { kind: 'cedar', ...value, principal: principal ?? (value.tokens.length > 0 ? 'token' : 'source') }
  },
)
