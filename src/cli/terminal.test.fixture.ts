import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { commands } from './commands.ts'
import type { Io } from './io.ts'
import { run } from './run.ts'

/** The clone's root, where examples/ is. */
export const root = fileURLToPath(new URL('../..', import.meta.url))
export const main = join(root, 'dist/cli/main.js')

export interface Answer {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** A folder with these files; it goes when the test ends. */
export function folderOf(t: TestContext, files: Readonly<Record<string, string | Uint8Array>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-cli-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), content)
  }
  return folder
}

export interface Surroundings {
  readonly cwd?: string
  readonly stdin?: string
  readonly color?: boolean
  readonly stop?: AbortSignal
  readonly env?: Readonly<Record<string, string>>
  /** Hears talk as it comes. */
  readonly heard?: (text: string) => void
}

/** Runs a command line in this process, with the clone's root as the current folder. */
export async function sallyport(argv: readonly string[], around: Surroundings = {}): Promise<Answer> {
  let stdout = ''
  let stderr = ''
  const { color = false } = around
  const io: Io = {
    stdout: (text) => {
      stdout += text
    },
    stderr: (text) => {
      stderr += text
      around.heard?.(text)
    },
    backlog: () => 0,
    terminal: false,
    stdin: async function* () {
      yield Buffer.from(around.stdin ?? '')
    },
    env: around.env ?? {},
    cwd: around.cwd ?? root,
    color: { stdout: color, stderr: color },
    // What serves although it should have refused must not keep a test from failing.
    stop: around.stop ?? AbortSignal.timeout(30_000),
    now: () => Date.UTC(2026, 0, 1),
  }
  const code = await run(argv, commands, '1.2.3', io)
  return { code, stdout, stderr }
}

/** Runs the built program, or a shell's command line where `sallyport` is the built program. */
export async function program(argv: readonly string[] | string, around: Surroundings = {}): Promise<Answer> {
  const env = { ...process.env, NO_COLOR: '', ...around.env }
  const [file, args] =
    typeof argv === 'string'
      ? ['bash', ['-c', `sallyport() { "${process.execPath}" "${main}" "$@"; }\n${argv}`]]
      : [process.execPath, [main, ...argv]]
  const child = spawn(file as string, args as string[], { cwd: around.cwd ?? root, env })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  child.stdin.on('error', () => {})
  child.stdin.end(around.stdin ?? '')
  const [code] = await once(child, 'close')
  return { code, stdout, stderr }
}

/** A running command that ends with the test. */
export interface Running {
  /** Resolves with all talk so far, once it matches; rejects when the command ends before. */
  hears(pattern: RegExp): Promise<string>
  /** Asks it to end. */
  stop(): Promise<Answer>
}

export function start(t: TestContext, argv: readonly string[], around: Surroundings = {}): Running {
  const stopping = new AbortController()
  // What is never heard must not keep a test from failing.
  const patience = setTimeout(() => stopping.abort(), 30_000)
  let talk = ''
  const waiting = new Set<() => void>()
  const heard = (text: string) => {
    talk += text
    for (const look of waiting) look()
  }
  const answer = sallyport(argv, { ...around, stop: stopping.signal, heard })
  t.after(async () => {
    clearTimeout(patience)
    stopping.abort()
    await answer
  })
  return {
    async hears(pattern) {
      const found = new Promise<void>((resolve) => {
        const look = () => {
          if (!pattern.test(talk)) return
          waiting.delete(look)
          resolve()
        }
        waiting.add(look)
        look()
      })
      const ended = answer.then(({ code, stderr }) => {
        if (!pattern.test(talk)) throw new Error(`ended with ${code} before ${pattern}: ${stderr}`)
      })
      await Promise.race([found, ended])
      return talk
    },
    stop() {
      stopping.abort()
      return answer
    },
  }
}
