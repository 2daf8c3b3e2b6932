import { spawn } from 'node:child_process'
import { setTimeout as delay } from 'node:timers/promises'
import { peer } from '../interop/peers.ts'
import { examplePath, type Stage } from './stage.ts'

/** A server of OPA's with the policy of the example, until the stage ends. */
export async function startOpa(stage: Stage, port: number): Promise<void> {
  const found = peer('opa')
  if ('skip' in found) throw new Error(found.skip)
  const args = [
    'run',
    '--server',
    '--addr',
    `127.0.0.1:${port}`,
    '--log-level',
    'error',
    examplePath('opa/policy.rego'),
  ]
  const opa = spawn(found.path, args, { stdio: 'ignore' })
  stage.ending(() => opa.kill())
  for (const late = Date.now() + 10_000; Date.now() < late; await delay(50)) {
    const answer = await fetch(`http://127.0.0.1:${port}/health`).catch(() => null)
    if (answer?.ok) return
  }
  throw new Error('OPA does not answer')
}
