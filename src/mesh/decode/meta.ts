import type { Meta } from '../resource.ts'
import type { Decoder } from './decoder.ts'
import { anything, labels, map, string } from './decoder.ts'
import type { Field } from './record.ts'
import { optional, record, required } from './record.ts'

/** What a resource's metadata says; the namespace may be missing. */
export interface RawMeta extends Omit<Meta, 'namespace'> {
  readonly namespace: string | null
}

const read = {
  name: optional(string, ''),
  generateName: optional(string, ''),
  namespace: optional(string, null),
  labels: optional(labels, {}),
  annotations: optional(labels, {}),
  creationTimestamp: optional(anything, null),
}

const ignored = [
  'uid',
  'resourceVersion',
  'generation',
  'managedFields',
  'ownerReferences',
  'finalizers',
  'selfLink',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
  'clusterName',
]

/** Kubernetes takes much less. Names become ids of rules, in logs and in headers, with `/` between two of them. */
const IN_LOGS = /^[^\s/\p{C}]*$/u

function meta(open: boolean): Decoder<RawMeta> {
  return map(record(read, { ignored, open }), (raw, at) => {
    const name = raw.name === '' ? raw.generateName : raw.name
    if (name === '') {
      at.report('SP105', '`name` is required', { help: 'write `name`' })
      return undefined
    }
    const wrong = [name, raw.namespace ?? ''].find((text) => !IN_LOGS.test(text))
    if (wrong !== undefined) {
      const help = 'use lower-case letters, digits, hyphens and points'
      at.report('SP106', `${JSON.stringify(wrong)} is not the name of a resource`, { help })
      return undefined
    }
    const created = typeof raw.creationTimestamp === 'string' ? Date.parse(raw.creationTimestamp) : Number.NaN
    return {
      name,
      namespace: raw.namespace === '' ? null : raw.namespace,
      labels: raw.labels,
      annotations: raw.annotations,
      createdAt: Number.isNaN(created) ? 0 : created,
    }
  })
}

const strictMeta = meta(false)
export const openMeta = meta(true)

/** What a document of a kind decodes to, before its namespace is filled in. */
export interface RawResource<S> {
  readonly metadata: RawMeta
  readonly spec: S
}

/** A custom resource of Istio's or ours: every field is checked. A missing spec is an empty one. */
export function customResource<S>(spec: Field<S>): Decoder<RawResource<S>> {
  return record({ metadata: required(strictMeta), spec }, { ignored: ['apiVersion', 'kind', 'status'] }) as Decoder<
    RawResource<S>
  >
}

/** A Kubernetes resource: only what is read here is checked. */
export function kubernetesResource<S>(spec: Field<S>): Decoder<RawResource<S>> {
  return record({ metadata: required(openMeta), spec }, { open: true }) as Decoder<RawResource<S>>
}
