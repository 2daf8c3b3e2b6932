import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { type FilterOptions, httpFilterStack, networkFilterStack } from '#src/envoy/index.ts'
import { loadMesh } from '#src/mesh/load.ts'
import { serviceOfHost } from '#src/mesh/registry.ts'
import { parseSource } from '#src/source/parse.ts'

/** What Istio's own compiler made of meshes, of `cases/` or beside its record: see README.md. */
const corpus = join(dirname(fileURLToPath(import.meta.url)), '../../../test/corpus')
const records = join(corpus, 'filters')

interface Recorded {
  readonly workload: string
  /** At a waypoint. */
  readonly host?: string
  readonly http: readonly unknown[]
  readonly tcp: readonly unknown[]
}

const names = readdirSync(records).filter((name) => name.endsWith('.json'))

test('there are records of many meshes', () => {
  assert.ok(names.length > 40)
})

for (const file of names) {
  const name = file.replace('.json', '')
  const recorded: Recorded = JSON.parse(readFileSync(join(records, file), 'utf8'))
  const own = join(records, `${name}.yaml`)
  const text = readFileSync(existsSync(own) ? own : join(corpus, 'cases', name, 'mesh.yaml'), 'utf8')
  test(`the filters of ${name} are those of Istio's compiler, field by field`, () => {
    const { mesh } = loadMesh(parseSource('mesh.yaml', text).documents)
    const workload = mesh.workloads.get(recorded.workload) ?? assert.fail(recorded.workload)
    const options: FilterOptions = {
      rbac: { kind: 'rules' },
      jwks: { byIssuer: new Map(), nobody: '', ca: '' },
      prefix: '',
      service: recorded.host === undefined ? null : serviceOfHost(mesh, workload.namespace, recorded.host),
      portView: () => 'itself',
      secured: true,
    }
    const { filters } = httpFilterStack(mesh, workload, options)
    assert.deepEqual(plain(filters), recorded.http)
    const network = networkFilterStack(mesh, workload, options)
    assert.deepEqual(plain(network.filters), recorded.tcp)
  })
}

/** As it would be printed. That routes are chosen anew at gateways is told to Istio's compiler by its caller, not here. */
function plain(filters: readonly unknown[]): unknown {
  return JSON.parse(JSON.stringify(filters, (key, value) => (key === 'clear_route_cache' ? undefined : value)))
}
