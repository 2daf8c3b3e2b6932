import type { AuthorizerSpec } from '../../extauthz/engines/serve.ts'
import type { AuthorizerProblem, WorkerSettings } from './messages.ts'
import { WorkerProcess } from './worker-process.ts'

/**
 * Loads the engines that are somebody's code in a process that is thrown away: one that never comes to an end, or ends
 * the process, must not do so where the last good one still decides. `patience` is in milliseconds, for each.
 */
export async function scout(
  specs: readonly AuthorizerSpec[],
  settings: WorkerSettings,
  patience: number,
): Promise<AuthorizerProblem[]> {
  const modules = specs.filter(({ engine }) => engine.kind === 'module')
  if (modules.length === 0) return []
  const process = new WorkerProcess({ message() {}, ended() {} })
  process.expectEnd()
  process.send({ kind: 'start', settings: { ...settings, decisions: null, otlp: null } })
  try {
    for (const { name, engine } of modules) {
      const result = await process.ask({ kind: 'try', engine }, patience)
      if (result?.kind === 'refused') return result.problems.map((problem) => ({ ...problem, name }))
      if (result === null) return [{ name, what: 'engine', message: 'it ends the process, or does not finish loading' }]
    }
    return []
  } finally {
    process.kill({ kind: 'closed' })
    await process.end(0)
  }
}
