import type { Path, SourceDocument } from '../source/document.ts'

/** Labels or annotations. */
export type Labels = Readonly<Record<string, string>>

/** The metadata of any resource. A missing namespace has been filled in by then. */
export interface Meta {
  readonly name: string
  readonly namespace: string
  readonly labels: Labels
  readonly annotations: Labels
  /** Milliseconds since the epoch; 0 when the file says nothing. */
  readonly createdAt: number
}

/** Where a resource came from; `path` leads to its root inside the document (not empty inside a `List`). */
export interface Origin {
  readonly document: SourceDocument
  readonly path: Path
}

export interface Resource {
  readonly meta: Meta
  readonly origin: Origin
}

/** Which workloads a policy applies to (istio/api `WorkloadSelector` and `PolicyTargetReference`). */
export type Attachment =
  | { readonly kind: 'namespace' }
  | { readonly kind: 'selector'; readonly labels: Labels }
  | { readonly kind: 'targets'; readonly targets: readonly TargetRef[] }

export interface TargetRef {
  /** `core` is written as the empty string. */
  readonly group: string
  readonly kind: string
  readonly name: string
  /** Empty in a valid policy. */
  readonly namespace: string
}
