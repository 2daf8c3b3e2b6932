#!/usr/bin/env node
// npm run property [-- --cases N --seed S --only TEXT]: the properties of policies, as many cases as wanted.
import './node-version.mjs'
import { spawn } from 'node:child_process'
import path from 'node:path'
import { root } from './command.mjs'
import { setup } from './setup.mjs'

try {
  await setup()
  process.exitCode = await run(path.join(root, 'build/test/property/nightly.js'), process.argv.slice(2))
} catch (error) {
  process.stderr.write(`${error.message}\n`)
  process.exitCode = 1
}

function run(file, args) {
  const child = spawn(process.execPath, ['--enable-source-maps', file, ...args], { cwd: root, stdio: 'inherit' })
  // It tells how far it came, and ends.
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal))
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => resolve(code ?? 1))
  })
}
