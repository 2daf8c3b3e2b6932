import { parseArgs } from 'node:util'

export const usage = `usage: npm run soak -- [--seed S] [--minutes N] [--rate N] [-o text|json]

Proxies and authorizers as real processes, under random requests, checks, edits and faults. Every answer is judged, and
afterwards what the processes still hold.

  --seed S       the same seed makes the same choices; default 1
  --minutes N    of traffic with faults, after a warm-up; fractions too; default 2
  --rate N       requests and checks a second; default 200
  -o, --output   text (default), or json: one object

Exit codes: 0 nothing found, 1 findings, 2 usage.
`

/** How much a run may ask of the machine: it is to find what goes wrong in time, not what breaks under load. */
const MOST_RATE = 2000
const MOST_MINUTES = 24 * 60

/** `{ kind: 'run', seed, minutes, rate, output }`, or `{ kind: 'stop', code, text }`. */
export function readOptions(argv) {
  let values
  try {
    values = parseArgs({
      args: argv,
      options: {
        seed: { type: 'string', default: '1' },
        minutes: { type: 'string', default: '2' },
        rate: { type: 'string', default: '200' },
        output: { type: 'string', short: 'o', default: 'text' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    }).values
  } catch (error) {
    return wrong(error.message)
  }
  if (values.help) return { kind: 'stop', code: 0, text: usage }
  const minutes = Number(values.minutes)
  const rate = Number(values.rate)
  if (!/^[0-9]{1,9}$/.test(values.seed)) return wrong(`--seed: \`${values.seed}\` is no whole number`)
  if (!(minutes > 0 && minutes <= MOST_MINUTES)) return wrong(`--minutes: \`${values.minutes}\` is no such time`)
  if (!(rate >= 1 && rate <= MOST_RATE)) return wrong(`--rate: \`${values.rate}\` is not between 1 and ${MOST_RATE}`)
  if (!['text', 'json'].includes(values.output)) return wrong(`--output: \`${values.output}\` is neither text nor json`)
  return { kind: 'run', seed: Number(values.seed), minutes, rate, output: values.output }
}

function wrong(message) {
  return { kind: 'stop', code: 2, text: `${message}\n\n${usage}` }
}
