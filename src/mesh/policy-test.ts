import type { Json } from '../source/document.ts'
import type { Resource } from './resource.ts'

/** `sallyport.dev` PolicyTest: cases for a workload's policies, which `sallyport test` reads. */
export interface PolicyTest extends Resource {
  readonly kind: 'PolicyTest'
  /** A mapping, not decoded further. */
  readonly spec: Json
}
