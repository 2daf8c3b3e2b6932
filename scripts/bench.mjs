#!/usr/bin/env node
// npm run bench -- NAME [-o json]: measures one thing beside its peers, on one core, and prints a table or one object.
import './node-version.mjs'
import { spawn } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { root, which } from './command.mjs'
import { setup } from './setup.mjs'

const folder = path.join(root, 'bench')
const names = readdirSync(folder)
  .filter((file) => file.endsWith('.bench.mjs'))
  .map((file) => file.replace('.bench.mjs', ''))
const usage = `usage: npm run bench -- NAME [-o text|json]

  NAME  ${names.join(', ')}
`

process.exitCode = await main()

async function main() {
  let options
  try {
    options = parseArgs({
      options: { output: { type: 'string', short: 'o', default: 'text' }, help: { type: 'boolean', short: 'h' } },
      allowPositionals: true,
    })
  } catch (error) {
    process.stderr.write(`${error.message}\n\n${usage}`)
    return 2
  }
  const [name] = options.positionals
  if (options.values.help) {
    process.stdout.write(usage)
    return 0
  }
  const file = path.join(folder, `${name}.bench.mjs`)
  if (name === undefined || !existsSync(file) || !['text', 'json'].includes(options.values.output)) {
    process.stderr.write(usage)
    return 2
  }
  await setup()
  return pinned(file, options.values.output)
}

/** One core, so that a collector or compiler on another does not help one side. */
function pinned(file, output) {
  const words = [process.execPath, '--expose-gc', '--enable-source-maps', file, output]
  const taskset = which('taskset')
  const [command, ...rest] = taskset === null ? words : [taskset, '-c', '0', ...words]
  if (taskset === null) process.stderr.write('  taskset is not there: not pinned to one core\n')
  return new Promise((resolve) => {
    spawn(command, rest, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] })
      .on('error', (error) => {
        process.stderr.write(`${error.message}\n`)
        resolve(1)
      })
      .on('close', (code) => resolve(code ?? 1))
  })
}
