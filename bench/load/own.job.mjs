// One load in a new process, as a start is: { file, apart } in, the processor time of each stage in milliseconds, the heap in bytes once
// garbage is gone, and what there is then, out. `apart`: each document is a text of its own, as in a folder of files.
import { readFileSync } from 'node:fs'
import { authorizationPoliciesFor } from '../../dist/mesh/attach.js'
import { loadMesh } from '../../dist/mesh/load.js'
import { usableProvider } from '../../dist/mesh/providers.js'
import { validateMesh } from '../../dist/mesh/validate.js'
import { compile } from '../../dist/policy/compile.js'
import { lower } from '../../dist/policy/lower.js'
import { parseSource } from '../../dist/source/parse.js'
import { answer, task } from '../job.mjs'
import { processorTime } from '../measure.mjs'

const { file, apart } = task()
const text = readFileSync(file, 'utf8')
const texts = apart ? text.split('\n---\n') : [text]
const times = {}

const parsed = stage('parse', () => texts.map((one, i) => parseSource(`${i}.yaml`, one)))
const documents = parsed.flatMap((one) => one.documents)
const { mesh, diagnostics } = stage('load', () => loadMesh(documents))
const findings = stage('validate', () => validateMesh(mesh))
const attached = stage('attach', () => {
  return [...mesh.workloads.values()].map((workload) => authorizationPoliciesFor(mesh, workload))
})
const trustDomains = [mesh.config.trustDomain, ...mesh.config.trustDomainAliases]
const provider = (name) => usableProvider(mesh, name)
const irs = stage('lower', () => {
  return attached.map((policies) => lower({ policies, trustDomains, protocol: 'http', provider }))
})
const deciders = stage('compile', () => irs.map((ir) => compile(ir)))

const wrong = [...parsed.flatMap((one) => one.diagnostics), ...diagnostics, ...findings]
const error = wrong.find(({ severity }) => severity === 'error')
if (error !== undefined) throw new Error(`${error.code} in line ${error.line}: ${error.message}`)
globalThis.gc()
const heap = process.memoryUsage().heapUsed
answer({ times, heap, policies: mesh.authorizationPolicies.length, deciders: deciders.length })

function stage(name, work) {
  const { ms, result } = processorTime(work)
  times[name] = ms
  return result
}
