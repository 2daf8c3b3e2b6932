// Loaded into the measured processes by NODE_OPTIONS: on SIGUSR2 it collects garbage and writes what is left to a file.
// Resident memory alone would not do: how much garbage V8 keeps for later is up to V8.
import { renameSync, writeFileSync } from 'node:fs'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

const folder = process.env.SALLYPORT_SOAK_PROBE

if (folder !== undefined) {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc')
  process.on('SIGUSR2', () => {
    // What finalizers let go of is garbage for the second one.
    collect()
    setImmediate(() => {
      collect()
      const { heapUsed, external } = process.memoryUsage()
      const file = `${folder}/${process.pid}`
      writeFileSync(`${file}.part`, JSON.stringify({ heap: heapUsed + external }))
      renameSync(`${file}.part`, `${file}.json`)
    })
  })
}
