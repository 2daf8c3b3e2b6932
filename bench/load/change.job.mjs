// One document of a loaded file changes, again and again: { file, changes } in, the processor time of each stage in milliseconds of each
// change out, up to the decider of the workload that the changed policy selects.
import { readFileSync } from 'node:fs'
import { authorizationPoliciesFor } from '../../dist/mesh/attach.js'
import { MeshLoader } from '../../dist/mesh/load.js'
import { usableProvider } from '../../dist/mesh/providers.js'
import { MeshValidator } from '../../dist/mesh/validate.js'
import { recompile } from '../../dist/policy/recompile.js'
import { SourceFile } from '../../dist/source/source-file.js'
import { prepare } from '../decide/engine.mjs'
import { answer, task } from '../job.mjs'
import { processorTime } from '../measure.mjs'
import { request } from '../traffic/policy.mjs'
import { random } from '../traffic/random.mjs'

const { file, changes } = task()
const source = new SourceFile('mesh.yaml')
const loader = new MeshLoader()
const validator = new MeshValidator()
const chunks = readFileSync(file, 'utf8').split('\n---\n')
const load = (text) => {
  const parsed = source.parse(text)
  const { mesh } = loader.load(parsed.documents)
  validator.validate(mesh)
  return mesh
}

const first = load(chunks.join('\n---\n'))
const compiled = new Map([...first.workloads.keys()].map((id) => [id, recompile(null, inputOf(first, id))]))
const candidates = first.authorizationPolicies.filter(isSimple)
const pick = random(changes)
answer({ times: Array.from({ length: changes }, (_, number) => change(candidates[pick(candidates.length)], number)) })

/** Another caller is allowed by one policy; nothing else in the text differs. */
function change({ meta, attachment }, number) {
  const caller = `cluster.local/ns/newcomers/sa/caller-${number}`
  const index = chunks.findIndex((chunk) => chunk.includes(`\n  name: ${meta.name}\n`))
  chunks[index] = chunks[index].replace(/principals: \["[^"]+"\]/, `principals: ["${caller}"]`)
  const text = chunks.join('\n---\n')
  const times = {}
  const stage = (name, work) => {
    const { ms, result } = processorTime(work)
    times[name] = ms
    return result
  }
  const { documents } = stage('parse', () => source.parse(text))
  const { mesh } = stage('load', () => loader.load(documents))
  stage('validate', () => validator.validate(mesh))
  const id = `${meta.namespace}/${attachment.labels.app}`
  const input = stage('attach', () => inputOf(mesh, id))
  const next = stage('recompile', () => recompile(compiled.get(id), input))
  compiled.set(id, next)
  const { kind } = next.decider.decide(prepare(request({ peer: caller })))
  if (kind !== 'allow') throw new Error(`the change of ${meta.namespace}/${meta.name} did not take effect`)
  return times
}

function inputOf(mesh, id) {
  const policies = authorizationPoliciesFor(mesh, mesh.workloads.get(id))
  const trustDomains = [mesh.config.trustDomain, ...mesh.config.trustDomainAliases]
  return { policies, trustDomains, protocol: 'http', provider: (name) => usableProvider(mesh, name) }
}

/** Selects a workload, and allows one caller whatever it asks for. */
function isSimple({ attachment, rules: [rule] }) {
  const principals = rule.from?.[0]?.principals.values ?? []
  return attachment.kind === 'selector' && rule.to === null && rule.when.length === 0 && principals.length === 1
}
