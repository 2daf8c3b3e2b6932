import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { decodeRequest, isProblem } from '#src/tools/request.ts'
import type { Outcomes } from './compare.ts'
import { explainable } from './explain-engine.ts'
import { fillDocuments, fillRequest, meshYaml, type Place, requestBytes } from './fill.ts'
import { loadSpec } from './mesh-file.ts'
import type { Outcome } from './outcome.ts'
import type { Shrunk } from './shrink.ts'
import type { Case } from './spec.ts'

/**
 * Writes a case as a suite of test/corpus (mesh.yaml, suite.json, requests.jsonl, expected.jsonl by the engine whose word
 * counts), with the bytes of the request and what each engine did beside it.
 */
export function writeCase(folder: string, shrunk: Shrunk, outcomes: Outcomes, place: Omit<Place, 'address'>): void {
  const { one, difference } = shrunk
  const here: Place = { ...place, address: '127.0.0.1' }
  mkdirSync(folder, { recursive: true })
  const write = (name: string, text: string) => writeFileSync(join(folder, name), text)
  const filled = fillRequest(one.request, here)
  const { mesh, request } = one
  write('mesh.yaml', meshYaml(fillDocuments(mesh, here)))
  write(
    'suite.json',
    `${JSON.stringify({ workload: mesh.workload, port: place.ports.main, protocol: mesh.protocol })}\n`,
  )
  write('request.txt', requestBytes(filled))
  write('case.json', `${JSON.stringify(one, null, 2)}\n`)
  write('outcomes.json', `${JSON.stringify({ difference, outcomes: Object.fromEntries(outcomes) }, null, 2)}\n`)
  const line = explainable(filled, loadSpec(mesh, here), here.address, place)
  const reference = outcomes.get(difference.reference)
  if (line === null || reference === undefined || isProblem(decodeRequest(line))) return
  write('requests.jsonl', `${JSON.stringify({ id: 'r1', ...line, ...providersOf(one) })}\n`)
  write('expected.jsonl', `${JSON.stringify(expectedLine(reference, request.http === null))}\n`)
}

/** The corpus tells what an HTTP provider answered with the request. */
function providersOf({ mesh, request }: Case): object {
  const { script } = request
  if (script?.kind !== 'http') return {}
  const name = /"extensionProviders":\[\{"name":"([^"]+)"/.exec(JSON.stringify(mesh.documents))?.[1]
  if (name === undefined) return {}
  const { answer } = script
  if (answer.kind !== 'answer') return { providers: { [name]: { error: 'unavailable' } } }
  const { status, headers, body } = answer
  return { providers: { [name]: { allow: status === 200, status, headers, body } } }
}

function expectedLine(outcome: Outcome, tcp: boolean): object {
  const { decision, status, body, policy, details, grpc, dryRun, audit } = outcome
  if (tcp) return { id: 'r1', allowed: decision === 'allow', policy }
  return {
    ...{ id: 'r1', status, decision, body, policy },
    ...(details === null ? {} : { details }),
    ...(grpc === null
      ? {}
      : { grpcStatus: grpc.status, ...(grpc.message === '' ? {} : { grpcMessage: grpc.message }) }),
    ...(dryRun === null ? {} : { dryRun }),
    ...(audit ? { audit } : {}),
  }
}
