#!/usr/bin/env node
// npm run bench -- NAME [-o json]: measures one thing beside its peers, on one core, and prints a table or one object.
import './node-version.mjs'
import { spawn } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { root, which } from './command.mjs'
import { setup } from './setup.mjs'

const folder = path.join(root, 'bench')
const names = readdirSync(folder)
  .filter((file) => file.endsWith('.bench.mjs'))
  .map((file) => file.replace('.bench.mjs', ''))
const usage = `usage: npm run bench -- NAME [-o text|json] [--quick]

  NAME      ${names.join(', ')}
  --quick   only show that it works: the figures mean nothing
`

/** What a benchmark measures beside us that is no package, and what installs that. */
const peers = {
  decide: ['envoy', 'opa'],
  envoy: ['envoy'],
  authorizer: ['h2load', 'opa', 'go-authorizer', 'opa-authorizer'],
  check: ['h2load', 'envoy', 'go-authorizer'],
}
const installers = { envoy: 'python3', opa: 'go', h2load: 'apt-get', 'go-authorizer': 'go', 'opa-authorizer': 'go' }

process.exitCode = await main()

async function main() {
  let options
  try {
    options = parseArgs({
      options: {
        output: { type: 'string', short: 'o', default: 'text' },
        quick: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h' },
      },
      allowPositionals: true,
    })
  } catch (error) {
    process.stderr.write(`${error.message}\n\n${usage}`)
    return 2
  }
  const [name] = options.positionals
  const { output, quick } = options.values
  if (options.values.help) {
    process.stdout.write(usage)
    return 0
  }
  const file = path.join(folder, `${name}.bench.mjs`)
  if (name === undefined || !existsSync(file) || !['text', 'json'].includes(output)) {
    process.stderr.write(usage)
    return 2
  }
  await setup()
  // A quick run takes what there is.
  if (!quick) await installPeers(peers[name] ?? [])
  return pinned(file, ['--output', output, ...(quick ? ['--quick'] : [])])
}

/** Fetches the real systems that are measured beside us, as far as this machine can. */
function installPeers(names) {
  const wanted = names.filter((name) => which(installers[name]) !== null)
  if (wanted.length === 0) return
  const args = wanted.flatMap((name) => ['--only', name])
  return run('bash', [path.join(root, 'scripts/peers.sh'), ...args], ['ignore', 2, 2])
}

/** One core, so that a collector or compiler on another does not help one side. */
function pinned(file, args) {
  const words = [process.execPath, '--expose-gc', '--enable-source-maps', file, ...args]
  const taskset = which('taskset')
  const [core, spare] = cores()
  if (taskset === null || core === undefined) {
    process.stderr.write('  taskset is not there: not pinned to one core\n')
    return run(words[0], words.slice(1), ['ignore', 'inherit', 'inherit'])
  }
  const rest = spare === undefined ? [] : ['--spare-core', String(spare)]
  return run(taskset, ['-c', String(core), ...words, ...rest], ['ignore', 'inherit', 'inherit'])
}

/** The numbers of the cores that this process may use; none where the system does not tell. */
function cores() {
  try {
    const [, list] = /^Cpus_allowed_list:\s*(.+)$/m.exec(readFileSync('/proc/self/status', 'latin1')) ?? []
    return (list ?? '').split(',').flatMap((range) => {
      const [first, last = first] = range.split('-').map(Number)
      return Array.from({ length: last - first + 1 }, (_, i) => first + i)
    })
  } catch {
    return []
  }
}

/** Resolves to the exit code. A signal goes on to the child, which stops what it started. */
function run(command, args, stdio) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd: root, stdio })
    const pass = (signal) => child.kill(signal)
    for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, pass)
    child
      .on('error', (error) => {
        process.stderr.write(`${error.message}\n`)
        resolve(1)
      })
      .on('close', (code) => resolve(code ?? 1))
      .on('close', () => {
        for (const signal of ['SIGINT', 'SIGTERM']) process.removeListener(signal, pass)
      })
  })
}
