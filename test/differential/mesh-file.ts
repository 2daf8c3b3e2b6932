import { loadMesh } from '#src/mesh/load.ts'
import type { Mesh } from '#src/mesh/mesh.ts'
import { serviceOfHost } from '#src/mesh/registry.ts'
import type { TargetService } from '#src/mesh/service.ts'
import type { Workload } from '#src/mesh/workload.ts'
import { parseSource } from '#src/source/parse.ts'
import { fillDocuments, meshText, type Place } from './fill.ts'
import type { Json, MeshSpec } from './spec.ts'

export interface LoadedSpec {
  readonly documents: readonly Json[]
  readonly mesh: Mesh
  readonly workload: Workload
  readonly service: TargetService | null
}

/** The mesh of a spec at a place, by the product's own reader. Throws where the spec is no mesh. */
export function loadSpec(spec: MeshSpec, place: Place): LoadedSpec {
  const documents = fillDocuments(spec, place)
  const { mesh, diagnostics } = loadMesh(parseSource('mesh.yaml', meshText(documents)).documents)
  const undecodable = diagnostics.find(({ code, severity }) => severity === 'error' && /^SP1/.test(code))
  if (undecodable !== undefined) throw new Error(`${undecodable.code} ${undecodable.message}`)
  const workload = mesh.workloads.get(spec.workload)
  if (workload === undefined) throw new Error(`no workload ${spec.workload}`)
  const service = spec.service === null ? null : serviceOfHost(mesh, workload.namespace, spec.service)
  return { documents, mesh, workload, service }
}
