import { generateMesh } from './generate-mesh.ts'
import { generateClients, generateRequest } from './generate-requests.ts'
import type { TokenState } from './generate-tokens.ts'
import { listedAtHttp, listedDocuments, listedHttpDocuments, listedRequests } from './listed.ts'
import { Random } from './random.ts'
import type { MeshSpec, RequestSpec } from './spec.ts'

/** A mesh and its requests, with what the table of coverage should know of them. */
export interface Generated {
  readonly spec: MeshSpec
  readonly requests: readonly RequestSpec[]
  /** For each request. */
  readonly tokenStates: readonly (readonly TokenState[])[]
}

/** So many requests go to each mesh. */
export const PER_MESH = 50

/** The mesh of a number: the same for the same seed, whatever else is generated. */
export function generate(seed: number, number: number, count = PER_MESH): Generated {
  const random = new Random(seed, number)
  if (random.chance(0.04)) return listedMesh(random, count)
  const mesh = generateMesh(random)
  const clients = generateClients(random, mesh)
  const made = Array.from({ length: count }, () => generateRequest(random, mesh, clients))
  return {
    spec: mesh.spec,
    requests: made.map(({ request }) => request),
    tokenStates: made.map((one) => one.tokenStates),
  }
}

function listedMesh(random: Random, count: number): Generated {
  const overHttp = random.chance(0.1)
  const rows = overHttp ? listedAtHttp : listedRequests
  const documents = overHttp ? listedHttpDocuments : listedDocuments
  const requests = Array.from({ length: count }, () => random.pick(rows).make(random))
  return {
    spec: { role: 'sidecar', protocol: 'http', workload: 'foo/web', service: null, documents },
    requests,
    tokenStates: requests.map(() => []),
  }
}
