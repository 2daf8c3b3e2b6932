import { anything } from './decoder.ts'
import { kubernetesResource } from './meta.ts'
import { optional, record } from './record.ts'

/** An IstioOperator, of which only the mesh configuration is read. */
const spec = record({ meshConfig: optional(anything, null) }, { open: true })

export const operator = kubernetesResource(optional(spec, { meshConfig: null }))
