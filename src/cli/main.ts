#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import { commands } from './commands.ts'
import type { Io } from './io.ts'
import { run } from './run.ts'

// A reader that went away (`| head`) is no error, and leaves nobody to talk to.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0)
    throw error
  })
}

let stopping: AbortController | null = null

/** From the first call on, the first signal asks; the second ends the process, as the default handler would. */
function stopSignal(): AbortSignal {
  if (stopping === null) {
    const controller = new AbortController()
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => controller.abort(signal))
    stopping = controller
  }
  return stopping.signal
}

const wanted = !process.argv.includes('--no-color') && (process.env.NO_COLOR ?? '') === ''
const io: Io = {
  stdout: (chunk) => process.stdout.write(chunk),
  backlog: () => process.stdout.writableLength,
  terminal: process.stdout.isTTY === true,
  stderr: (chunk) => process.stderr.write(chunk),
  stdin: () => process.stdin,
  env: process.env,
  cwd: process.cwd(),
  color: { stdout: wanted && process.stdout.isTTY === true, stderr: wanted && process.stderr.isTTY === true },
  get stop() {
    return stopSignal()
  },
  now: Date.now,
}

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))
process.exitCode = await run(process.argv.slice(2), commands, version, io)
