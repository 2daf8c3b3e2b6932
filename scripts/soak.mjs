#!/usr/bin/env node
// npm run soak -- --seed S --minutes N: the real programs under random traffic and faults, judged all the time. Does its own set-up.
import './node-version.mjs'
import { readOptions } from './soak/options.mjs'

const options = readOptions(process.argv.slice(2))
if (options.kind === 'stop') {
  const out = options.code === 0 ? process.stdout : process.stderr
  out.write(options.text)
  process.exitCode = options.code
} else {
  try {
    const { setup } = await import('./setup.mjs')
    await setup()
    // Imported late: it needs what was built just now.
    const { main } = await import('./soak/main.mjs')
    process.exitCode = await main(options)
  } catch (error) {
    process.stderr.write(`${error.stack ?? error}\n`)
    process.exitCode = 1
  }
}
