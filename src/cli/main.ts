#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import { commands } from './commands.ts'
import type { Io } from './io.ts'
import { run } from './run.ts'

const stopping = new AbortController()
// A second signal ends the process at once, as the default handler would.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stopping.abort(signal))
// A reader that went away (`| head`) is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0)
  throw error
})

const wanted = !process.argv.includes('--no-color') && (process.env.NO_COLOR ?? '') === ''
const io: Io = {
  stdout: (chunk) => process.stdout.write(chunk),
  backlog: () => process.stdout.writableLength,
  terminal: process.stdout.isTTY === true,
  stderr: (chunk) => process.stderr.write(chunk),
  stdin: () => text(process.stdin),
  env: process.env,
  cwd: process.cwd(),
  color: { stdout: wanted && process.stdout.isTTY === true, stderr: wanted && process.stderr.isTTY === true },
  stop: stopping.signal,
  now: Date.now,
}

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))
process.exitCode = await run(process.argv.slice(2), commands, version, io)
