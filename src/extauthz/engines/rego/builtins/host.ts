import { randomInt } from 'node:crypto'
import { showValue } from '../rego-text.ts'
import { RegoSet, type RegoValue, sortedItems } from '../value.ts'
import { type Arguments, type Builtins, Halt, type Query } from './builtin.ts'
import { list, smallWhole, text } from './operands.ts'

/** Lines that one `print` may make: it prints every combination of what its arguments may be. */
const MAX_LINES = 100

function print(args: Arguments, query: Query): undefined {
  let lines: readonly string[][] = [[]]
  for (const operand of list(args, 0)) {
    const shown = alternatives(operand)
    lines = lines.flatMap((line) => shown.map((one) => [...line, one])).slice(0, MAX_LINES)
  }
  for (const line of lines) query.print(line.join(' '))
  return undefined
}

function alternatives(operand: RegoValue): readonly string[] {
  if (!(operand instanceof RegoSet)) return [show(operand)]
  return operand.items.length === 0 ? ['<undefined>'] : sortedItems(operand).map(show)
}

function show(value: RegoValue): string {
  return typeof value === 'string' ? value : showValue(value)
}

const MAX_RANDOM = 2 ** 48

/** The same number for the same arguments, as long as the evaluation lasts. */
function randomNumber(args: Arguments, { drawn }: Query): RegoValue {
  const limit = Math.abs(smallWhole(args, 1))
  if (limit === 0) return 0
  if (limit >= MAX_RANDOM) throw new Halt(`rand.intn: more than ${MAX_RANDOM}`)
  const key = `rand.intn ${text(args, 0)}-${limit}`
  const found = drawn.get(key) ?? randomInt(limit)
  drawn.set(key, found)
  return found
}

/** What a policy asks of the machine that runs it. */
export const hostBuiltins: Builtins = {
  'internal.print': print,
  // Shown to nobody, as in a server of OPA.
  trace: (args) => typeof text(args, 0) === 'string',
  'rand.intn': randomNumber,
  // Environment and configuration are the machine's own, and no policy's business.
  'opa.runtime': () => new Map(),
  'glob.quote_meta': (args) => text(args, 0).replace(/[*?\\[\]{}]/g, '\\$&'),
}
