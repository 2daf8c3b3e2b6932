#!/usr/bin/env node
// npm run differential -- --seed S --cases N: random meshes and requests through every engine, compared. Does its own set-up.
import './node-version.mjs'
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync } from 'node:fs'
import path from 'node:path'
import { capture, root, which } from './command.mjs'
import { step } from './progress.mjs'
import { setup } from './setup.mjs'

const source = path.join(root, 'test/differential/istio')
const program = path.join(root, 'build/istio-compiler')

process.exitCode = await main(process.argv.slice(2))

async function main(argv) {
  await setup()
  if (!argv.includes('--help')) {
    await run('bash', [path.join(root, 'scripts/peers.sh'), '--only', 'envoy'])
    if (wants(argv, 'istio')) await buildCompiler()
  }
  return run(process.execPath, ['--enable-source-maps', path.join(root, 'build/test/differential/main.js'), ...argv])
}

/** Whether an engine is among those that are asked for; all of them by default. */
function wants(argv, engine) {
  const at = argv.findIndex((word) => word === '--engines' || word.startsWith('--engines='))
  if (at === -1) return true
  const names = argv[at].includes('=') ? argv[at].split('=')[1] : argv[at + 1]
  return (names ?? '').split(',').includes(engine)
}

/** Istio's own compiler, from its published modules: a few minutes the first time, seconds later. */
async function buildCompiler() {
  if (which('go') === null) {
    process.stderr.write("  without Go, Istio's own compiler takes no part\n")
    return
  }
  mkdirSync(path.dirname(program), { recursive: true })
  try {
    await step("Istio's own compiler", () => goBuild(), { quietFor: 3000 })
  } catch (error) {
    const there = existsSync(program) ? 'the one that was built before is used' : 'it takes no part'
    process.stderr.write(`  Istio's own compiler could not be built, and ${there}:\n${error.message}\n`)
  }
}

async function goBuild() {
  const { code, output } = await capture('go', ['build', '-o', program, '.'], { cwd: source })
  if (code !== 0) throw new Error(output)
}

/** Runs a program to its end and passes a signal to stop on; resolves to its exit code. */
function run(command, args) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] })
    const stop = () => child.kill('SIGTERM')
    for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, stop)
    child.on('error', (error) => {
      process.stderr.write(`${error.message}\n`)
      resolve(1)
    })
    child.on('close', (code) => {
      for (const signal of ['SIGINT', 'SIGTERM']) process.off(signal, stop)
      resolve(code ?? 1)
    })
  })
}
