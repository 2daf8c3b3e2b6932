import type { Labels } from '../resource.ts'
import type { Endpoint } from '../service.ts'
import { labels, map } from './decoder.ts'
import { customResource } from './meta.ts'
import { optional, record, required } from './record.ts'
import { endpoint } from './service-entry.ts'

const NO_ENDPOINT: Endpoint = { address: '', ports: new Map(), labels: {}, serviceAccount: '', weight: 0 }

export const workloadEntry = customResource(required(endpoint))

const template = map(
  record(
    {
      metadata: optional(record({ labels: optional(labels, {}) }, { ignored: ['annotations'] }), {
        labels: {} as Labels,
      }),
      template: optional(endpoint, NO_ENDPOINT),
    },
    { ignored: ['probe'] },
  ),
  // The template's labels win over the group's.
  (value): Endpoint => ({ ...value.template, labels: { ...value.metadata.labels, ...value.template.labels } }),
)

/** Decodes to the entry that a member of the group would have. */
export const workloadGroup = customResource(required(template))
