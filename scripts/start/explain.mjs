import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { capture } from '../command.mjs'

/**
 * The trace of each request by `sallyport explain`, told what the provider answered; null for what it could not
 * explain. The decision log names the provider, and the trace the policy and rule that had it asked.
 */
export async function explain({ cli, files, workload, scratch, asked }) {
  const lines = asked.map(({ request, answer, decision }) => {
    const provider = decision?.provider
    const providers = provider === undefined ? {} : { [provider]: { allow: decision.decision === 'allow' } }
    return JSON.stringify({ method: 'GET', path: request.path, providers, id: String(answer.status) })
  })
  const input = path.join(scratch, 'requests.jsonl')
  writeFileSync(input, `${lines.join('\n')}\n`)
  const args = ['explain', '-f', files, '--workload', workload, '--port', '80', '--requests', input, '-o', 'json']
  const { code, output } = await capture(process.execPath, [cli, ...args])
  if (code !== 0) return []
  try {
    return JSON.parse(output).map((one) => one.trace ?? null)
  } catch {
    return []
  }
}
