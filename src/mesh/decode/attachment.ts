import type { Attachment, Labels, TargetRef } from '../resource.ts'
import { labels, list, map, string } from './decoder.ts'
import { optional, record } from './record.ts'

/** `selector` of the security kinds. */
export const selector = map(record({ matchLabels: optional(labels, {}) }), (value): Labels => value.matchLabels)

const targetRef = map(
  record({
    group: optional(string, ''),
    kind: optional(string, ''),
    name: optional(string, ''),
    namespace: optional(string, ''),
  }),
  (ref): TargetRef => ({ ...ref, group: ref.group === 'core' ? '' : ref.group }),
)

/** The fields that attach a policy. */
export const attachmentFields = {
  selector: optional(selector, null),
  targetRef: optional(targetRef, null),
  targetRefs: optional(list(targetRef), []),
}

/** Targets win over a selector: a proxy that finds targets does not look further. */
export function attachment(spec: {
  readonly selector: Labels | null
  readonly targetRef: TargetRef | null
  readonly targetRefs: readonly TargetRef[]
}): Attachment {
  if (spec.targetRefs.length > 0) return { kind: 'targets', targets: spec.targetRefs }
  if (spec.targetRef !== null) return { kind: 'targets', targets: [spec.targetRef] }
  return spec.selector === null ? { kind: 'namespace' } : { kind: 'selector', labels: spec.selector }
}
