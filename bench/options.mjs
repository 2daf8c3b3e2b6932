import { parseArgs } from 'node:util'

/**
 * What scripts/bench.mjs passes on. `quick` measures next to nothing, and only shows that everything works; `spareCore` is
 * a core other than the one that all of this is pinned to, or null.
 */
export function options() {
  // So that what was started is stopped.
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1))
  const { values } = parseArgs({
    options: {
      output: { type: 'string', default: 'text' },
      quick: { type: 'boolean', default: false },
      'spare-core': { type: 'string' },
    },
  })
  const core = values['spare-core']
  return { output: values.output, quick: values.quick, spareCore: core === undefined ? null : Number(core) }
}
