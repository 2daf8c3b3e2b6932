import { execFile } from 'node:child_process'
import type { RunOpa } from '../../extauthz/engines/rego/compile.ts'

const TIMEOUT = 60_000
const MAX_OUTPUT = 1024 * 1024

/**
 * Runs the `opa` that SALLYPORT_OPA names, or the one on PATH. It sees the environment of this process, without which it
 * would find neither its cache nor a folder for temporary files.
 */
export function createRunOpa(env: Readonly<Record<string, string | undefined>>): RunOpa {
  const program = env.SALLYPORT_OPA || 'opa'
  return (args) =>
    new Promise((resolve) => {
      const options = { timeout: TIMEOUT, maxBuffer: MAX_OUTPUT, env, windowsHide: true }
      execFile(program, [...args], options, (error, stdout, stderr) => {
        const output = `${stdout}${stderr}`
        if (error === null) resolve({ kind: 'ended', code: 0, output })
        else if (error.code === 'ENOENT') resolve({ kind: 'missing' })
        else if (typeof error.code === 'number') resolve({ kind: 'ended', code: error.code, output })
        else resolve({ kind: 'failed', message: `\`${program}\` cannot be run: ${error.code ?? error.signal}` })
      })
    })
}
