import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Batch } from './batch.ts'
import { differences } from './compare.ts'
import { generateMesh } from './generate-mesh.ts'
import { generateClients, generateRequest } from './generate-requests.ts'
import { Material } from './material.ts'
import { Random } from './random.ts'
import { Backends } from './slot.ts'

const [seed = 1, meshes = 10, per = 20, from = 0] = process.argv.slice(2).map(Number)
const folder = mkdtempSync(join(tmpdir(), 'diff-'))
const ports = { main: 18100, other: 18101, application: 18102, grpc: 18103, http: 18104, closed: 18105 }
const backends = new Backends(ports)
const material = await Material.create(folder)
const world = {
  backends,
  folder,
  ports,
  material,
  envoy: new URL('../../../.peers/bin/envoy', import.meta.url).pathname,
  istio: null,
}
const cases = process.env.FILE
  ? (JSON.parse(readFileSync(process.env.FILE, 'utf8')) as { spec: never; istio: boolean; requests: never[] }[])
  : Array.from({ length: meshes }, (_, k) => {
      const random = new Random(seed, from + k)
      const mesh = generateMesh(random)
      const clients = generateClients(random, mesh)
      return {
        spec: mesh.spec,
        istio: false,
        requests: Array.from({ length: per }, () => generateRequest(random, mesh, clients).request),
      }
    })
const t0 = performance.now()
const batch = await Batch.open(
  world,
  cases,
  new Set((process.env.ENGINES ?? 'interpret,compile,proxy,rules,matcher').split(',') as never[]),
  0,
)
const t1 = performance.now()
const rows = new Map<string, number>()
let count = 0
let bad = 0
const groups = new Map<string, number>()
await batch.run((mesh, request, outcomes) => {
  count++
  if (process.env.FILE)
    console.log(
      request,
      JSON.stringify(
        [...outcomes].map(([n, o]) => [n, o.status, o.body, o.details, o.grpc, o.wire?.headers, o.wire?.received]),
        null,
        1,
      ),
    )
  for (const d of differences(
    { mesh: (cases[mesh] as never as { spec: never }).spec, request: cases[mesh]?.requests[request] as never },
    outcomes,
    (row) => rows.set(row, (rows.get(row) ?? 0) + 1),
  )) {
    bad++
    const key = `${d.engine} ${d.field} ${JSON.stringify(d.expected)?.slice(0, 60)} ${JSON.stringify(d.actual)?.slice(0, 60)}`
    const n = (groups.get(key) ?? 0) + 1
    groups.set(key, n)
    if (n === 1)
      console.log(
        JSON.stringify({
          mesh,
          request,
          ...d,
          spec: cases[mesh]?.requests[request],
          o: outcomes.get(d.reference),
          a: outcomes.get(d.engine),
        }),
      )
  }
})
const t2 = performance.now()
for (const [key, n] of [...groups].sort((a, b) => b[1] - a[1]).slice(0, 60)) console.error(n, key)
console.error(batch.refusals, rows)
await batch.close()
backends.closeAll()
rmSync(folder, { recursive: true })
console.error({ cpu: process.cpuUsage(), count, bad, open: t1 - t0, run: t2 - t1, close: performance.now() - t2 })
