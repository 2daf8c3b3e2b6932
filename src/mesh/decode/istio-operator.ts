import { anything } from './decoder.ts'
import { optional, record } from './record.ts'

const open = { open: true }

/** An IstioOperator, of which only the mesh configuration is read; files for `istioctl` often have no metadata. */
export const operator = record(
  { spec: optional(record({ meshConfig: optional(anything, null) }, open), { meshConfig: null }) },
  open,
)
